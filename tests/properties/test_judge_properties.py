"""The verdict on any facts whatever: total, stable, monotone, and blind to what does not matter."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st
from support.make import T0, a_canary, a_check, accepted, expecting, facts, refused

from checks.core.model import (
    BlindSpan,
    Bounce,
    Cause,
    Conclusion,
    Facts,
    Findings,
    Limits,
    MessageRef,
    Outcome,
    Pending,
    Sighting,
    Stage,
    Untried,
    Verdict,
    Watching,
)
from checks.core.verdict import SEEN, judge

CANARY = a_canary(a_check(limits=Limits(every=60, late_after=60, lost_after=300, observe_within=900)))
NEGATIVE = replace(CANARY, check=replace(CANARY.check, expect=expecting(refused="5.7.*")))
GIVE_UP = T0 + 300 + 900

moments = st.integers(-400, 2000).map(lambda second: T0 + second)
later = st.integers(0, 3000)
spans = st.tuples(moments, st.integers(0, 500)).map(lambda one: BlindSpan(began_at=one[0], ended_at=one[0] + one[1]))
refusals = st.builds(
    refused,
    st.sampled_from(list(Stage)),
    st.sampled_from([None, 250, 421, 451, 535, 550]),
    st.sampled_from([None, "5.7.64", "5.1.1"]),
    cause=st.sampled_from(list(Cause)),
    sent=st.booleans(),
)
attempts = st.one_of(
    st.none(), st.just(accepted()), refusals, st.just(Untried(at=T0, detail="the secret cannot be read"))
)
finals = st.builds(
    Bounce,
    canary=st.just(CANARY.id),
    seen_at=moments,
    final=st.booleans(),
    action=st.just("failed"),
    status=st.none() | st.just("5.1.1"),
    diagnostic=st.sampled_from(["", "550 no such user"]),
)
FINDINGS = [None, Findings(), Findings(marked_junk="dest:J")]


@st.composite
def sightings(draw: st.DrawFn) -> list[Sighting]:
    """Sightings at different moments, each after a look without it, if there was one."""
    found = []
    for number, seen_at in enumerate(draw(st.lists(moments.filter(lambda at: at >= T0), max_size=3, unique=True))):
        folder = draw(st.sampled_from(["INBOX", "Junk Email"]))
        found.append(
            Sighting(
                canary=CANARY.id,
                ref=MessageRef(folder=folder, validity="1", uid=str(number)),
                seen_at=seen_at,
                after_at=draw(st.none() | st.integers(0, 300).map(lambda gap, at=seen_at: at - gap)),
                junk=folder != "INBOX",
                findings=draw(st.sampled_from(FINDINGS)),
            )
        )
    return found


@st.composite
def anything(draw: st.DrawFn, answers: st.SearchStrategy = attempts) -> Facts:
    """Facts as a ledger may hold them."""
    folders = draw(st.sets(st.sampled_from(["INBOX", "Junk Email", "Archive"])))
    return facts(
        draw(answers),
        canary=draw(st.sampled_from([CANARY, NEGATIVE])),
        abandoned=draw(st.booleans()),
        online=draw(st.booleans()),
        sightings=draw(sightings()),
        bounces=draw(st.lists(finals, max_size=2)),
        watching=Watching(
            looked_at={folder: draw(st.none() | moments) for folder in sorted(folders)},
            blind=draw(st.lists(spans, max_size=4)),
        ),
    )


def deadline(blind: list[BlindSpan]) -> float:
    """Say, second by second, when somebody will have been watching for `lost_after`."""
    at, watched = T0, 0
    while watched < 300:
        watched += not any(span.began_at <= at < span.ended_at for span in blind)
        at += 1
    return at


@given(anything(), moments)
def test_a_verdict_is_total_and_the_same_facts_always_give_the_same(known, now):
    result = judge(known, now)
    assert result == judge(known, now)
    assert isinstance(result, Conclusion | Pending)
    if isinstance(result, Conclusion):
        assert result.canary == known.canary.id
        assert all(value is None or value >= 0 for value in (result.submission, result.observation_gap))


@given(anything(), moments, later)
def test_a_conclusion_does_not_change_with_time_alone(known, now, seconds):
    result = judge(known, now)
    assume(isinstance(result, Conclusion))
    assert judge(known, now + seconds) == result


@given(anything(), moments)
def test_what_is_pending_falls_due_when_time_alone_can_bring_a_verdict_and_not_before(known, now):
    result = judge(known, now)
    assume(isinstance(result, Pending))
    in_flight = known.attempt is None and not known.abandoned
    if in_flight:
        assert judge(known, now + 10_000_000) == result
        return
    assert result.again_at > now
    assert isinstance(judge(known, max(now, GIVE_UP)), Conclusion)


@given(anything(), moments, st.randoms(use_true_random=False))
def test_the_order_in_which_facts_are_read_does_not_matter(known, now, random):
    assume(sum(bounce.final for bounce in known.bounces) < 2)
    sighted, bounced, blind = list(known.sightings), list(known.bounces), list(known.watching.blind)
    for one in (sighted, bounced, blind):
        random.shuffle(one)
    shuffled = replace(known, sightings=sighted, bounces=bounced, watching=replace(known.watching, blind=blind))
    assert judge(shuffled, now) == judge(known, now)


@given(anything(st.just(accepted()) | refusals), moments)
def test_nothing_passes_that_was_not_seen_or_refused_as_expected(known, now):
    """Never a false green."""
    result = judge(known, now)
    if isinstance(result, Conclusion) and result.verdict is Verdict.PASS:
        if known.canary is NEGATIVE:
            assert (result.outcome, known.attempt.reply.enhanced) == (Outcome.REJECTED, "5.7.64")
        else:
            assert result.outcome is Outcome.DELIVERED
            assert known.sightings


@given(anything(st.just(accepted())), moments)
def test_lost_needs_the_whole_patience_under_watch_and_then_a_look_into_every_folder(known, now):
    """Never a false page."""
    result = judge(replace(known, canary=CANARY), now)
    if isinstance(result, Conclusion) and result.outcome is Outcome.LOST:
        assert not known.sightings
        assert not any(bounce.final for bounce in known.bounces)
        assert known.watching.looked_at
        due = deadline(list(known.watching.blind))
        assert all(at is not None and at >= due for at in known.watching.looked_at.values())


@given(st.lists(spans, max_size=5), st.integers(200, 2600).map(lambda second: T0 + second))
def test_the_deadline_is_when_it_was_watched_for_long_enough(blind, looked_at):
    """Held against a count of watched seconds."""
    known = facts(accepted(), canary=CANARY, looked_at=looked_at, blind=blind)
    result = judge(known, looked_at)
    if looked_at >= deadline(blind):
        assert isinstance(result, Conclusion)
        assert result.outcome is Outcome.LOST
    else:
        assert isinstance(result, Pending) or result.outcome is Outcome.UNOBSERVED


@given(anything(), spans, moments)
def test_more_blindness_never_makes_a_canary_lost(known, span, now):
    before = judge(known, now)
    more = replace(known.watching, blind=[*known.watching.blind, span])
    after = judge(replace(known, watching=more), now)
    if after != before and isinstance(after, Conclusion):
        assert after.verdict is not Verdict.FAIL


@given(anything(), st.sampled_from(["INBOX", "Junk Email", "Archive"]), later, moments)
def test_one_more_look_never_takes_a_conclusion_back(known, folder, seconds, now):
    """Looks may bring a verdict (lost instead of unobserved); they never bring doubt."""
    assume(folder in known.watching.looked_at)
    before = judge(known, now)
    assume(isinstance(before, Conclusion))
    looked = {**known.watching.looked_at, folder: (known.watching.looked_at[folder] or T0) + seconds}
    after = judge(replace(known, watching=replace(known.watching, looked_at=looked)), now)
    assert isinstance(after, Conclusion)
    assert after.outcome is before.outcome or before.outcome is Outcome.UNOBSERVED


@given(anything(), sightings(), moments)
def test_a_sighting_ends_the_wait_and_a_later_one_changes_nothing(known, more, now):
    first = min((one.seen_at for one in known.sightings), default=None)
    extra = [one for one in more if first is None or one.seen_at > first]
    after = judge(replace(known, sightings=[*known.sightings, *extra]), now)
    before = judge(known, now)
    if known.sightings or not extra:
        assert after == before
    elif isinstance(before, Pending) and not (known.attempt is None and not known.abandoned):
        assert isinstance(after, Conclusion)
        assert after.outcome in SEEN | {Outcome.ACCEPTED}


@given(anything(), finals, moments)
def test_a_delayed_notice_changes_nothing(known, notice, now):
    more = [*known.bounces, replace(notice, final=False)]
    assert judge(replace(known, bounces=more), now) == judge(known, now)


@given(anything(), moments)
def test_flags_that_do_not_concern_the_answer_do_not_flip_the_verdict(known, now):
    """`abandoned` matters only without an answer, `online` only where no connection came about."""
    result = judge(known, now)
    if known.attempt is not None:
        assert judge(replace(known, abandoned=not known.abandoned), now) == result
    other = judge(replace(known, online=not known.online), now)
    if other != result:
        assert {other.outcome, result.outcome} <= {Outcome.UNREACHABLE, Outcome.LOCAL_FAULT}


@given(anything(), anything(), moments)
def test_a_refusal_is_judged_by_what_was_said_and_by_nothing_in_the_mailbox(known, other, now):
    result = judge(known, now)
    assume(isinstance(result, Conclusion) and known.attempt is not None)
    assume(result.outcome not in SEEN | {Outcome.ACCEPTED, Outcome.BOUNCED, Outcome.LOST})
    assume(result.outcome not in {Outcome.INDETERMINATE, Outcome.UNOBSERVED})
    mailbox = {"sightings": other.sightings, "bounces": other.bounces, "watching": other.watching}
    assert judge(replace(known, **mailbox), now) == result
