"""Status and reply codes in the free text of a notification.

Servers quote each other, so that one line may hold several codes. A reply code right in front of an enhanced one is an
SMTP reply for certain; a lone number counts only where nothing better stands.
"""

import re

from checks.core.reply import ENHANCED_CODE

_REPLY = r"(?:4[2-7][0-9]|5[0-7][0-9])"
_PAIR = re.compile(
    rf"(?<![\d.\w-])({_REPLY})[ -][ #(']{{0,2}}([45]\.[0-9]{{1,3}}\.[0-9]{{1,3}})(?![\w]|\.[0-9])", re.ASCII
)
_FAILURE = re.compile(r"(?<![\w.])([45]\.[0-9]{1,3}\.[0-9]{1,3})(?![\w]|\.[0-9])", re.ASCII)
# Those that mail servers are known to answer with. Other numbers between 400 and 600 are counts, ports, or other
# protocols' codes, which a server may repeat too (`426 connection timed out`).
_KNOWN_REPLY = r"(?:42[0-2]|43[0-2]|44[0-9]|45[0-9]|471|50[0-5]|51[0-6]|52[0-5]|53[0-8]|541|55[0-9]|56[0-9]|57[0-9])"
_LONE_REPLY = re.compile(
    rf"(?<![\w./@=-])(?<!\w:)({_KNOWN_REPLY})(?=[ -]|[,;:.]?(?:\s|\Z))(?![ -]?(?:bytes|seconds|hours|kb)\b)",
    re.ASCII | re.IGNORECASE,
)
# Sendmail of old puts its own code in front and the other server's behind: `554 <a@b.example>... 550 Host unknown`.
_ANSWERED = re.compile(rf"(?m)^{_REPLY} [^\n]{{1,300}}?\.\.\. ({_REPLY}) ", re.ASCII)
_VAGUE = re.compile(r"[45]\.(?:0\.0|4\.7)")


def find_codes(text: str) -> tuple[str | None, int | None]:
    """The enhanced status code and the reply code of the failure that a text tells of.

    The first pair of both decides, unless its enhanced code is vague and a later one says more.
    """
    pairs = [(match[2], int(match[1])) for match in _PAIR.finditer(text)]
    telling = next((pair for pair in pairs if not is_vague(pair[0])), None)
    if telling:
        return telling
    codes = [match[1] for match in _FAILURE.finditer(text)]
    status = next((code for code in codes if not is_vague(code)), codes[0] if codes else None)
    if pairs:
        return status, pairs[0][1]
    lone = [int(match[1]) for pattern in (_ANSWERED, _LONE_REPLY) for match in pattern.finditer(text)]
    # Of several numbers the one of the status code's own class is its reply.
    same_class = [code for code in lone if status and str(code)[0] == status[0]]
    return status, next(iter(same_class or lone), None)


def is_vague(status: str | None) -> bool:
    """Whether a status code leaves the cause open: none, x.0.0 (undefined) or x.4.7 (too old, whatever held it up)."""
    return status is None or _VAGUE.fullmatch(status) is not None


def first_status(text: str) -> str | None:
    """The first enhanced code of any class in a text: `5.1.1 (bad address)` and `#2.0.0` alike."""
    match = ENHANCED_CODE.search(text)
    return match[1] if match else None
