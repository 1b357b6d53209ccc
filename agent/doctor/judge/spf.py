"""SPF: whether the record is sound, and whether it covers what this path sends from."""

from __future__ import annotations

from agent.doctor.finding import Finding, failure, not_tested, ok, warning
from checks.core.spf import MAX_LOOKUPS, SpfResult, chain, evaluate
from checks.knowledge.microsoft import SPF_INCLUDES
from checks.wire.policies import SpfReading

_RFC = "RFC 7208"
_MICROSOFT = 'Microsoft Learn, "Set up SPF to identify valid email sources for your custom cloud domains"'
_NEARLY = 9
_BY_MICROSOFT = frozenset({"submission", "graph_send", "relay"})


def judge_record(domain: str, reading: SpfReading | None) -> Finding:
    """Judge the record by itself; *reading* is None where the domain has none."""
    if reading is None:
        return failure(
            "dns.spf",
            f"{domain} has no SPF record",
            meaning="Receivers cannot tell who may send for the domain: the mail ends in Junk, or is refused.",
            fix=f'Publish a TXT record at {domain}: "v=spf1 include:spf.protection.outlook.com -all", with ip4: for'
            " each address of your own that sends by relay or direct send.",
            source=_MICROSOFT,
        )
    lookups = f"{reading.lookups} of {MAX_LOOKUPS} look-ups" if reading.lookups is not None else "look-ups not counted"
    if reading.error or reading.record is None:
        return failure(
            "dns.spf",
            f"the SPF record of {domain} is broken: {reading.error or 'it cannot be read'} ({lookups})",
            meaning="Receivers that come to this place in it call the whole record broken (permerror), and take the"
            " mail as not authenticated.",
            fix="Correct the record. Of too many look-ups: take out includes that are no longer needed, replace a, mx"
            " and ptr by ip4 and ip6.",
            source=f"{_RFC} section 4.6",
        )
    found = f"{reading.record.text} ({lookups})"
    if reading.lookups is not None and reading.lookups >= _NEARLY:
        return warning(
            "dns.spf",
            found,
            meaning=f"One more include, or one more in a record that you include, and receivers call it broken: the"
            f" limit is {MAX_LOOKUPS}.",
            fix="Take out includes that are no longer needed; replace a, mx and ptr by ip4 and ip6.",
            source=f"{_RFC} section 4.6.4",
        )
    if reading.remarks:
        return warning(
            "dns.spf",
            f"{found}: {reading.remarks[0]}",
            meaning="The record works, but not everywhere, or not as it is meant.",
            fix="Correct what is named.",
            source=_RFC,
        )
    return ok("dns.spf", found)


def judge_path(reading: SpfReading, kind: str, sending: str | None, host: str) -> list[Finding]:
    """Judge whether the record of the sender's domain covers a path of *kind* that sends from *sending*.

    Mail by submission, Graph and relay leaves for the outside from Microsoft's addresses; relay and direct send come
    to Microsoft from our own, where it counts for the tenant's own mailboxes. Any other server's are its own business.
    """
    if reading.error or reading.record is None:
        return [not_tested("dns.spf_sender", "the SPF record is broken: see the domain")]
    findings = []
    if kind in _BY_MICROSOFT:
        findings.append(_judge_microsoft(reading))
    if kind in {"relay", "direct_send"}:
        findings.append(_judge_address(reading, sending))
    if not findings:
        why = f"which addresses {host} sends from only shows in mail that has arrived"
        findings.append(not_tested("dns.spf_sender", why))
    return findings


def _judge_microsoft(reading: SpfReading) -> Finding:
    assert reading.record is not None  # noqa: S101 - the caller has looked
    domains = list(chain(reading.record))
    if found := next((name for name in domains if name.lower() in SPF_INCLUDES), None):
        return ok("dns.spf_microsoft", f"the SPF record covers what Microsoft 365 sends: include:{found}")
    return failure(
        "dns.spf_microsoft",
        f"the SPF record of {reading.record.domain} does not include Microsoft 365",
        meaning="This mail leaves for the outside from Microsoft's addresses, and fails SPF there.",
        fix="Add include:spf.protection.outlook.com to the record (21Vianet: spf.protection.partner.outlook.cn; GCC"
        " High and DoD: spf.protection.office365.us).",
        source=_MICROSOFT,
    )


def _judge_address(reading: SpfReading, sending: str | None) -> Finding:
    assert reading.record is not None  # noqa: S101 - the caller has looked
    if sending is None:
        return not_tested(
            "dns.spf_sender", "the address that this path sends from, as the internet sees it, is not known"
        )
    verdict = evaluate(reading.record, sending)
    way = " -> ".join(verdict.way)
    match verdict.result:
        case SpfResult.PASS:
            return ok("dns.spf_sender", f"SPF passes for {sending}: {way}")
        case SpfResult.UNDECIDED:
            return not_tested("dns.spf_sender", f"only a receiver can decide for {sending}: {way}", source=_RFC)
        case SpfResult.FAIL:
            return failure("dns.spf_sender", f"SPF fails for {sending}: {way}", **_uncovered(sending))
        case _:
            return warning("dns.spf_sender", f"SPF gives {verdict.result} for {sending}: {way}", **_uncovered(sending))


def _uncovered(sending: str) -> dict[str, str]:
    mechanism = f"ip{6 if ':' in sending else 4}:{sending}"
    return {
        "meaning": "This path sends from an address that the domain does not name: to the tenant's own mailboxes the"
        " mail counts as spoofed, and goes to Junk (compauth=fail).",
        "fix": f"Add {mechanism} to the SPF record of the sender's domain, if the address is fixed and yours alone;"
        " otherwise send by client submission or Graph.",
        "source": _MICROSOFT,
    }
