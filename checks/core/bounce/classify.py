"""What a message is: a bounce, a delay, an automatic answer, a feedback report, or other mail."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from checks.core.bounce import signs
from checks.core.bounce.codes import is_vague
from checks.core.bounce.dsn import bare_address, parse_report, worst_action
from checks.core.bounce.mime import MAX_MESSAGE, Part, leaves, media_type
from checks.core.bounce.model import Kind, Notification, Recipient
from checks.core.bounce.prose import is_delay, read_notice
from checks.core.bounce.returned import notice_lines, returned_headers
from checks.core.bounce.ses import read_ses_notice
from checks.core.headers.fields import Headers, parse_headers, split_message
from checks.core.reply import clean_text

_STATUS_PARTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_LOCAL_PART = re.compile(r"[^@]@")
_MAX_REFERENCES = 20
_CORROBORATED = 2


def may_be_bounce(headers: bytes) -> bool:
    """Whether a message with these headers can be a notice about sent mail, so that its body is worth reading.

    Cheap, and generous on purpose: a bounce that is not fetched is a canary that counts as lost.
    """
    fields = parse_headers(headers)
    return (
        media_type(fields.first("Content-Type") or "") == "multipart/report"
        or (fields.first("Auto-Submitted") or "no").strip().lower() != "no"
        or signs.from_daemon(fields)
        or signs.null_return_path(fields)
        or signs.failure_subject(fields)
        or signs.auto_replied(fields)
        or signs.from_notification_service(fields)
    )


def classify(message: bytes) -> Notification:
    """What this message is, and what it says about which recipients and which message.

    A status report decides. Without one, prose counts as a bounce only when a mail system signs as the sender (or two
    weaker signs agree), and the text names a recipient where notices do.
    """
    message = message[:MAX_MESSAGE].lstrip(b"\r\n")
    headers = parse_headers(split_message(message)[0])
    parts = tuple(leaves(message))
    finding = _find(headers, parts)
    if finding.kind is Kind.OTHER and not finding.recipients and signs.from_daemon(headers):
        finding = _relayed(parts) or finding
    return Notification(
        kind=finding.kind,
        suspected=_suspected(headers, parts) if finding.kind is Kind.OTHER and not finding.recipients else None,
        recipients=finding.recipients,
        reporting_mta=finding.reporting_mta,
        returned_headers=finding.returned_headers,
        in_reply_to=next(iter(_message_ids(headers, "In-Reply-To")), None),
        references=_message_ids(headers, "References"),
        subject=clean_text(signs.subject(headers), 500),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the parts of a message show."""

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    reporting_mta: str | None = None
    returned_headers: bytes = b""


def _find(headers: Headers, parts: Sequence[Part]) -> _Finding:
    returned = returned_headers(parts)
    if _is_feedback(headers, parts):
        return _Finding(Kind.FEEDBACK_REPORT, returned_headers=returned)
    reporting_mta, recipients = _status_report(parts)
    if recipients:
        words = [part for part in parts if part.type not in _STATUS_PARTS]
        recipients = _completed(recipients, headers, words, parse_headers(returned))
        return _Finding(_kind_of_report(recipients), recipients, reporting_mta, returned)
    if signs.is_report(headers, "disposition-notification"):
        return _Finding(Kind.AUTO_REPLY, returned_headers=returned)
    if signs.from_notification_service(headers) and parts:
        reporting_mta, recipients, returned = read_ses_notice(parts[0].text())
        return _Finding(_kind_of_report(recipients), recipients, reporting_mta, returned)
    kind, recipients = _read_prose(headers, parts, parse_headers(returned))
    return _Finding(kind, recipients, returned_headers=returned)


def _relayed(parts: Sequence[Part]) -> _Finding | None:
    """The notice inside a notice: a gateway that wraps another system's bounce into its own says nothing itself."""
    for part in parts:
        if part.type == "message/rfc822":
            inner = part.content()[:MAX_MESSAGE].lstrip(b"\r\n")
            headers = parse_headers(split_message(inner)[0])
            finding = _find(headers, tuple(leaves(inner))) if signs.from_daemon(headers) else None
            return finding if finding and finding.kind in (Kind.BOUNCE, Kind.DELAYED) else None
    return None


def _suspected(headers: Headers, parts: Sequence[Part]) -> Kind | None:
    """What a mail system's words amount to that name no recipient in a way known here."""
    text = "\n".join(notice_lines(parts))
    if not signs.from_daemon(headers) or not (signs.failure_subject(headers) or signs.speaks_of_failure(text)):
        return None
    return Kind.DELAYED if is_delay(text) else Kind.BOUNCE


def _status_report(parts: Sequence[Part]) -> tuple[str | None, tuple[Recipient, ...]]:
    for part in parts:
        if part.type in _STATUS_PARTS:
            reporting_mta, recipients = parse_report(part.content())
            if recipients:
                return reporting_mta, recipients
    return None, ()


def _completed(
    recipients: Sequence[Recipient],
    headers: Headers,
    parts: Sequence[Part],
    returned: Headers,
) -> tuple[Recipient, ...]:
    """The report's recipients, completed from the notice's words where the report leaves out the server's answer."""
    if not any(_lacks_answer(recipient) for recipient in recipients):
        return tuple(recipients)
    said = _notice_recipients(headers, notice_lines(parts), returned)
    by_address = {recipient.address.lower(): recipient for recipient in said}
    alone = said[0] if len(said) == len(recipients) == 1 else None
    return tuple(_merged(one, by_address.get(one.address.lower(), alone)) for one in recipients)


def _lacks_answer(recipient: Recipient) -> bool:
    return recipient.code is None or is_vague(recipient.status) or not _LOCAL_PART.search(recipient.address)


def _merged(report: Recipient, said: Recipient | None) -> Recipient:
    if said is None or not _lacks_answer(report):
        return report
    # A server that itself answered x.0.0 has said its word; the notice then only paraphrases.
    undefined = (
        report.status is not None and report.status in (report.diagnostic or "") and report.status.endswith(".0.0")
    )
    vague = is_vague(report.status) and not is_vague(said.status) and not undefined
    return replace(
        report,
        address=report.address if _LOCAL_PART.search(report.address) else said.address,
        status=said.status if vague else report.status,
        code=said.code if vague or report.code is None else report.code,
        diagnostic=report.diagnostic or said.diagnostic,
    )


def _is_feedback(headers: Headers, parts: Sequence[Part]) -> bool:
    return signs.is_report(headers, "feedback-report") or any(part.type == "message/feedback-report" for part in parts)


def _kind_of_report(recipients: Sequence[Recipient]) -> Kind:
    return {"failed": Kind.BOUNCE, "delayed": Kind.DELAYED}.get(worst_action(recipients) or "", Kind.OTHER)


def _read_prose(headers: Headers, parts: Sequence[Part], returned: Headers) -> tuple[Kind, tuple[Recipient, ...]]:
    weak = (signs.failure_subject(headers), signs.null_return_path(headers), signs.from_software(headers))
    if signs.from_daemon(headers) or sum(weak) >= _CORROBORATED:
        lines = notice_lines(parts)
        if not (signs.failure_subject(headers) or signs.speaks_of_failure("\n".join(lines))):
            return (Kind.AUTO_REPLY if signs.auto_replied(headers) else Kind.OTHER), ()
        pasted = _pasted_report(lines)
        recipients = _completed(pasted, headers, parts, returned) or _notice_recipients(headers, lines, returned)
        if recipients:
            return _kind_of_report(recipients), recipients
        if signs.is_report(headers, "delivery-status"):
            return _unreadable(lines, returned)
    return (Kind.AUTO_REPLY if signs.auto_replied(headers) else Kind.OTHER), ()


def _unreadable(lines: Sequence[str], returned: Headers) -> tuple[Kind, tuple[Recipient, ...]]:
    """A report that cannot be read says what it is all the same, and the returned message tells whose it was."""
    delayed = is_delay("\n".join(lines))
    returned_to = _addresses(returned, "To")
    action = "delayed" if delayed else "failed"
    recipients = tuple(Recipient(clean_text(address, 255), action) for address in returned_to if len(returned_to) == 1)
    return (Kind.DELAYED if delayed else Kind.BOUNCE), recipients


def _notice_recipients(headers: Headers, lines: Sequence[str], returned: Headers) -> tuple[Recipient, ...]:
    returned_to = _addresses(returned, "To")
    senders = (*_addresses(headers, "To"), *_addresses(headers, "From"), *_addresses(returned, "From"))
    return read_notice(
        lines,
        named=_addresses(headers, "X-Failed-Recipients"),
        # Somebody who writes to himself is the sender and the failed recipient.
        senders={sender.lower() for sender in senders} - {address.lower() for address in returned_to},
        returned_to=returned_to,
    )


def _pasted_report(lines: Sequence[str]) -> tuple[Recipient, ...]:
    """The recipients of a status report that stands in the text, as Amazon WorkMail writes it."""
    text = "\n".join(lines)
    if "Final-Recipient:" not in text:
        return ()
    _, recipients = parse_report(text.encode("utf-8", "replace"))
    return tuple(recipient for recipient in recipients if "@" in recipient.address)


def _addresses(headers: Headers, name: str) -> list[str]:
    pieces = (piece for value in headers.all(name)[:3] for piece in value[:4000].split(",")[:50])
    return [address for piece in pieces if (address := bare_address(piece))]


def _message_ids(headers: Headers, name: str) -> tuple[str, ...]:
    return tuple(_MESSAGE_ID.findall(headers.first(name) or "")[-_MAX_REFERENCES:])
