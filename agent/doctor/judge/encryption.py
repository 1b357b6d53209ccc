"""Whether the connection is encrypted, by whose certificate, and whether that is as DNS promises (DANE)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.doctor.finding import Finding, failure, not_tested, ok, warning
from agent.doctor.judge import certificates
from agent.doctor.judge.diagnosed import of_refusal
from checks.core.model import Cause, Stage
from checks.knowledge import microsoft
from checks.wire.dns import Records
from checks.wire.rehearsal import Rehearsal

_STARTTLS = "RFC 3207"
_DANE = "RFC 7672"
_SPKI, _CERTIFICATE = 1, 0
_TRUST_ANCHOR, _END_ENTITY = 2, 3
_HASHES = {1: hashlib.sha256, 2: hashlib.sha512}


def judge_tls(rehearsal: Rehearsal, shown: Sequence[bytes], host: str, *, method: str, now: datetime) -> list[Finding]:
    """Judge encryption on a connection that came as far as the greeting.

    *shown* are the certificates that the server showed to somebody who does not verify, where it was not trusted.
    """
    refused, tls = rehearsal.refused, rehearsal.transcript.tls
    if refused is not None and refused.stage is Stage.STARTTLS:
        if refused.cause is Cause.NOT_OFFERED:
            return [_not_offered(refused.detail, host)]
        if refused.cause is Cause.TLS:
            chain = certificates.read_chain(shown)
            return [certificates.judge_untrusted("smtp.tls", refused.detail, chain, host, now)]
        return [of_refusal("smtp.tls", refused, method=method)]
    if tls is None:
        if refused is not None and refused.stage in {Stage.GREETING, Stage.EHLO}:
            return [not_tested("smtp.tls", "the server ended the session before STARTTLS")]
        return [_plain_text()]
    findings = [ok("smtp.tls", f"encrypted: {tls.version}, {tls.cipher}")]
    if chain := certificates.read_chain(rehearsal.chain):
        findings.append(certificates.judge_expiry("smtp.certificate", chain, now))
    return findings


def _not_offered(detail: str, host: str) -> Finding:
    if microsoft.is_microsofts(host):
        return failure(
            "smtp.tls",
            f"STARTTLS is stripped: {detail}",
            meaning="Microsoft's servers always offer STARTTLS: something on the way takes it out.",
            fix="Turn SMTP inspection off for this host on the firewall, the antivirus or at the provider.",
            source=_STARTTLS,
        )
    return failure(
        "smtp.tls",
        f"STARTTLS is not offered: {detail}",
        meaning="The server, or something on the way, does not encrypt, and the settings demand it.",
        fix="Check host and port; have TLS configured on the server. Set tls: opportunistic only where mail may be read"
        " on the way.",
        source=_STARTTLS,
    )


def _plain_text() -> Finding:
    return warning(
        "smtp.tls",
        "the connection is not encrypted",
        meaning="Everybody on the way can read and change the mail. Microsoft 365 takes mail for relay by certificate"
        " and client submission over TLS only.",
        fix="Set tls: required on this path.",
        source=_STARTTLS,
    )


def judge_dane(host: str, port: int, records: Records, chain: Sequence[bytes]) -> list[Finding]:
    """Hold the certificates that were shown against the TLSA records of the host; nothing to say where it has none.

    Usages 2 and 3 count (RFC 7672 3.1); which names a certificate of usage 2 must have is not looked at.
    """
    if not records.values:
        return []
    if not records.authentic:
        return [
            not_tested(
                "dns.dane",
                f"{host} has TLSA records, but this machine's name server does not vouch for them by DNSSEC,"
                " so that a sender here would pass over them",
                fix="To have DANE tested, use a name server that validates DNSSEC.",
                source=_DANE,
            )
        ]
    if not chain:
        return [not_tested("dns.dane", f"{host} has TLSA records, but showed no certificate to hold against them")]
    if any(_matches(record, chain) for record in records.values):
        return [ok("dns.dane", f"the certificate is what the TLSA records of _{port}._tcp.{host} promise")]
    return [
        failure(
            "dns.dane",
            f"the certificate is not what the TLSA records of _{port}._tcp.{host} promise",
            meaning="Senders that hold to DANE do not deliver here; or something on the way shows another certificate.",
            fix="If it is Microsoft's host, look for TLS inspection on the way. If it is yours, publish the records of"
            " the new certificate before it is used.",
            source=_DANE,
        )
    ]


def _matches(record: str, chain: Sequence[bytes]) -> bool:
    """Tell whether one TLSA record, ``3 1 1 HASH``, is about a certificate of *chain* (RFC 6698 2.1)."""
    fields = record.split()
    try:
        usage, selector, matching = map(int, fields[:3])
    except ValueError:
        return False
    wanted = "".join(fields[3:]).lower()
    candidates = {_END_ENTITY: chain[:1], _TRUST_ANCHOR: chain}.get(usage, ())
    return any(_digest(der, selector, matching) == wanted for der in candidates)


def _digest(der: bytes, selector: int, matching: int) -> str:
    if selector == _SPKI:
        key = x509.load_der_x509_certificate(der).public_key()
        data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    elif selector == _CERTIFICATE:
        data = der
    else:
        return ""
    if matching == 0:
        return data.hex()
    hashed = _HASHES.get(matching)
    return hashed(data).hexdigest() if hashed else ""
