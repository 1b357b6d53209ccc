"""A mail that looks like a canary and is not: the signature is changed, everything else is kept. Pure.

The lab does not know how canaries are signed, and must not. It changes the end of the longest word in the fields that
can carry a signature, which spoils any keyed hash over them.
"""

from __future__ import annotations

import re

_FIELDS = re.compile(
    rb"^(?:x-relaycanary|message-id|subject):[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
_WORD = re.compile(rb"[A-Za-z0-9_+/=.-]{16,}")
_TAIL = 12  # characters; the very last one of a base64 text may carry no bit of the hash
# Within hexadecimal, base32 and base64 alphabets each character becomes another of the same alphabet.
_OTHER = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"1034567298bcdefahijklmnopqrstuvwxyzgBCDEFAHIJKLMNOPQRSTUVWXYZG",  # pragma: allowlist secret
)


def forge(content: bytes) -> bytes:
    """Return *content* with a wrong signature."""
    header, gap, body = content.partition(b"\r\n\r\n")
    return _FIELDS.sub(lambda field: _spoil(field[0]), header) + gap + body


def _spoil(field: bytes) -> bytes:
    words = _WORD.findall(field)
    if not words:
        return field
    word = max(words, key=len)
    return field.replace(word, word[:-_TAIL] + word[-_TAIL:].translate(_OTHER))
