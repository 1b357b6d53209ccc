"""DKIM: whether Exchange Online can sign as the sender's domain, by the two selectors that it uses."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from agent.doctor.finding import Finding, ok, warning

SELECTORS = ("selector1", "selector2")
"""The selectors of Exchange Online; it rotates from one to the other."""

_SOURCE = 'Microsoft Learn, "Set up DKIM to sign mail from your cloud domain"'
_WEAK = 1024


@dataclass(frozen=True, slots=True)
class Selector:
    """What DNS holds at a selector: where its CNAME leads, and the key's record at the end; empty where nothing."""

    alias: str = ""
    text: str = ""


def judge_dkim(domain: str, selectors: Mapping[str, Selector]) -> Finding:
    """Judge the selectors of Exchange Online at *domain*."""
    keys = {name: _bits(found.text) for name, found in selectors.items()}
    usable = {name: bits for name, bits in keys.items() if bits is not None}
    shown = "; ".join(_shown(name, found, keys[name]) for name, found in selectors.items())
    if not any(found.alias or found.text for found in selectors.values()):
        return warning(
            "dns.dkim",
            f"{domain} has no DKIM records of Microsoft 365 (selector1, selector2)",
            meaning="What Microsoft 365 sends for the domain is signed as onmicrosoft.com only: DMARC then rests on SPF"
            " alone, and fails as soon as somebody forwards the mail.",
            fix="Microsoft Defender portal: Email & collaboration, Policies, Email authentication settings, DKIM:"
            " choose the domain, publish the two CNAME records that it shows, and switch signing on.",
            source=_SOURCE,
        )
    if not usable:
        return warning(
            "dns.dkim",
            f"no DKIM key behind the records of {domain}: {shown}",
            meaning="The CNAME records are there, but lead to no key: signing is not switched on for the domain, or the"
            " records lead to the wrong place.",
            fix="Compare them with what the Microsoft Defender portal shows for the domain (DKIM), and switch signing"
            " on.",
            source=_SOURCE,
        )
    if any(bits and bits <= _WEAK for bits in usable.values()):
        return warning(
            "dns.dkim",
            f"a DKIM key of {domain} is short: {shown}",
            meaning="Keys of 1024 bits are allowed, but no longer thought safe; some receivers take them for none.",
            fix=f"Rotate to 2048 bits: Rotate-DkimSigningConfig -Identity {domain} -KeySize 2048",
            source="RFC 8301 section 3.2",
        )
    return ok("dns.dkim", f"DKIM keys of {domain}: {shown}", source=_SOURCE)


def _bits(text: str) -> int | None:
    """Return the size of the key in a record (RFC 6376 3.6.1): 0 for one that is not RSA, None without a usable key."""
    tags = dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)
    value = "".join(tags.get("p", "").split())
    if not value:
        return None
    if tags.get("k", "rsa").strip().lower() != "rsa":
        return 0
    try:
        key = load_der_public_key(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return None
    return key.key_size if isinstance(key, RSAPublicKey) else 0


def _shown(name: str, found: Selector, bits: int | None) -> str:
    key = "no key" if bits is None else f"{bits} bits" if bits else "a key"
    return f"{name} -> {found.alias}: {key}" if found.alias else f"{name}: {key}"
