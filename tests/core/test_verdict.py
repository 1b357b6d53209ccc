"""Every rule of the verdict, line by line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.make import (
    T0,
    a_canary,
    a_check,
    a_sighting,
    a_transcript,
    accepted,
    expecting,
    facts,
    refused,
)

from checks.core import verdict
from checks.core.model import (
    BlindSpan,
    Bounce,
    Cause,
    Conclusion,
    Findings,
    Limits,
    Outcome,
    Pending,
    Protocol,
    Refused,
    Reply,
    Stage,
    Untried,
    Verdict,
    Watching,
)
from checks.core.servers import ServerHop
from checks.core.verdict import Standing, current, judge

LATE, LOST = 60.0, 600.0
FIRST = ServerHop(by="edge.example", tls="TLSv1.2", wire=True)
SLOW = ServerHop(by="hub.example", delay=31.5, tls="TLSv1.3", wire=True)


def concluded(known, now=T0 + 5):
    result = judge(known, now)
    assert isinstance(result, Conclusion), result
    return result


def seen(after_seconds, *, not_yet=None, attempt=None, check=None, **more):
    """Facts of a canary that was accepted after 1 s and seen so many seconds after its first byte."""
    canary = a_canary(check)
    after_at = None if not_yet is None else T0 + not_yet
    sighting = a_sighting(canary, T0 + after_seconds, after_at=after_at, **more)
    return facts(attempt or accepted(), canary=canary, sightings=[sighting])


class TestHandOver:
    """DESIGN's first-match rules for a hand-over that was not accepted."""

    @pytest.mark.parametrize(
        ("attempt", "outcome"),
        [
            # (a) after the last byte of the final dot, silence is no refusal
            (refused(Stage.DATA, cause=Cause.DROPPED, sent=True), Outcome.INDETERMINATE),
            (refused(Stage.DATA, cause=Cause.TIMEOUT, sent=True), Outcome.INDETERMINATE),
            (refused(Stage.DATA, cause=Cause.GARBAGE, sent=True), Outcome.INDETERMINATE),
            (refused(Stage.DATA, 421, "4.3.2", sent=True), Outcome.INDETERMINATE),
            # ... but an answer is an answer
            (refused(Stage.DATA, 550, "5.7.1", sent=True), Outcome.REJECTED),
            (refused(Stage.DATA, 430, "4.2.0", sent=True), Outcome.DEFERRED),
            # (b) silence before that
            (refused(Stage.DNS, cause=Cause.NAME), Outcome.UNREACHABLE),
            (refused(Stage.DNS, cause=Cause.TIMEOUT), Outcome.UNREACHABLE),
            (refused(Stage.CONNECT, cause=Cause.CONNECT), Outcome.UNREACHABLE),
            (refused(Stage.CONNECT, cause=Cause.TIMEOUT), Outcome.UNREACHABLE),
            *[
                (refused(Stage.GREETING, cause=cause), Outcome.UNREACHABLE)
                for cause in (Cause.TIMEOUT, Cause.DROPPED, Cause.GARBAGE)
            ],
            *[
                (refused(Stage.STARTTLS, cause=cause), Outcome.TLS_FAILED)
                for cause in (Cause.TIMEOUT, Cause.DROPPED, Cause.GARBAGE, Cause.TLS, Cause.NOT_OFFERED)
            ],
            *[
                (refused(stage, cause=cause), Outcome.DEFERRED)
                for stage in (Stage.EHLO, Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DATA)
                for cause in (Cause.TIMEOUT, Cause.DROPPED, Cause.GARBAGE)
            ],
            # (c) 4xx anywhere
            *[
                (refused(stage, code), Outcome.DEFERRED)
                for stage in (
                    Stage.GREETING,
                    Stage.EHLO,
                    Stage.STARTTLS,
                    Stage.AUTH,
                    Stage.MAIL,
                    Stage.RCPT,
                    Stage.DATA,
                )
                for code in (421, 451, 454)
            ],
            # (d) 5xx by stage
            (refused(Stage.STARTTLS, 502), Outcome.TLS_FAILED),
            (refused(Stage.AUTH, 535, "5.7.3"), Outcome.AUTH_FAILED),
            *[
                (refused(stage, 550), Outcome.REJECTED)
                for stage in (Stage.GREETING, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.DATA)
            ],
            (refused(Stage.AUTH, cause=Cause.NOT_OFFERED), Outcome.AUTH_FAILED),
            # (e) Graph
            *[
                (refused(Stage.REQUEST, code, protocol=Protocol.GRAPH), outcome)
                for code, outcome in (
                    (400, Outcome.REJECTED),
                    (401, Outcome.AUTH_FAILED),
                    (403, Outcome.AUTH_FAILED),
                    (404, Outcome.REJECTED),
                    (429, Outcome.DEFERRED),
                    (503, Outcome.DEFERRED),
                    (504, Outcome.DEFERRED),
                )
            ],
            (refused(Stage.REQUEST, cause=Cause.TIMEOUT, sent=True, protocol=Protocol.GRAPH), Outcome.INDETERMINATE),
            # (f) Entra
            (refused(Stage.TOKEN, 401, "AADSTS7000215", protocol=Protocol.ENTRA), Outcome.AUTH_FAILED),
            (refused(Stage.TOKEN, 400, "AADSTS700016", protocol=Protocol.ENTRA), Outcome.AUTH_FAILED),
            (refused(Stage.TOKEN, 503, protocol=Protocol.ENTRA), Outcome.DEFERRED),
            (refused(Stage.TOKEN, cause=Cause.CONNECT, protocol=Protocol.ENTRA), Outcome.DEFERRED),
        ],
    )
    def test_each_failure_has_the_outcome_that_the_first_matching_rule_names(self, attempt, outcome):
        if outcome is Outcome.INDETERMINATE:
            assert isinstance(judge(facts(attempt), T0 + 5), Pending)
            assert concluded(facts(attempt, looked_at=T0 + LOST + 1), T0 + LOST + 2).outcome is outcome
        else:
            assert concluded(facts(attempt)).outcome is outcome

    @pytest.mark.parametrize("cause", [Cause.NAME, Cause.CONNECT, Cause.TIMEOUT])
    def test_without_a_network_of_our_own_nobody_is_unreachable(self, cause):
        stage = Stage.DNS if cause is Cause.NAME else Stage.CONNECT
        result = concluded(facts(refused(stage, cause=cause), online=False))
        assert (result.outcome, result.verdict) == (Outcome.LOCAL_FAULT, Verdict.UNKNOWN)

    def test_a_drop_in_mid_dialogue_says_so_in_a_fixed_word(self):
        result = concluded(facts(refused(Stage.RCPT, cause=Cause.DROPPED, detail="connection reset")))
        assert result.reasons == ("dropped", "connection reset")

    def test_a_refusal_carries_the_servers_words(self):
        result = concluded(facts(refused(Stage.RCPT, 550, "5.7.64")))
        assert result.reasons == ("550 5.7.64 said the server",)

    def test_what_we_could_not_try_is_our_own_fault(self):
        result = concluded(facts(Untried(at=T0, detail="the secret file /x cannot be read")))
        assert (result.outcome, result.verdict) == (Outcome.LOCAL_FAULT, Verdict.UNKNOWN)
        assert result.reasons == ("the secret file /x cannot be read",)

    def test_every_outcome_has_a_default_verdict(self):
        assert set(verdict.DEFAULT_VERDICT) == set(Outcome)


class TestArrival:
    """A canary that was seen."""

    def test_a_canary_seen_in_time_in_the_inbox_is_delivered(self):
        result = concluded(seen(3.0, not_yet=2.5))
        assert (result.outcome, result.verdict, result.reasons) == (Outcome.DELIVERED, Verdict.PASS, ())

    def test_durations_run_from_the_first_byte_and_from_the_final_reply(self):
        result = concluded(seen(3.0, not_yet=2.5))
        assert (result.submission, result.delivery, result.end_to_end) == (1.0, 2.0, 3.0)
        assert result.observation_gap == 0.5

    def test_the_gap_never_reaches_back_before_the_final_reply(self):
        assert concluded(seen(3.0, not_yet=0.2)).observation_gap == 2.0
        assert concluded(seen(3.0)).observation_gap == 2.0

    def test_a_canary_seen_before_the_reply_keeps_its_negative_delivery(self):
        assert concluded(seen(0.4)).delivery == pytest.approx(-0.6)

    def test_late_needs_a_look_without_it_after_the_limit(self):
        assert concluded(seen(70.0, not_yet=LATE + 1)).outcome is Outcome.LATE

    def test_a_bracket_that_spans_the_limit_is_delivered_with_timeliness_unobserved(self):
        result = concluded(seen(70.0, not_yet=LATE - 1))
        assert (result.outcome, result.reasons) == (Outcome.DELIVERED, ("timeliness_unobserved",))

    def test_a_look_exactly_at_the_limit_proves_no_lateness(self):
        assert concluded(seen(70.0, not_yet=LATE)).outcome is Outcome.DELIVERED

    def test_exactly_on_the_limit_is_in_time(self):
        assert concluded(seen(LATE, not_yet=LATE - 1)).reasons == ()

    def test_a_message_in_junk_is_junked_not_lost(self):
        result = concluded(seen(3.0, folder="Junk Email"))
        assert (result.outcome, result.verdict) == (Outcome.JUNK, Verdict.FAIL)
        assert result.reasons == ("placement: expected inbox, found in folder Junk Email",)

    def test_a_message_that_the_service_marked_as_junk_is_junk_in_any_folder(self):
        result = concluded(seen(3.0, findings=Findings(marked_junk="dest:J")))
        assert result.outcome is Outcome.JUNK

    def test_a_check_that_accepts_any_placement_passes_in_junk(self):
        check = a_check(expect=expecting(placement="any"))
        assert concluded(seen(3.0, folder="Junk Email", check=check)).outcome is Outcome.DELIVERED

    def test_junk_weighs_more_than_lateness(self):
        assert concluded(seen(70.0, not_yet=65.0, folder="Junk Email")).outcome is Outcome.JUNK

    def test_an_indeterminate_canary_that_is_seen_is_delivered(self):
        attempt = refused(Stage.DATA, cause=Cause.DROPPED, sent=True)
        result = concluded(seen(3.0, attempt=attempt))
        assert (result.outcome, result.submission, result.delivery, result.end_to_end) == (
            Outcome.DELIVERED,
            None,
            None,
            3.0,
        )

    def test_the_first_of_two_sightings_counts(self):
        canary = a_canary()
        both = [a_sighting(canary, T0 + 9), a_sighting(canary, T0 + 4)]
        assert concluded(facts(accepted(), canary=canary, sightings=both)).end_to_end == 4.0

    @pytest.mark.parametrize(
        ("expect", "findings", "reason"),
        [
            ({"results": {"spf": "pass"}}, Findings(results={"spf": "fail"}), "spf: expected pass, found fail"),
            ({"results": {"dkim": "pass"}}, Findings(), "dkim: expected pass, found nothing"),
            ({"results": {"spf": "pass"}}, Findings(), "spf: expected pass, found nothing"),
            ({"attributed": False}, Findings(attributed=True), "attributed: expected no, found yes"),
            ({"scl_max": 1}, Findings(scl=5), "scl: expected at most 1, found 5"),
            ({"max_hop_delay": 10}, Findings(hops=[SLOW]), "hop: expected at most 10 s, found 31.5 s at hub.example"),
            ({"max_hop_delay": 10}, Findings(hops=[FIRST]), "hop: expected at most 10 s, found no delay"),
            ({"headers": ["X-Tag"]}, Findings(), "header: expected X-Tag, found nothing"),
            ({"tls": "1.3"}, Findings(), "tls: expected 1.3 or later, found TLSv1.2"),
        ],
    )
    def test_an_expectation_that_fails_degrades_and_names_both_sides(self, expect, findings, reason):
        check = a_check(expect=expecting(**expect))
        result = concluded(seen(3.0, check=check, findings=findings, attempt=accepted(tls="TLSv1.2")))
        assert (result.outcome, result.verdict, result.reasons) == (Outcome.DEGRADED, Verdict.WARN, (reason,))

    @pytest.mark.parametrize(
        "expect",
        [
            {},  # the inbox is expected, and only the header tells whether the service marked it as junk
            {"placement": "any", "results": {"spf": "pass"}},
            {"placement": "any", "headers": ["X-Tag"]},
            {"placement": "any", "tls": "1.2", "tls_every_hop": True},
            {"placement": "any", "attributed": True},
            {"placement": "any", "attributed": False},
            {"placement": "any", "scl_max": 1},
            {"placement": "any", "max_hop_delay": 10},
        ],
    )
    @pytest.mark.parametrize("known", [False, True])
    def test_a_header_that_nobody_could_read_is_neither_a_pass_nor_held_against_the_canary(self, expect, known):
        silent = seen(3.0, check=a_check(expect=expecting(**expect)), findings=None, attempt=accepted(tls="TLSv1.2"))
        result = concluded(replace(silent, attribution_known=known))
        assert (result.outcome, result.verdict) == (Outcome.DELIVERED, Verdict.UNKNOWN)
        assert result.reasons == ("evidence_unobserved",)

    def test_what_was_seen_counts_though_nobody_could_read_the_header(self):
        junk = concluded(seen(3.0, folder="Junk Email", findings=None))
        assert (junk.outcome, junk.verdict) == (Outcome.JUNK, Verdict.FAIL)
        late = concluded(seen(70.0, not_yet=LATE + 1, findings=None))
        assert (late.outcome, late.verdict, late.reasons) == (Outcome.LATE, Verdict.WARN, ("evidence_unobserved",))
        check = a_check(expect=expecting(tls="1.3"))
        plain = concluded(seen(3.0, check=check, findings=None, attempt=accepted(tls="TLSv1.2")))
        assert (plain.outcome, plain.verdict) == (Outcome.DEGRADED, Verdict.WARN)
        assert plain.reasons == ("tls: expected 1.3 or later, found TLSv1.2", "evidence_unobserved")

    def test_a_check_that_expects_nothing_of_the_header_needs_none(self):
        result = concluded(seen(3.0, check=a_check(expect=expecting(placement="any")), findings=None))
        assert (result.outcome, result.verdict, result.reasons) == (Outcome.DELIVERED, Verdict.PASS, ())

    @pytest.mark.parametrize(("found", "word"), [(Findings(attributed=False), "no"), (Findings(), "nothing")])
    def test_a_missing_header_of_the_connector_counts_once_it_has_been_seen_on_the_check(self, found, word):
        silent = seen(3.0, check=a_check(expect=expecting(attributed=True)), findings=found)

        before = concluded(silent)
        assert (before.outcome, before.reasons) == (Outcome.DELIVERED, ("attribution_unobserved",))

        after = concluded(replace(silent, attribution_known=True))
        assert (after.outcome, after.reasons) == (Outcome.DEGRADED, (f"attributed: expected yes, found {word}",))

    @pytest.mark.parametrize(
        ("hops", "reasons"),
        [
            ((), ["no hops"]),
            ((FIRST, SLOW), []),
            ((replace(FIRST, wire=False, tls=None), SLOW), []),
            ((replace(FIRST, tls=None), SLOW), ["no TLS at edge.example"]),
            ((replace(FIRST, tls=""), SLOW), ["TLS of a version that is not named at edge.example"]),
            (
                (replace(FIRST, tls="TLSv1.0"), replace(SLOW, tls="SSLv3", by=None)),
                ["TLSv1.0 at edge.example", "SSLv3 at an unnamed server"],
            ),
        ],
    )
    def test_tls_on_every_hop_is_demanded_wherever_a_host_passes_the_message_on(self, hops, reasons):
        check = a_check(expect=expecting(tls="1.2", tls_every_hop=True))
        result = concluded(seen(3.0, check=check, findings=Findings(hops=hops), attempt=accepted(tls="TLSv1.3")))
        assert result.reasons == tuple(f"tls: expected 1.2 or later on every hop, found {found}" for found in reasons)
        assert result.verdict is (Verdict.WARN if reasons else Verdict.PASS)

    @pytest.mark.parametrize(("found", "known"), [(False, True), (False, False), (None, True)])
    def test_where_no_connector_is_wanted_its_absence_is_as_expected(self, found, known):
        silent = seen(3.0, check=a_check(expect=expecting(attributed=False)), findings=Findings(attributed=found))
        assert concluded(replace(silent, attribution_known=known)).reasons == ()

    def test_expectations_that_hold_pass(self):
        check = a_check(expect=expecting(results={"spf": "pass"}, tls="1.2", headers=("X-Tag",), scl_max=1))
        good = Findings(results={"spf": "pass"}, scl=-1, headers=frozenset({"x-tag"}))
        assert concluded(seen(3.0, check=check, findings=good, attempt=accepted(tls="TLSv1.3"))).verdict is Verdict.PASS

    def test_plain_text_never_meets_a_demand_for_tls(self):
        check = a_check(expect=expecting(tls="1.2"))
        assert concluded(seen(3.0, check=check)).reasons == ("tls: expected 1.2 or later, found no TLS",)


class TestAbsence:
    """A canary that was not seen."""

    def test_before_the_deadline_nothing_is_said(self):
        result = judge(facts(accepted(), looked_at=T0 + 599), T0 + 599)
        assert result == Pending(again_at=T0 + LOST, deadline_at=T0 + LOST)

    def test_lost_needs_a_look_that_began_at_the_deadline_or_later(self):
        assert isinstance(judge(facts(accepted(), looked_at=T0 + LOST - 0.001), T0 + 700), Pending)
        result = concluded(facts(accepted(), looked_at=T0 + LOST), T0 + 700)
        assert (result.outcome, result.verdict) == (Outcome.LOST, Verdict.FAIL)

    def test_lost_needs_that_look_in_every_folder(self):
        one_folder = Watching(looked_at={"INBOX": T0 + 700, "Junk Email": T0 + 500})
        assert isinstance(judge(facts(accepted(), watching=one_folder), T0 + 700), Pending)
        never = Watching(looked_at={"INBOX": T0 + 700, "Junk Email": None})
        assert isinstance(judge(facts(accepted(), watching=never), T0 + 700), Pending)

    def test_nothing_is_lost_in_a_mailbox_that_nobody_watches(self):
        assert isinstance(judge(facts(accepted(), watching=Watching(looked_at={})), T0 + 700), Pending)

    def test_the_deadline_moves_on_by_the_time_that_nobody_looked(self):
        blind = [BlindSpan(began_at=T0 + 100, ended_at=T0 + 400)]
        result = judge(facts(accepted(), looked_at=T0 + 700, blind=blind), T0 + 700)
        assert result == Pending(again_at=T0 + LOST + 300, deadline_at=T0 + LOST + 300)
        assert concluded(facts(accepted(), looked_at=T0 + 900, blind=blind), T0 + 900).outcome is Outcome.LOST

    def test_blindness_before_the_canary_does_not_count(self):
        blind = [BlindSpan(began_at=T0 - 500, ended_at=T0 - 1), BlindSpan(began_at=T0 - 100, ended_at=T0 + 50)]
        assert judge(facts(accepted(), blind=blind), T0).deadline_at == T0 + LOST + 50

    def test_folders_that_were_unwatched_at_once_count_once(self):
        blind = [BlindSpan(began_at=T0 + 100, ended_at=T0 + 200), BlindSpan(began_at=T0 + 150, ended_at=T0 + 250)]
        assert judge(facts(accepted(), blind=blind), T0).deadline_at == T0 + LOST + 150

    def test_blindness_that_begins_within_the_extension_extends_it_further(self):
        blind = [BlindSpan(began_at=T0 + 500, ended_at=T0 + 650), BlindSpan(began_at=T0 + 700, ended_at=T0 + 800)]
        assert judge(facts(accepted(), blind=blind), T0).deadline_at == T0 + LOST + 250

    def test_blindness_after_the_deadline_changes_nothing(self):
        blind = [BlindSpan(began_at=T0 + LOST, ended_at=T0 + 9999)]
        assert judge(facts(accepted(), blind=blind), T0).deadline_at == T0 + LOST

    @pytest.mark.parametrize(
        ("took", "deadline"), [(1.0, LOST), (LOST - LATE, LOST), (LOST, LOST + LATE), (2000.0, 2000.0 + LATE)]
    )
    def test_one_that_was_long_in_being_handed_over_has_some_time_to_arrive(self, took, deadline):
        attempt = accepted(seconds=took)
        assert isinstance(judge(facts(attempt, looked_at=T0 + deadline - 0.1), T0 + deadline), Pending)
        assert concluded(facts(attempt, looked_at=T0 + deadline), T0 + deadline + 1).outcome is Outcome.LOST

    def test_without_looks_it_becomes_unobserved_in_the_end(self):
        check = a_check(limits=Limits(every=60, late_after=60, lost_after=600, observe_within=3600))
        assert judge(facts(accepted(), check=check), T0 + 4199).again_at == T0 + 4200
        result = concluded(facts(accepted(), check=check), T0 + 4200)
        assert (result.outcome, result.verdict) == (Outcome.UNOBSERVED, Verdict.UNKNOWN)

    def test_a_canary_in_doubt_that_is_not_seen_is_indeterminate_never_lost(self):
        for attempt, abandoned in ((None, True), (refused(Stage.DATA, cause=Cause.DROPPED, sent=True), False)):
            looked = concluded(facts(attempt, abandoned=abandoned, looked_at=T0 + LOST), T0 + 700)
            unseen = concluded(facts(attempt, abandoned=abandoned), T0 + LOST + 86400)
            assert {looked.outcome, unseen.outcome} == {Outcome.INDETERMINATE}
            assert looked.verdict is Verdict.UNKNOWN

    def test_while_the_message_is_being_sent_nothing_is_said(self):
        canary = a_canary()
        known = facts(None, canary=canary, sightings=[a_sighting(canary, T0 + 1)], looked_at=T0 + 9999)
        assert isinstance(judge(known, T0 + 9999), Pending)

    def test_a_pending_canary_is_never_due_in_the_past_once_its_deadline_has_gone(self):
        assert judge(facts(accepted(), looked_at=T0), T0 + 700).again_at == T0 + LOST + 86400


class TestBounce:
    """A notice came back."""

    def bounce(self, canary, **changes):
        known = {"final": True, "action": "failed", "status": "5.1.1", "diagnostic": "550 5.1.1 no such user"}
        return Bounce(canary=canary.id, seen_at=T0 + 4, **{**known, **changes})

    def test_a_bounce_ends_the_canary_at_once_in_the_servers_words(self):
        canary = a_canary()
        result = concluded(facts(accepted(), canary=canary, bounces=[self.bounce(canary)]))
        assert (result.outcome, result.verdict) == (Outcome.BOUNCED, Verdict.FAIL)
        assert result.reasons == ("550 5.1.1 no such user",)

    def test_a_delayed_notice_is_not_the_end(self):
        canary = a_canary()
        delayed = self.bounce(canary, final=False, action="delayed")
        assert isinstance(judge(facts(accepted(), canary=canary, bounces=[delayed]), T0 + 5), Pending)

    def test_a_canary_that_was_seen_is_delivered_whatever_bounces(self):
        canary = a_canary()
        known = facts(accepted(), canary=canary, bounces=[self.bounce(canary)], sightings=[a_sighting(canary, T0 + 3)])
        assert concluded(known).outcome is Outcome.DELIVERED


class TestNegativeCheck:
    """A check that expects a refusal."""

    CHECK = a_check(expect=expecting(refused=r"5.4.1|5.7.*"))

    @pytest.mark.parametrize("enhanced", ["5.4.1", "5.7.1", "5.7.68"])
    def test_the_refusal_that_is_expected_passes(self, enhanced):
        result = concluded(facts(refused(Stage.RCPT, 550, enhanced), check=self.CHECK))
        assert (result.outcome, result.verdict) == (Outcome.REJECTED, Verdict.PASS)

    @pytest.mark.parametrize("enhanced", ["5.1.1", "15.7.1", None])
    def test_another_refusal_fails_and_names_both(self, enhanced):
        result = concluded(facts(refused(Stage.RCPT, 550, enhanced), check=self.CHECK))
        assert (result.outcome, result.verdict) == (Outcome.REJECTED, Verdict.FAIL)
        assert result.reasons[0] == f"refused: expected 5.4.1|5.7.*, found {enhanced or 'no enhanced code'}"

    def test_acceptance_fails_at_once(self):
        result = concluded(facts(accepted(), check=self.CHECK), T0 + 2)
        assert (result.outcome, result.verdict) == (Outcome.ACCEPTED, Verdict.FAIL)

    def test_a_message_in_doubt_that_arrives_was_accepted(self):
        result = concluded(seen(3.0, check=self.CHECK, attempt=refused(Stage.DATA, cause=Cause.DROPPED, sent=True)))
        assert result.outcome is Outcome.ACCEPTED

    def test_other_outcomes_keep_their_verdict(self):
        assert concluded(facts(refused(Stage.RCPT, 451, "4.7.1"), check=self.CHECK)).verdict is Verdict.FAIL
        unreachable = refused(Stage.CONNECT, cause=Cause.CONNECT)
        assert concluded(facts(unreachable, check=self.CHECK, online=False)).verdict is Verdict.UNKNOWN


class TestCurrentVerdict:
    """How a check stands now."""

    def standing(self, **changes):
        known = {
            "newest": Verdict.PASS,
            "concluded_at": T0,
            "looked_at": T0,
            "overdue": 0,
            "every": 60.0,
            "late_after": 60.0,
        }
        return Standing(**{**known, **changes})

    def test_it_is_that_of_the_newest_started_concluded_canary(self):
        for one in Verdict:
            assert current(self.standing(newest=one), T0 + 10)[0] is one

    @pytest.mark.parametrize("gone", ["looked_at", "concluded_at"])
    def test_it_is_unknown_once_the_last_look_or_conclusion_is_older_than_three_intervals(self, gone):
        fresh = {"looked_at": T0 + 500, "concluded_at": T0 + 500, gone: T0}
        assert current(self.standing(**fresh), T0 + 180)[0] is Verdict.PASS
        assert current(self.standing(**fresh), T0 + 181)[0] is Verdict.UNKNOWN

    def test_a_long_late_after_makes_it_more_patient(self):
        standing = self.standing(late_after=1000.0)
        assert current(standing, T0 + 1060)[0] is Verdict.PASS
        assert current(standing, T0 + 1061)[0] is Verdict.UNKNOWN

    def test_it_is_unknown_while_nothing_has_concluded_or_nobody_ever_looked(self):
        assert current(self.standing(newest=None, concluded_at=None), T0)[0] is Verdict.UNKNOWN
        assert current(self.standing(looked_at=None), T0)[0] is Verdict.UNKNOWN

    def test_it_warns_while_a_canary_is_overdue(self):
        assert current(self.standing(overdue=1), T0)[0] is Verdict.WARN
        assert current(self.standing(overdue=1, newest=None, concluded_at=None), T0)[0] is Verdict.WARN

    def test_overdue_never_hides_a_failure(self):
        assert current(self.standing(overdue=1, newest=Verdict.FAIL), T0)[0] is Verdict.FAIL

    def test_mail_that_vanishes_warns_rather_than_going_unknown(self):
        looked = self.standing(overdue=3, looked_at=T0 + 400, concluded_at=T0)
        assert current(looked, T0 + 400)[0] is Verdict.WARN

    def test_it_is_never_green_while_nobody_can_look(self):
        assert current(self.standing(looked_at=T0 - 181, overdue=1), T0)[0] is Verdict.UNKNOWN


def test_the_same_facts_always_give_the_same_answer():
    known = seen(3.0, not_yet=2.0)
    assert judge(known, T0 + 4) == judge(known, T0 + 4)


def test_a_reply_that_is_no_answer_to_the_command_defers():
    odd = Refused(
        stage=Stage.DATA,
        cause=Cause.REPLY,
        reply=Reply(code=250, enhanced=None, text="ok"),
        transcript=a_transcript(),
    )
    assert concluded(facts(odd)).outcome is Outcome.DEFERRED
