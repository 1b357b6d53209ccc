"""DMARC: what receivers are told to do with mail that fails."""

from __future__ import annotations

from agent.doctor.finding import Finding, ok, warning
from checks.wire.policies import DmarcReading

_RFC = "RFC 9989"
_MICROSOFT = 'Microsoft Learn, "Set up DMARC to validate the From address domain for cloud senders"'


def judge_dmarc(domain: str, reading: DmarcReading | None) -> Finding:
    """Judge the record that holds for *domain*; *reading* is None where there is none."""
    if reading is None:
        return warning(
            "dns.dmarc",
            f"{domain} has no DMARC record",
            meaning="Anybody may send as your domain, and large providers (Outlook.com, Gmail, Yahoo) demand a record"
            " of those who send much.",
            fix=f'Publish a TXT record at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:ADDRESS"; read the reports,'
            " then go on to p=quarantine and p=reject.",
            source=_MICROSOFT,
        )
    if reading.error:
        return warning(
            "dns.dmarc",
            f"the DMARC record of {domain} cannot be used: {reading.error}",
            meaning="Receivers pass over a record that they cannot read: it is as if there were none.",
            fix=f"Correct the TXT record at _dmarc.{domain}.",
            source=_RFC,
        )
    where = "" if reading.location.lower() == domain.lower() else f" (of {reading.location})"
    found = f"{reading.text}{where}"
    notes = list(reading.remarks[:1])
    if reading.tags.get("p") == "none":
        notes.insert(0, "p=none only watches, mail that fails is delivered as any other")
    return ok("dns.dmarc", "; ".join((found, *notes)))
