"""How a hop was encrypted, as far as its Received line says so.

Nobody standardised the form, so this knows the ones in use: Exchange (`version=TLS1_2, cipher=…`), Postfix
(`using TLSv1.3 with cipher …`), Exim (`TLS1.3:…`), Sendmail, IronPort (`ESMTP/TLS/…`), and the protocol names of
RFC 3848, which tell that TLS was used but not which.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_VERSION = r"(?:TLS|SSL)[-_ ]?v?\d(?:[._]\d)?"
_DETAILS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"\bversion=(?P<version>{_VERSION})[\w./]{{0,20}}(?:[ ,]+cipher=(?P<cipher>[\w-]{{1,80}}))?",
        rf"\busing (?P<version>{_VERSION}) with cipher (?P<cipher>[\w-]{{1,80}})",
        rf"(?<!\w)(?P<version>{_VERSION})(?:/SSLv\d)?(?::|,\d{{1,4}}bits,)(?P<cipher>[\w-]{{3,80}})",
        rf"(?<!\w)(?P<version>{_VERSION})\s+tls\s+(?P<cipher>[\w-]{{3,80}})",
        rf"\A(?P<version>{_VERSION})\Z",
    )
)
_CIPHER_IN_PROTOCOL = re.compile(r"\b(?:TLS|SSL)/(?P<cipher>[\w-]{3,80})", re.ASCII)
# RFC 3848 and RFC 6531 protocol names: an S behind SMTP or LMTP is TLS, an A is AUTH.
_SECURE_PROTOCOL = re.compile(r"(?:UTF8)?(?:E?SMTP|LMTP)SA?", re.IGNORECASE)
_DIGITS = re.compile(r"(TLS|SSL)\D*(\d)(?:[._](\d))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HopTls:
    """The TLS of one hop: the version as `TLSv1.2`, the cipher suite as written; None for what is not said."""

    version: str | None = None
    cipher: str | None = None


def find_tls(protocol: str | None, comments: Sequence[str]) -> HopTls | None:
    """The TLS that a hop's protocol (its `with` clause) and comments name; None where none is named."""
    for comment in comments:
        for pattern in _DETAILS:
            match = pattern.search(comment)
            if match:
                return HopTls(_version(match["version"]), match.groupdict().get("cipher"))
    if protocol is None:
        return None
    cipher = _CIPHER_IN_PROTOCOL.search(protocol)
    if cipher:
        return HopTls(cipher=cipher["cipher"])
    named = _SECURE_PROTOCOL.fullmatch(protocol.split()[0]) or "TLS" in (*comments, *protocol.split("/"))
    return HopTls() if named else None


def _version(text: str) -> str:
    match = _DIGITS.match(text)
    if match is None:
        return text
    if match[1].upper() == "SSL":
        return f"SSLv{match[2]}"
    return f"TLSv{match[2]}.{match[3] or 0}"
