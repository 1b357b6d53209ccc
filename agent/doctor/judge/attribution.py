"""Whether a check can be judged by `attributed`: only where the tenant is known to stamp the header."""

from __future__ import annotations

from agent.doctor.finding import Finding, not_tested, ok

_SOURCE = "DESIGN section 6; the X-MS-Exchange headers are not documented"


def judge_attribution(check: str, *, expected: bool | None, seen: int) -> Finding:
    """Judge by *seen*, the number of canaries of *check* that the ledger knows to have come in by a connector."""
    name = "headers.attributed"
    if seen:
        judged = "attributed is judged" if expected is not None else "expect: {attributed: true} can be demanded"
        return ok(name, f"{seen} canaries of {check} carry the header of the connector: {judged}")
    shown = "; until then `attributed` is shown, and not judged" if expected is not None else ""
    return not_tested(
        name,
        f"no canary of {check} is known to carry the header by which Exchange Online tells that a connector let it in"
        f"{shown}",
        fix="Let the agent run; if canaries arrive and this stays, the receiving side does not show the header: only a"
        " recipient outside of the tenant proves the connector then.",
        source=_SOURCE,
    )
