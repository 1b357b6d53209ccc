"""Tell what is wrong in words: those of the server, what they mean, what to do. The same words as everywhere else."""

from __future__ import annotations

from agent.alerts.correlation import Finding
from agent.alerts.incident import Story
from agent.alerts.policy import rank
from agent.alerts.scene import Scene
from agent.alerts.signs import Ill
from agent.words import told
from checks.core.model import Outcome, Verdict
from checks.knowledge import Diagnosis, diagnose_outcome

_LONGEST = 1000
_ORDER = (Verdict.UNKNOWN, Verdict.WARN, Verdict.FAIL)


def tell(finding: Finding, scene: Scene) -> Story:
    """Tell the story of a finding, by the one of its troubles that says most."""
    words = finding.words(scene)
    example = max(finding.ills, key=_weight)
    said = _said(example, scene)
    known = _diagnosis(example, said)
    several = len({ill.check.path for ill in finding.ills}) > 1 and not example.blind
    return Story(
        title=words.title,
        said=f"path {example.check.path}: {said}"[:_LONGEST] if several and said else said[:_LONGEST],
        meaning=words.meaning or (known.meaning if known else ""),
        fix=words.fix or (known.fix if known else ""),
        source="" if words.fix or known is None else known.source,
        canary=example.problem.canary if example.problem else "",
    )


def _weight(ill: Ill) -> tuple[bool, int, int, int]:
    return ill.lasting, _ORDER.index(ill.kind), rank(ill.check.severity), ill.newest


def _said(ill: Ill, scene: Scene) -> str:
    if ill.blind:
        mailbox = scene.mailboxes.get(ill.check.mailbox)
        return mailbox.words if mailbox is not None else ""
    return "; ".join(told(ill.problem.reasons)) if ill.problem else ""


def _diagnosis(ill: Ill, said: str) -> Diagnosis | None:
    if ill.blind:
        return diagnose_outcome(Outcome.UNOBSERVED, (said,) if said else ())
    if ill.problem is None:
        return None
    return diagnose_outcome(
        ill.problem.outcome, ill.problem.reasons, method=ill.check.method, attempt=ill.problem.attempt
    )
