"""When a watcher looks for canaries, and for how long it remembers them."""

from __future__ import annotations

from agent.watch.pacing import Pacing


def test_a_path_that_loses_its_mail_fills_no_memory_while_others_are_busy():
    pacing = Pacing()
    largest = 0
    for number in range(2000):
        now = number * 0.1
        pacing.expect(f"good{number}", "good", now)
        pacing.expect(f"lost{number}", "bad", now)
        pacing.found(f"good{number - 10}", now)
        pacing.looked(now, now + 0.01)
        pacing.next_at()
        largest = max(largest, len(pacing._awaited))
    assert largest < 100, "the looks of a canary end a few seconds after it was accepted"


def test_a_canary_that_the_last_planned_look_finds_still_teaches_its_path():
    """The look serves the plan only after it has told what it found."""
    pacing = Pacing()
    for number in range(5):
        began = 100.0 * number
        pacing.expect(f"canary{number}", "relay", began)
        while (due := pacing.next_at()) is not None and due < began + 5.0:
            pacing.looked(due, due)
        assert due is not None
        pacing.found(f"canary{number}", began + 5.0)
        pacing.looked(due, due)
    pacing.expect("next", "relay", 1000.0)
    first = pacing.next_at()
    assert first is not None
    assert first > 1004.0


def test_a_mailbox_that_cannot_be_read_for_hours_fills_no_memory():
    pacing = Pacing()
    for number in range(4000):
        pacing.expect(f"canary{number}", "relay", number * 1.0)
    assert len(pacing._planned) < 2000, "a minute of them, and what is still to come"
    assert len(pacing._awaited) < 100


def test_a_look_that_could_not_be_made_is_made_as_soon_as_one_can_be():
    pacing = Pacing()
    pacing.expect("found meanwhile", "relay", 0.0)
    pacing.expect("awaited", "relay", 1.0)
    pacing.expect("refreshes the plan", "relay", 500.0)
    pacing.found("found meanwhile", 501.0)
    pacing.found("refreshes the plan", 501.0)
    due = pacing.next_at()
    assert due is not None, "the look that is under way may have begun before any of them was planned"
    assert due < 10.0
    pacing.looked(501.0, 501.1)
    assert pacing.next_at() is None
