"""Which replies stopped most canaries, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from agent.ledger.past import RefusalCount
from agent.report.figures import TopRefusal
from checks.core.model import Check, Reply, Stage
from checks.knowledge import Diagnosis, diagnose, diagnose_text

_TOP = 10
_LONGEST_TEXT = 300


def top_refusals(counts: Iterable[RefusalCount], specs: Mapping[int, Check]) -> Sequence[TopRefusal]:
    """Add up the refusals of each path, and tell the most frequent kinds with the words of the newest one."""
    kinds: dict[tuple[str, str, int | None, str | None], TopRefusal] = {}
    methods: dict[str, str] = {}
    for one in sorted(counts, key=lambda count: count.last):
        check = specs[one.spec]
        methods[check.path] = check.method
        key = (check.path, one.stage or "", one.code, one.enhanced)
        told = _told(check.path, one)
        known = kinds.get(key)
        kinds[key] = told if known is None else replace(told, n=known.n + one.n, first=min(known.first, one.first))
    most = sorted(kinds.values(), key=lambda kind: (-kind.n, kind.path, kind.stage))[:_TOP]
    return [_explained(kind, methods[kind.path]) for kind in most]


def _told(path: str, one: RefusalCount) -> TopRefusal:
    reply = one.attempt.get("reply") if one.stage is not None else None
    text = reply.get("text", "") if reply else one.attempt.get("detail", "")
    return TopRefusal(
        path=path,
        stage=one.stage or "",
        code=one.code,
        enhanced=one.enhanced,
        text=text[:_LONGEST_TEXT],
        n=one.n,
        first=one.first,
        last=one.last,
        canary=one.canary,
        meaning=None,
        fix=None,
    )


def _explained(kind: TopRefusal, method: str) -> TopRefusal:
    found = _diagnosis(kind, method)
    return replace(kind, meaning=found.meaning, fix=found.fix) if found else kind


def _diagnosis(kind: TopRefusal, method: str) -> Diagnosis | None:
    if kind.code is None:
        return diagnose_text(kind.text)
    reply = Reply(code=kind.code, enhanced=kind.enhanced, text=kind.text)
    stage = Stage(kind.stage) if kind.stage in set(Stage) else None
    return diagnose(reply, method=method, stage=stage)
