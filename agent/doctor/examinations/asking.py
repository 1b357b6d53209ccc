"""Questions to DNS, where no answer is a finding too."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from agent.doctor.finding import Finding, Status, not_tested, warning
from checks.errors import LocalFault
from checks.wire.dns import Unresolvable
from checks.wire.policies import LibraryMissing

_UNANSWERED = "could not be looked up"
RESERVED = "{domain} is a name for examples and tests (RFC 2606), which has no records in DNS"


async def findings_of(name: str, asking: Awaitable[Finding | Sequence[Finding]], *, told_by: str = "") -> list[Finding]:
    """Return what *asking* comes to.

    That nobody could tell is a warning, unless that is told by the subject *told_by* already; that a library is
    missing is no test.
    """
    try:
        found = await asking
    except LibraryMissing as fault:
        return [not_tested(name, str(fault))]
    except (Unresolvable, LocalFault) as error:
        if told_by:
            return [not_tested(name, f"it could not be looked up: see {told_by}")]
        return [
            warning(
                name,
                f"{_UNANSWERED}: {error}",
                meaning="Neither could anybody else tell who asks the same name servers; mail servers treat it as a"
                " temporary failure.",
                fix="Check this machine's name servers (/etc/resolv.conf), and those of the domain.",
                source="RFC 1035 section 4.1.1",
            )
        ]
    return [found] if isinstance(found, Finding) else list(found)


def is_unanswered(finding: Finding) -> bool:
    """Tell whether *finding* is that nobody could tell."""
    return finding.status is Status.WARNING and finding.found.startswith(_UNANSWERED)
