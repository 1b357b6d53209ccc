"""The signed token that makes a message one of our canaries.

``rc1.<id>.<check>.<key>.<signature>``: the signature is HMAC-SHA256 (RFC 2104), base64url without padding, over
everything before it and the recipient, so that a token neither can be made up nor be moved to another mailbox.
It says nothing about time: latency is measured by our own clock only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

VERSION = "rc1"
PATTERN = re.compile(
    r"(?<![A-Za-z0-9_-])rc1\.(?P<id>[a-z2-7]{16})\.(?P<check>[A-Za-z0-9_-]{1,40})"
    r"\.(?P<key>[A-Za-z0-9]{1,16})\.(?P<signature>[A-Za-z0-9_-]{43})(?![A-Za-z0-9_-])"
)
ID_BYTES = 10


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was read: claimed until `verify` says so."""

    id: str
    check: str
    key: str
    signature: str


def canary_id(randomness: bytes) -> str:
    """Turn 10 random bytes into the 16 characters of an id (lower-case base32: safe in a URL and in speech).

    Raises:
        ValueError: there are not exactly 10 bytes.
    """
    if len(randomness) != ID_BYTES:
        raise ValueError(f"an id is made of {ID_BYTES} random bytes, not {len(randomness)}")
    return base64.b32encode(randomness).decode("ascii").lower()


def mint(canary: str, check: str, recipient: str, *, key: str, secret: bytes) -> str:
    """Write the token of one canary, signed with *secret*, which is known by the id *key*."""
    return write(Token(id=canary, check=check, key=key, signature=_sign(canary, check, key, recipient, secret)))


def write(token: Token) -> str:
    """Write a token as it stands in a message."""
    return f"{VERSION}.{token.id}.{token.check}.{token.key}.{token.signature}"


def signature(token: str) -> str:
    """Return the signature of a token that `mint` wrote."""
    return token.rpartition(".")[2]


def find(text: str) -> Iterator[Token]:
    """Find everything in *text* that has the form of a token; nothing is proven by that."""
    for match in PATTERN.finditer(text):
        yield Token(match["id"], match["check"], match["key"], match["signature"])


def verify(token: Token, recipient: str, secrets: Mapping[str, bytes]) -> bool:
    """Tell whether the signature is ours, in constant time. An unknown key id is never ours."""
    secret = secrets.get(token.key)
    if secret is None:
        return False
    return equal(_sign(token.id, token.check, token.key, recipient, secret), token.signature)


def equal(signature: str, other: str) -> bool:
    """Compare two signatures in constant time."""
    return hmac.compare_digest(signature, other)


def _sign(canary: str, check: str, key: str, recipient: str, secret: bytes) -> str:
    signed = f"{VERSION}\n{canary}\n{check}\n{key}\n{recipient.lower()}".encode()
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
