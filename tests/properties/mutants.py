"""Bugs on purpose: what breaks a promise, as a change of one place in the code, for the properties to catch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: in *file*, *good* is replaced by *bad*."""

    name: str
    file: str
    good: str
    bad: str


_VERDICT, _CANARIES, _LOOKS = "checks/core/verdict.py", "agent/ledger/canaries.py", "agent/ledger/looks.py"
_INTERPRET, _WATCHER = "agent/watch/interpret.py", "agent/watch/watcher.py"

MUTANTS = (
    Mutant(
        "lost by the clock, without a look after the deadline",
        _VERDICT,
        "if _looked_since(facts, deadline):",
        "if now >= deadline:",
    ),
    Mutant(
        "lost after a look into one of the folders",
        _VERDICT,
        "and bool(looks) and all(began",
        "and bool(looks) and any(began",
    ),
    Mutant(
        "the time in which nobody looked counts as watched",
        _VERDICT,
        "            deadline += span.ended_at - max(span.began_at, began)",
        "            deadline += 0.0",
    ),
    Mutant(
        "blind spans are never noticed",
        _LOOKS,
        "if look.began_at - before > look.blind_after:",
        "if look.began_at - before > 1e9:",
    ),
    Mutant(
        "a look that is not through counts as complete",
        _WATCHER,
        "complete=look.complete,",
        "complete=True,",
    ),
    Mutant(
        "green although nobody reads the mailbox",
        _VERDICT,
        "if standing.looked_at is None or now - standing.looked_at > stale_after:",
        "if standing.looked_at is None:",
    ),
    Mutant(
        "green although nothing has concluded for long",
        _VERDICT,
        "stale = now - standing.concluded_at > stale_after",
        "stale = False",
    ),
    Mutant(
        "green although canaries are overdue",
        _VERDICT,
        "if standing.overdue and (stale or standing.newest is not Verdict.FAIL):",
        "if standing.overdue and stale:",
    ),
    Mutant(
        "the verdict is that of the canary that concluded last, not of the one that started last",
        _CANARIES,
        "newest = row is None or seq > row.seq",
        "newest = row is None or seq != row.seq",
    ),
    Mutant(
        "each verdict is counted twice",
        _CANARIES,
        'transaction.changes.count(row.name, "canaries", labels)',
        'transaction.changes.count(row.name, "canaries", labels, 2)',
    ),
    Mutant(
        "each refusal is counted twice",
        _CANARIES,
        'changes.count(check.name, "smtp_replies", labels)',
        'changes.count(check.name, "smtp_replies", labels, 2)',
    ),
    Mutant(
        "no latency is ever counted",
        _CANARIES,
        "    if conclusion.outcome in verdict.SEEN:\n        _observe(",
        "    if conclusion.outcome in ():\n        _observe(",
    ),
    Mutant(
        "a verdict stands although a fact came in between",
        _CANARIES,
        '_CONCLUDE = update(canaries).where(_OF_CANARY, _FROM, canaries.c.facts == bindparam("judged"))',
        '_CONCLUDE = update(canaries).where(_OF_CANARY, _FROM, bindparam("judged") >= 0)',
    ),
    Mutant(
        "recovered again with each copy",
        _CANARIES,
        "            canaries.c.state.in_(lifecycle.sources(Event.SIGHT)),\n",
        "",
    ),
    Mutant(
        "what an earlier run left unfinished stays so for ever",
        _CANARIES,
        ".where(canaries.c.state == State.STARTED, canaries.c.run != run)",
        ".where(canaries.c.state == State.STARTED, canaries.c.run > run)",
    ),
    Mutant(
        "sent before it is written down",
        "agent/probe.py",
        "            await self._ledger.start(canary)\n        except LedgerError as error:\n",
        "            attempt = await self._hand_over(canary, signed)\n            await self._ledger.start(canary)\n"
        "        except LedgerError as error:\n",
    ),
    Mutant(
        "a canary that was not accepted is sent again",
        "agent/probe.py",
        "        attempt = await self._hand_over(canary, signed)\n",
        "        attempt = await self._hand_over(canary, signed)\n        if not isinstance(attempt, Accepted):\n"
        "            attempt = await self._hand_over(canary, signed)\n",
    ),
    Mutant(
        "a renumbered folder doubles what was seen",
        _LOOKS,
        "    if renumbered is None:\n        return False\n",
        "    if renumbered is None or renumbered:\n        return False\n",
    ),
    Mutant(
        "a copy in another mailbox counts",
        _INTERPRET,
        "return canary.mailbox == self.mailbox or renamed",
        "return bool(canary.mailbox) or renamed",
    ),
    Mutant(
        "nobody checks the signature",
        "checks/core/recognise.py",
        "return token.equal(candidate.signature, sent.signature)",
        "return bool(candidate.signature)",
    ),
    Mutant(
        "a notice of delay is taken for a bounce",
        _VERDICT,
        "        if bounce.final:\n",
        "        if bounce.action:\n",
    ),
    Mutant(
        "late by when it was seen, though it may have been there in time",
        _VERDICT,
        "late = earliest > check.limits.late_after",
        "late = first.seen_at - began > check.limits.late_after",
    ),
    Mutant(
        "the lower end of the bracket is told as the latency",
        _VERDICT,
        "end_to_end=None if seen is None else seen.seen_at - began,",
        "end_to_end=None if seen is None else max(began, seen.after_at or began) - began,",
    ),
    Mutant(
        "seen since the start of the look, not since its answer",
        _WATCHER,
        "seen_at=answered_at, after_at=folder.looked_at)",
        "seen_at=began_at, after_at=folder.looked_at)",
    ),
    Mutant(
        "not yet there at the time of the last answer, not of the last question",
        _WATCHER,
        "            folder.looked_at = began_at\n",
        "            folder.looked_at = answered_at\n",
    ),
    Mutant(
        "a look of several pages is as young as its last",
        _WATCHER,
        "            if not folder.midway:\n",
        "            if not folder.midway or asked_at:\n",
    ),
    Mutant(
        "a round that began in an earlier life is as young as its first page in this one",
        _WATCHER,
        "midway=cursor is not None))",
        "midway=False))",
    ),
    Mutant(
        "where a cursor is void, only what is still to come is looked for",
        _WATCHER,
        "since=self.clock.now() - reach)",
        "since=self.clock.now() + reach)",
    ),
    Mutant(
        "evidence is given up because the server asked us to slow down",
        "agent/watch/fetches.py",
        "if error.reason in _BLAMED:",
        "if error.reason in _BLAMED or error.reason == 'throttled':",
    ),
    Mutant(
        "the cleaner trusts its memory of a place",
        "agent/watch/clean.py",
        "if lying.get(stored.ref) == stored.canary]",
        "if stored.ref]",
    ),
    Mutant(
        "the other side is blamed although nobody was reached",
        "agent/probe.py",
        "return await self._online.since(transcript.began_at, unresolved=unresolved)",
        "return bool(unresolved) or True",
    ),
)
