"""What Exchange Online writes about a message it has taken: filtering verdicts, times, ids, and who the sender was.

Sources: Microsoft's "Anti-spam message headers" (2025-07-07) for X-Forefront-Antispam-Report and X-Microsoft-Antispam;
the X-MS-Exchange-* fields are not documented by Microsoft and known from live mail. Exchange strips its own
`Organization` and `CrossTenant` fields from mail of outsiders; a mailbox elsewhere does not, so there they are hearsay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.core.headers.dates import parse_date
from checks.core.headers.fields import Headers

_MAX_REPORT = 16_384
_MAX_ITEMS = 100
_MAX_VALUE = 255
_ITEM = re.compile(r"\s*([A-Za-z][\w-]{0,30}):(.*)\Z", re.DOTALL | re.ASCII)
_NUMBER = re.compile(r"\s*(-?\d{1,3})\s*\Z", re.ASCII)
_LATENCY = re.compile(r"\s*(?:(\d{1,4})[.:])?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?\s*\Z", re.ASCII)
_CONNECTING_ITEM = re.compile(r"\s*(TenantId|Ip|Helo)=\[?([^\];]{0,255})\]?", re.IGNORECASE)
_PLACEMENTS = {"I": "inbox", "J": "junk"}


@dataclass(frozen=True, slots=True)
class Filtering:
    """What the filter decided. None: the headers do not say.

    scl: spam confidence level, -1 (skipped) to 9. bcl: bulk complaint level, 0 to 9. sfv: the spam filter's verdict
    (NSPM, SPM, SKI …). cat: the category (NONE, SPM, PHSH …). direction: INB, OUT or INT. client_ip, helo, ptr and
    country describe the connecting host. destination: where the mailbox server put the message, as Microsoft's letter
    in upper case (I: inbox, J: junk). report: every item of X-Forefront-Antispam-Report.
    """

    scl: int | None = None
    bcl: int | None = None
    sfv: str | None = None
    cat: str | None = None
    direction: str | None = None
    client_ip: str | None = None
    helo: str | None = None
    ptr: str | None = None
    country: str | None = None
    destination: str | None = None
    report: Mapping[str, str] = field(default_factory=dict)

    @property
    def placement(self) -> str | None:
        """`inbox` or `junk`, as the mailbox server delivered; None for other letters and where it does not say."""
        return _PLACEMENTS.get(self.destination or "")


@dataclass(frozen=True, slots=True)
class ConnectingIp:
    """The host whose connection Exchange Online attributed to a tenant, by an inbound connector."""

    tenant: str | None = None
    ip: str | None = None
    helo: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """The transport facts that Exchange Online stamped. None: the headers do not say.

    end_to_end_latency: Microsoft's own transit time. original_arrival: when the edge took the message, by Microsoft's
    clock. auth_as: Internal or Anonymous; auth_source: the server that found so. from_entity: Hosted, HybridOnPrem or
    Internet. directionality: Originating or Incoming. network_message_id: the key into message trace. proxied_by: the
    front end of client submission.
    """

    end_to_end_latency: timedelta | None = None
    original_arrival: datetime | None = None
    auth_as: str | None = None
    auth_source: str | None = None
    from_entity: str | None = None
    directionality: str | None = None
    connecting_ip: ConnectingIp | None = None
    tenant_id: str | None = None
    network_message_id: str | None = None
    proxied_by: str | None = None
    internal_sender: bool | None = None
    anonymous_direct_send: bool | None = None
    mx_points_to_us: bool | None = None


def filtering(headers: Headers) -> Filtering:
    """The receiving side's filtering verdict.

    `X-Forefront-Antispam-Report-Untrusted` and its like, which Exchange makes of what the sending side had stamped, are
    never looked at.
    """
    report = parse_report(headers.first("X-Forefront-Antispam-Report") or "")
    bulk = parse_report(headers.first("X-Microsoft-Antispam") or "")
    delivery = parse_report(headers.first("X-Microsoft-Antispam-Mailbox-Delivery") or "")
    scl = _number(headers.first("X-MS-Exchange-Organization-SCL"))
    return Filtering(
        scl=scl if scl is not None else _number(report.get("SCL")),
        bcl=_number(bulk.get("BCL")),
        sfv=report.get("SFV") or None,
        cat=report.get("CAT") or None,
        direction=report.get("DIR") or None,
        client_ip=report.get("CIP") or None,
        helo=report.get("H") or None,
        ptr=report.get("PTR") or None,
        country=report.get("CTRY") or None,
        destination=(delivery.get("dest") or "").upper() or None,
        report=report,
    )


def exchange(headers: Headers) -> Exchange:
    """The transport facts of a message that passed Exchange Online; of repeated fields the topmost counts."""
    return Exchange(
        end_to_end_latency=_latency(headers.first("X-MS-Exchange-Transport-EndToEndLatency")),
        original_arrival=parse_date(headers.first("X-MS-Exchange-CrossTenant-OriginalArrivalTime") or ""),
        auth_as=_stamp(headers, "AuthAs"),
        auth_source=_stamp(headers, "AuthSource"),
        from_entity=_stamp(headers, "FromEntityHeader"),
        directionality=_stamp(headers, "MessageDirectionality"),
        connecting_ip=_connecting_ip(
            headers.first("X-MS-Exchange-CrossTenant-OriginalAttributedTenantConnectingIp"),
        ),
        tenant_id=_stamp(headers, "Id"),
        network_message_id=_stamp(headers, "Network-Message-Id")
        or _bounded(headers.first("X-MS-Office365-Filtering-Correlation-Id")),
        proxied_by=_bounded(headers.first("X-ClientProxiedBy")),
        internal_sender=_flag(_stamp(headers, "InternalOrgSender")),
        anonymous_direct_send=_flag(_stamp(headers, "IsAnonymousDirectSend")),
        mx_points_to_us=_flag(_stamp(headers, "MxPointsToUs")),
    )


def parse_report(value: str) -> dict[str, str]:
    """The items of a `KEY:value;KEY:value;` list, in order; of a repeated key the first counts.

    Only the first colon separates, since CIP may be an IPv6 address. Exchange writes `(null)` for what it does not
    know, at times in place of a separator.
    """
    items: dict[str, str] = {}
    for piece in value[:_MAX_REPORT].replace("(null)", "").split(";")[:_MAX_ITEMS]:
        match = _ITEM.match(piece)
        if match:
            items.setdefault(match[1], match[2].strip())
    return items


def _stamp(headers: Headers, name: str) -> str | None:
    """A field that Exchange writes for the receiving organisation, or across tenants; the organisation's own first."""
    return _bounded(
        headers.first(f"X-MS-Exchange-Organization-{name}") or headers.first(f"X-MS-Exchange-CrossTenant-{name}"),
    )


def _connecting_ip(value: str | None) -> ConnectingIp | None:
    items = (
        {match[1].lower(): match[2].strip() for match in _CONNECTING_ITEM.finditer(value[:_MAX_REPORT])}
        if value
        else {}
    )
    if not any(items.values()):
        return None
    return ConnectingIp(items.get("tenantid") or None, items.get("ip") or None, items.get("helo") or None)


def _latency(value: str | None) -> timedelta | None:
    """`[d.]hh:mm:ss.fffffff`, .NET's form of a duration, with the tenths of microseconds cut off."""
    match = _LATENCY.match(value or "")
    if match is None:
        return None
    days, hours, minutes, seconds, fraction = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    return timedelta(int(days or 0), int(seconds), micros, minutes=int(minutes), hours=int(hours))


def _number(value: str | None) -> int | None:
    match = _NUMBER.match(value or "")
    return int(match[1]) if match else None


def _flag(value: str | None) -> bool | None:
    return {"true": True, "false": False}.get((value or "").lower())


def _bounded(value: str | None) -> str | None:
    return value.strip()[:_MAX_VALUE] or None if value else None
