"""What an SMTP dialogue shows, read from its lines."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from checks.core.model import DialogueLine

_HELLO_ADDRESS = re.compile(r"\bHello \[(?:IPv6:)?([0-9A-Fa-f:.]{3,45})\]", re.IGNORECASE)
_DATE = re.compile(r"[A-Z][a-z]{2}, [ 0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}")
_NAMES = ("EHLO ", "HELO ")


def greeting(lines: Sequence[DialogueLine]) -> str:
    """Return the server's first line; empty where it said nothing."""
    return next((line.text for line in lines if line.who == "S"), "")


def greeting_date(text: str) -> datetime | None:
    """Read the time that a greeting tells, as Exchange's does; None where it has none."""
    match = _DATE.search(text)
    if match is None:
        return None
    try:
        return parsedate_to_datetime(match[0]).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def said_hello(lines: Sequence[DialogueLine]) -> str:
    """Return the name that we greeted with; empty where it never came to that."""
    ours = (line.text for line in reversed(lines) if line.who == "C" and line.text.startswith(_NAMES))
    return next(ours, "")[5:]


def offered(lines: Sequence[DialogueLine]) -> list[str]:
    """List what the last EHLO was answered with, in capitals, the server's name left out."""
    answer = _last_answer(lines)
    return [text[4:].upper() for text in answer[1:]]


def mechanisms(lines: Sequence[DialogueLine]) -> list[str]:
    """List the AUTH mechanisms of the last EHLO."""
    auth = next((line for line in offered(lines) if line.startswith(("AUTH ", "AUTH="))), "")
    return auth[5:].replace("=", " ").split()


def seen_address(lines: Sequence[DialogueLine]) -> str | None:
    """Return our address as the server sees it, where it answers EHLO by it, as Exchange does."""
    for line in _last_answer(lines)[:1]:
        match = _HELLO_ADDRESS.search(line)
        if match:
            try:
                return str(ipaddress.ip_address(match[1]))
            except ValueError:
                return None
    return None


def is_public(address: str | None) -> bool:
    """Tell whether *address* is one that the internet could see."""
    try:
        return address is not None and ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _last_answer(lines: Sequence[DialogueLine]) -> list[str]:
    """Return the lines of the answer to the last EHLO that was answered with success."""
    answer: list[str] = []
    current: list[str] | None = None
    for line in lines:
        if line.who == "C":
            current = [] if line.text.startswith(_NAMES) else None
        elif line.who == "S" and current is not None:
            current.append(line.text)
            if line.text.startswith("250"):
                answer = current
    return answer
