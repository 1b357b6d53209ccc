"""What a notice means for one message that was sent to one recipient."""

from collections.abc import Sequence

from checks.core.bounce.dsn import FAILED
from checks.core.bounce.model import Kind, Notification, Recipient


def fate_of(notice: Notification, sent_to: str) -> tuple[Kind, Recipient | None]:
    """Return what *notice* says of the message to *sent_to*, and the recipient whose fate it is, if it names any.

    A report may list several: a mailbox that forwards, or a distribution list, makes more of one. Those with our final
    address count alone; else those whose original address is ours (RFC 3464 2.3.1); else all. The last is for addresses
    that were rewritten on the way (forwarding, Exchange's IMCEA and X.500): no rule tells which of them was ours.

    It is a bounce only if every recipient that counts has failed. Where one of several got the message it may well be
    the canary that arrived: a bounce that is overlooked ends as `lost`, which is a failure too; one that is none is a
    false page.
    """
    if not notice.recipients:
        return notice.suspected or notice.kind, None
    ours = _plain(sent_to)
    counting = (
        [one for one in notice.recipients if _plain(one.address) == ours]
        or [one for one in notice.recipients if one.original_address and _plain(one.original_address) == ours]
        or notice.recipients
    )
    failed = [one for one in counting if one.action in FAILED]
    if notice.kind is Kind.BOUNCE and len(failed) < len(counting):
        return _not_final(counting)
    return notice.kind, (failed or counting)[0]


def _not_final(counting: Sequence[Recipient]) -> tuple[Kind, Recipient]:
    delayed = [one for one in counting if one.action == "delayed"]
    return (Kind.DELAYED if delayed else Kind.OTHER), (delayed or counting)[0]


def _plain(address: str) -> str:
    """Write an address as servers compare it in practice: without case, quotes, and a tag after a plus sign."""
    local, _, domain = address.strip().strip("<>").casefold().rpartition("@")
    name, _, _ = local.strip('"').partition("+")
    return f"{name}@{domain.rstrip('.')}"
