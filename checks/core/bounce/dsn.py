"""Delivery status reports: RFC 3464's fields, read as they are written rather than as they should be."""

import re
from collections.abc import Iterator, Sequence

from checks.core.bounce.codes import find_codes, first_status, is_vague
from checks.core.bounce.model import Recipient
from checks.core.headers.fields import Headers, parse_headers
from checks.core.reply import clean_text

MAX_RECIPIENTS = 100
FAILED = frozenset({"failed", "error", "fail", "failure"})
"""Actions that say that delivery failed for good; RFC 3464 has the first only."""

_MAX_NAME = 255
_MAX_REPORT = 262_144

_BLANK_LINES = re.compile(rb"\n(?:[ \t]*\n)+")
_TYPED = re.compile(r"\s*([\w-]{1,40})\s*;\s*(.*)", re.DOTALL)
_ADDRESS = re.compile(r"[^\s<>\"(),;:]{1,128}@[^\s<>\"(),;:@]{1,253}")
_QUOTED_ADDRESS = re.compile(r'"[^"]{1,128}"@[^\s<>"(),;:@]{1,253}')
_WORD = re.compile(r"[a-z]{1,20}")
_SUCCESS = re.compile(r"(2\d\d)[ -]", re.ASCII)
_ABOUT_RECIPIENT = ("Final-Recipient", "Original-Recipient", "Action", "Status", "Diagnostic-Code")


def parse_report(content: bytes) -> tuple[str | None, tuple[Recipient, ...]]:
    """The reporting MTA and the recipients of a message/delivery-status content."""
    reporting_mta: str | None = None
    groups: list[Headers] = []
    for block in _BLANK_LINES.split(content[:_MAX_REPORT].replace(b"\r\n", b"\n").strip()):
        fields = parse_headers(block)
        reporting_mta = reporting_mta or _name(fields.first("Reporting-MTA"))
        for group in _recipient_groups(fields):
            if groups and _continues(groups[-1], group):
                groups[-1] = Headers(groups[-1].fields + group.fields)
            else:
                groups.append(group)
            if len(groups) == MAX_RECIPIENTS:
                return reporting_mta, tuple(_recipient(group) for group in groups)
    return reporting_mta, tuple(_recipient(group) for group in groups)


def bare_address(text: str) -> str | None:
    """The mail address in a text, or None."""
    match = _QUOTED_ADDRESS.search(text) or _ADDRESS.search(text)
    return match[0].strip("'.") if match else None


def _recipient_groups(fields: Headers) -> Iterator[Headers]:
    """The fields of each recipient in one block: some servers leave out the blank line between recipients."""
    if not any(name in fields for name in _ABOUT_RECIPIENT):
        return
    current: list[tuple[str, str]] = []
    for field in fields.fields:
        name = field[0].lower()
        if name in ("final-recipient", "action") and any(name == seen.lower() for seen, _ in current):
            yield Headers(tuple(current))
            current = []
        current.append(field)
    yield Headers(tuple(current))


def _continues(before: Headers, group: Headers) -> bool:
    """Whether a stray blank line has cut this group off the one before it."""
    named = ("Final-Recipient", "Original-Recipient")
    if any(name in group for name in named):
        return not any(name in before for name in named)
    return not any(name in before and name in group for name in _ABOUT_RECIPIENT)


def _recipient(fields: Headers) -> Recipient:
    diagnostic = _untyped(fields.first("Diagnostic-Code"))
    summary = first_status(fields.first("Status") or "")
    status, code = find_codes(diagnostic)
    if code is None and (success := _SUCCESS.match(diagnostic)):
        code = int(success[1])
    final = bare_address(_untyped(fields.first("Final-Recipient")))
    original = bare_address(_untyped(fields.first("Original-Recipient")))
    return Recipient(
        address=clean_text(final or original or _untyped(fields.first("Final-Recipient")), _MAX_NAME),
        action=_action(fields.first("Action"), summary or status),
        status=_best_status(summary, status),
        code=code,
        diagnostic=clean_text(diagnostic) or None,
        remote_mta=_name(fields.first("Remote-MTA")),
        original_address=clean_text(original, _MAX_NAME) if original else None,
    )


def _best_status(summary: str | None, quoted: str | None) -> str | None:
    """The refusing server's own code, unless it says less than the reporting server's summary of it."""
    if quoted is None or (is_vague(quoted) and summary is not None):
        return summary
    return quoted


def read_action(value: str) -> str | None:
    """The first word of an action (RFC 3464 section 2.3.3), in lower case."""
    word = _WORD.search(value.lower())
    return word[0] if word else None


def _action(value: str | None, status: str | None) -> str:
    """The action's first word; where it is missing the status class stands in."""
    return read_action(value or "") or {"2": "delivered", "4": "delayed"}.get((status or "5")[:1], "failed")


def _untyped(value: str | None) -> str:
    """A field's value without its type: `rfc822; a@b`, `smtp; 550 …`."""
    match = _TYPED.match(value or "")
    return match[2].strip() if match else (value or "").strip()


def _name(value: str | None) -> str | None:
    return clean_text(_untyped(value), _MAX_NAME) or None if value else None


def worst_action(recipients: Sequence[Recipient]) -> str | None:
    """What a report amounts to: `failed` if any recipient failed, else `delayed` if any is delayed, else None."""
    actions = {recipient.action for recipient in recipients}
    if actions & FAILED:
        return "failed"
    return "delayed" if "delayed" in actions else None
