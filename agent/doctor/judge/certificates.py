"""Certificates: what a server shows, and what we show it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from agent.doctor.finding import Finding, failure, ok, warning
from checks.core.reply import clean_text

_SOON = timedelta(days=21)
_OURS_SOON = timedelta(days=30)
_PKIX = "RFC 5280 section 6.1"
_RELAY = 'Microsoft Learn, "Configure a certificate-based connector to relay email messages through Microsoft 365"'
_SHOWN = 6


def read_chain(chain: Sequence[bytes]) -> list[x509.Certificate]:
    """Read certificates in DER; what cannot be read is left out."""
    found = []
    for der in chain:
        try:
            found.append(x509.load_der_x509_certificate(der))
        except ValueError:
            continue
    return found


def judge_expiry(name: str, chain: Sequence[x509.Certificate], now: datetime) -> Finding:
    """Say for how long a verified chain will do."""
    leaf = chain[0]
    first = min(chain, key=lambda one: one.not_valid_after_utc)
    left = first.not_valid_after_utc - now
    words = f"{_subject(leaf)} from {_issuer(leaf)}, {_certificates(chain)}, until {first.not_valid_after_utc:%Y-%m-%d}"
    if left > _SOON:
        return ok(name, f"the server's certificate is good: {words}")
    return warning(
        name,
        f"the server's certificate runs out in {max(0, left.days)} days: {words}",
        meaning="When it has run out, every connection fails until the server's owner has renewed it.",
        fix="Ask the server's owner whether the renewal is under way. Microsoft renews its own in time.",
        source=_PKIX,
    )


def judge_untrusted(name: str, why: str, chain: Sequence[x509.Certificate], host: str, now: datetime) -> Finding:
    """Say what is wrong with a chain that was not taken, from the chain itself; *why* is what TLS said."""
    meaning, fix = _fault(chain, why, host, now)
    shown = f" It shows {_subject(chain[0])} from {_issuer(chain[0])}, {_certificates(chain)}." if chain else ""
    return failure(name, f"{why}.{shown}", meaning=meaning, fix=fix, source=_PKIX)


def _fault(chain: Sequence[x509.Certificate], why: str, host: str, now: datetime) -> tuple[str, str]:
    """Say what is wrong with a chain, and what to do about it."""
    if not chain:
        meaning = "The handshake failed before the server had shown a certificate."
        return meaning, "Check that the port is right and that the server offers TLS 1.2 or later."
    leaf = chain[0]
    if out_of_date := _out_of_date(chain, now):
        return out_of_date
    if "match" in why.lower():
        meaning = f"The certificate is for other names: {_names(leaf)}."
        return meaning, (
            f"Use one of these names as host, if it is the server that is meant; or have {host} put into the"
            " certificate. An IP address as host matches only a certificate that has it."
        )
    if leaf.subject == leaf.issuer:
        return "The certificate is self-signed: nobody vouches for it.", (
            "If it is your own server: name its certificate, or its CA's, by ca_file. If it should be Microsoft's:"
            " something on the way takes the TLS apart."
        )
    if chain[-1].subject != chain[-1].issuer and len(chain) == 1:
        meaning = f"Only its own certificate is shown: the one of {_issuer(leaf)} is missing, or nobody here trusts it."
        return meaning, "The server's owner has to configure the full chain. If it is a private CA: name it by ca_file."
    return f"The chain ends at {_issuer(chain[-1])}, which this machine does not trust.", (
        "If it is a private CA: name it by ca_file. If it is the CA of a firewall: have this host exempted from TLS"
        " inspection. Otherwise update this machine's ca-certificates."
    )


def _out_of_date(chain: Sequence[x509.Certificate], now: datetime) -> tuple[str, str] | None:
    leaf = chain[0]
    expired = next((one for one in chain if one.not_valid_after_utc <= now), None)
    if expired is not None:
        which = "The server's certificate" if expired is leaf else f"The intermediate certificate {_subject(expired)}"
        meaning = f"{which} ran out on {expired.not_valid_after_utc:%Y-%m-%d}."
        return meaning, "The server's owner has to renew it. If this machine's clock is wrong, set that right."
    if leaf.not_valid_before_utc > now:
        meaning = f"The server's certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d} on."
        return meaning, "Check this machine's clock."
    return None


def judge_client_certificate(
    certificates: Sequence[x509.Certificate], sender_domain: str, now: datetime, roots: Collection[bytes]
) -> list[Finding]:
    """Say whether a connector can know us by the certificate that we show.

    Args:
        certificates: what is in the file, leaf first.
        sender_domain: the domain of MAIL FROM, an accepted domain of the tenant.
        now: the time.
        roots: the names (subjects in DER) of the CAs that this machine trusts.
    """
    return [
        _judge_names(certificates[0], sender_domain),
        _judge_completeness(certificates, roots),
        _judge_own_expiry(certificates[0], now),
    ]


def _judge_names(leaf: x509.Certificate, sender_domain: str) -> Finding:
    names = _name_list(leaf)
    domain = sender_domain.lower()
    bare = [name.lower().removeprefix("*.") for name in names]
    if any(name == domain or name.endswith(f".{domain}") for name in bare):
        return ok("smtp.client_certificate.names", f"the client certificate is for {_names(leaf)}")
    return warning(
        "smtp.client_certificate.names",
        f"the client certificate is for {_names(leaf)}, and the sender is at {sender_domain}",
        meaning="A connector knows a certificate by a name in it that is an accepted domain of the tenant. None of"
        " these names lies in the sender's domain.",
        fix=f"Use a certificate for {sender_domain} or a host in it; or make sure that a name in the certificate is an"
        " accepted domain, and is the connector's TlsSenderCertificateName.",
        source=_RELAY,
    )


def _judge_completeness(certificates: Sequence[x509.Certificate], roots: Collection[bytes]) -> Finding:
    name = "smtp.client_certificate.chain"
    current, rest = certificates[0], list(certificates[1:])
    length = 1
    while current.subject != current.issuer and current.issuer.public_bytes() not in roots:
        following = next((one for one in rest if _issued(current, one)), None)
        if following is None:
            return failure(
                name,
                f"the client-certificate file lacks the certificate of {_issuer(current)}",
                meaning="Exchange Online does not fetch intermediate certificates: without them it cannot tie the"
                " certificate to a CA, and the connector does not know us (550 5.7.64).",
                fix="Append the intermediate certificates of your CA to the file, in order, after the leaf.",
                source=_RELAY,
            )
        rest.remove(following)
        current, length = following, length + 1
    if current.subject == current.issuer and length == 1:
        return warning(
            name,
            "the client certificate is self-signed",
            meaning="Exchange Online takes client certificates of public CAs only.",
            fix="Get a certificate for the sender's domain from a public CA.",
            source=_RELAY,
        )
    return ok(name, f"the client certificate comes with its chain: {length} certificates up to {_issuer(current)}")


def _judge_own_expiry(leaf: x509.Certificate, now: datetime) -> Finding:
    left = leaf.not_valid_after_utc - now
    words = f"{leaf.not_valid_after_utc:%Y-%m-%d}, in {max(0, left.days)} days"
    if left > _OURS_SOON:
        return ok("smtp.client_certificate.expiry", f"the client certificate is good until {words}")
    return warning(
        "smtp.client_certificate.expiry",
        f"the client certificate runs out on {words}",
        meaning="From then on the connector refuses us.",
        fix="Renew it and replace the file; the agent reads it again by itself. The names have to stay as they are.",
        source=_RELAY,
    )


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name_list(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
        names += [str(address) for address in extension.value.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return [clean_text(str(name), 100) for name in dict.fromkeys([*names, *(str(one.value) for one in common)])]


def _names(certificate: x509.Certificate) -> str:
    names = _name_list(certificate)
    more = len(names) - _SHOWN
    return (", ".join(names[:_SHOWN]) or "no name at all") + (f" and {more} more" if more > 0 else "")


def _subject(certificate: x509.Certificate) -> str:
    return _common_name(certificate.subject)


def _issuer(certificate: x509.Certificate) -> str:
    return _common_name(certificate.issuer)


def _common_name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return clean_text(str(common[0].value) if common else name.rfc4514_string(), 100) or "somebody without a name"


def _certificates(chain: Sequence[x509.Certificate]) -> str:
    return f"{len(chain)} certificate{'' if len(chain) == 1 else 's'} sent"
