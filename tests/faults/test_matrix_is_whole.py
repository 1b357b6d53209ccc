"""No cell of the fault matrix is missing: what can break, crossed with how, and where each is put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from faults import (
    test_crowded_mailbox,
    test_disk_faults,
    test_machine_faults,
    test_machine_kills,
    test_machine_stages,
    test_standstill,
)
from faults.breakage import BouncedAfterDelivery, Breakage, Evident
from faults.misbehaviour import Act
from faults.smtp_proxy import At
from faults.table import PASS, ROWS, Row

from checks.core.model import Outcome

ACTS = (Act.REFUSE, Act.RESET, Act.HANG, Act.DRIP, Act.HALF_CLOSE, Act.GARBAGE, Act.OVERSIZED, Act.CLOSING)
TAKEN = tuple(f"{act}-taken" for act in ACTS if act is not Act.REFUSE)  # a refusal is an answer: nothing is in doubt
NAMED = {
    "smtp-connect": (Act.REFUSE, Act.HANG),  # there is no dialogue yet in which more could go wrong
    **{f"smtp-{stage}": ACTS for stage in At},
    "smtp-dot": TAKEN,
    "tls": ("wrong-name", "expired", "self-signed", "old-version", "stripped", "plain-text-injected"),
    "dns": ("nxdomain", "servfail", "timeout", "first-mx-dead", "ipv6-dead-ipv4-alive"),
    "mailbox-login": (*ACTS[:-1], Act.BYE),
    "mailbox-idle": (*ACTS[:-1], Act.BYE, "gone-silent"),
    "mailbox": (
        "uidvalidity-changed",
        "folder-missing",
        "folder-missing-and-mail-lost",
        "expunged-before-anybody-looked",
        "expunged-before-its-evidence-is-read",
        "clock-ten-days-fast",
        "clock-ten-days-slow",
    ),
    "mail": (
        "delayed-past-late",
        "delayed-past-lost",
        "doubled",
        "junked",
        "bounced-after-delivery",
        "header-stripped",
        "subject-tagged",
        "forged",
        "replayed",
    ),
}
# What is done to processes, disks and clocks, and to a mailbox of another size, is a story and not a row.
STORIES: dict[ModuleType, tuple[str, ...]] = {
    test_crowded_mailbox: ("crowd", "large_message", "test_a_canary_is_found_in_a_crowded_mailbox"),
    test_machine_kills: ("test_every_canary_ends_in_one_verdict_however_often_the_agent_is_killed",),
    test_machine_stages: (
        "test_a_canary_of_a_killed_agent_is_judged_by_what_became_of_it",
        "test_a_canary_that_was_planned_but_never_left_is_in_doubt_after_a_kill",
        "test_a_canary_that_was_accepted_and_not_yet_seen_is_delivered_after_a_kill",
        "test_a_canary_that_was_seen_and_not_yet_judged_is_judged_once_after_a_kill",
    ),
    test_disk_faults: (
        "test_a_full_disk_stops_the_sending_and_turns_no_check_green_and_nothing_is_lost_when_it_has_room",
        "test_a_ledger_that_another_process_locks_stops_the_sending_until_it_lets_go",
        "test_a_read_only_ledger_is_refused_in_one_line_and_nothing_is_sent",
        "test_a_disk_that_turns_read_only_stops_the_sending_and_turns_no_check_green_and_nothing_is_lost",
        "test_a_second_agent_on_one_ledger_is_refused_and_the_first_is_unharmed",
    ),
    test_machine_faults: (
        "test_a_clock_that_is_set_by_an_hour_changes_no_verdict_and_no_latency",
        "test_a_suspension_longer_than_lost_after_loses_nothing",
        "test_an_agent_that_starts_without_network_says_unknown_and_passes_as_soon_as_there_is_one",
    ),
    test_standstill: ("test_a_standstill_while_a_canary_is_awaited_does_not_lose_it",),
}


def cells() -> Iterator[str]:
    for what, faults in NAMED.items():
        yield from (f"{what}-{fault}" for fault in faults)


def test_each_fault_is_a_row_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert sorted(set(cells()) - set(names)) == []
    assert len(set(names)) == len(names)


def test_a_fault_that_need_not_be_proven_shows_in_what_its_row_expects() -> None:
    def expectations(row: Row) -> tuple[object, ...]:
        return row.outcome, row.verdict, row.says, row.expected(), row.after_healing()

    taken_at_their_word = [row for row in ROWS if isinstance(row.breaks, Evident)]
    silent = [
        row.name
        for row in taken_at_their_word
        if not isinstance(row.breaks, BouncedAfterDelivery)  # which waits until the bounce is on record
        and expectations(row)
        == expectations(Row(name="well", breaks=Breakage(), outcome=Outcome.DELIVERED, verdict=PASS, check=row.check))
    ]
    assert silent == []


@pytest.mark.parametrize(("module", "names"), STORIES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_each_fault_that_is_no_row_is_a_story(module: ModuleType, names: tuple[str, ...]) -> None:
    assert [name for name in names if not callable(getattr(module, name, None))] == []
