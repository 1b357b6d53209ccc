"""The header fields that Exchange Online and another provider add to a message on its way: pure.

Which fields, and how they differ by path, follows messages that were received from Exchange Online: FromEntityHeader,
OriginalAttributedTenantConnectingIp and the Received chain tell client submission, relay by connector and anonymous
mail apart. Host names, addresses and version numbers are typical ones and always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

from checks.lab.tenant import MAILBOX_PATHS, OUTSIDE_DOMAIN, TENANT_DOMAIN, TENANT_ID, PathName

FRONT_DOOR = "DB5PEPF00014B8A.mail.protection.outlook.com"
"""The front-end server that answers at the MX endpoint."""
SUBMISSION_DOOR = "AM0PR02CA0094.outlook.office365.com"
MAILBOX_SERVER = "AM9PR08MB6100.eurprd08.prod.outlook.com"
_HUB = "DB9PR08MB7001.eurprd08.prod.outlook.com"
_BUILD = "15.20.9253.18"
_INTERNAL_TLS = "(version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """How a message came in. It travels with the message as plain JSON values."""

    path: str
    ip: str
    helo: str
    tls: str
    """As Exchange writes it: ``version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384``; empty without TLS."""
    mail_from: str
    recipient: str
    accepted: float
    """Seconds since 1970."""
    network_id: str
    """The GUID that Exchange calls Network-Message-Id."""
    attributed: bool
    """The inbound connector recognised the client."""
    junk: bool = False
    outside: bool = False
    """Delivered by the other provider, not by Exchange."""
    report: bool = False
    """Made by Exchange itself, a non-delivery report."""
    sent_copy: bool = False
    """The copy that client submission leaves in Sent Items; it never travelled."""


def stamp(trace: Trace, content: bytes, accepted: datetime, arrived: datetime) -> bytes:
    """Return the message as the recipient finds it.

    Args:
        trace: how it came.
        content: the message as it was handed over.
        accepted: when it was taken.
        arrived: when it reached the folder.
    """
    if trace.sent_copy:
        return content
    chain = _received(trace, accepted, arrived)
    fields = [f"Return-Path: {trace.mail_from or '<>'}"]
    if trace.outside:
        fields = [*chain, *_other_provider(trace), *_outbound(trace, accepted)]
    elif trace.report:
        fields = [*chain[:1], *fields, *_common(trace, accepted), *_arrival(trace, accepted, arrived)]
    else:
        fields = [
            *chain,
            *_authentication(trace),
            *fields,
            *_entity(trace, accepted),
            *_arrival(trace, accepted, arrived),
        ]
    return "".join(f"{one}\r\n" for one in fields).encode("ascii", "replace") + content


def _date(when: datetime) -> str:
    return format_datetime(when.replace(microsecond=0))


def _fold(*parts: str) -> str:
    return "\r\n ".join(parts)


def _received(trace: Trace, accepted: datetime, arrived: datetime) -> list[str]:
    """The Received chain, newest first. Each hop keeps whole seconds, as everywhere in mail."""
    middle = min(arrived, accepted + timedelta(seconds=1))
    submitted = trace.path in MAILBOX_PATHS
    hub = _fold(
        f"Received: from {MAILBOX_SERVER if submitted else FRONT_DOOR} (2603:10a6:20b:2dc::11)",
        f"by {_HUB} (2603:10a6:10:2c8::15) with",
        f"Microsoft SMTP Server {_INTERNAL_TLS}",
        f"id {_BUILD}; {_date(middle)}",
    )
    return [_last_hop(trace, arrived), hub, _first_hop(trace, accepted)]


def _first_hop(trace: Trace, accepted: datetime) -> str:
    if trace.path in MAILBOX_PATHS:
        # Mailbox submission: Exchange shows no trace of the SMTP client here, only in X-ClientProxiedBy.
        return _fold(
            f"Received: from {MAILBOX_SERVER}",
            f"([fe80::6a1c:53e1:9f0d:1b07]) by {MAILBOX_SERVER}",
            f"([fe80::6a1c:53e1:9f0d:1b07%4]) with mapi id {_BUILD}; {_date(accepted)}",
        )
    tls = f" ({trace.tls})" if trace.tls else ""
    return _fold(
        f"Received: from {trace.helo} ({trace.ip}) by",
        f"{FRONT_DOOR} (10.167.8.198) with Microsoft SMTP",
        f"Server{tls} id {_BUILD} via Frontend",
        f"Transport; {_date(accepted)}",
    )


def _last_hop(trace: Trace, arrived: datetime) -> str:
    if not trace.outside:
        return _fold(
            f"Received: from {_HUB} (2603:10a6:10:2c8::15)", f"by {MAILBOX_SERVER} with HTTPS; {_date(arrived)}"
        )
    return _fold(
        "Received: from EUR05-DB8-obe.outbound.protection.outlook.com (52.100.17.20)",
        f"by mx1.{OUTSIDE_DOMAIN} with ESMTPS (TLS1.3) id {trace.network_id[:8]}",
        f"for <{trace.recipient}>; {_date(arrived)}",
    )


def _authentication(trace: Trace) -> list[str]:
    if trace.path in MAILBOX_PATHS:
        return [
            _fold(
                "Authentication-Results: dkim=none (message not signed)",
                f"header.d=none;dmarc=none action=none header.from={TENANT_DOMAIN};",
            )
        ]
    domain = trace.mail_from.rpartition("@")[2] or trace.helo
    return [
        # Without an authserv-id, unlike RFC 8601 section 2.2.
        _fold(
            f"Authentication-Results: spf=pass (sender IP is {trace.ip})",
            f"smtp.mailfrom={domain}; dkim=none (message not signed)",
            "header.d=none;dmarc=pass action=none",
            f"header.from={domain};compauth=pass reason=100",
        ),
        _fold(
            f"Received-SPF: Pass (protection.outlook.com: domain of {domain}",
            f"designates {trace.ip} as permitted sender)",
            f"receiver=protection.outlook.com; client-ip={trace.ip};",
            f"helo={trace.helo}; pr=C",
        ),
    ]


def _entity(trace: Trace, accepted: datetime) -> list[str]:
    submitted = trace.path in MAILBOX_PATHS
    originating = submitted or trace.attributed
    fields = [
        *_common(trace, accepted),
        f"X-MS-Exchange-CrossTenant-AuthAs: {'Internal' if submitted else 'Anonymous'}",
        f"X-MS-Exchange-CrossTenant-AuthSource: {MAILBOX_SERVER if submitted else FRONT_DOOR}",
        f"X-MS-Exchange-Organization-AuthAs: {'Internal' if submitted else 'Anonymous'}",
        f"X-MS-Exchange-Organization-AuthSource: {MAILBOX_SERVER if submitted else FRONT_DOOR}",
        f"X-MS-Exchange-Organization-MessageDirectionality: {'Originating' if originating else 'Incoming'}",
    ]
    if submitted:
        fields.append("X-MS-Exchange-CrossTenant-MailboxType: HOSTED")
        if trace.path == PathName.SUBMISSION:
            fields.append(_fold(f"X-ClientProxiedBy: {SUBMISSION_DOOR} (2603:10a6:208:154::7)", f"To {MAILBOX_SERVER}"))
    elif trace.path == PathName.DIRECT and trace.mail_from.endswith(f"@{TENANT_DOMAIN}") and not trace.attributed:
        fields += [
            "X-MS-Exchange-Organization-InternalOrgSender: True",
            "X-MS-Exchange-Organization-IsAnonymousDirectSend: True",
        ]
    return fields


def _common(trace: Trace, accepted: datetime) -> list[str]:
    """The fields that Exchange keeps on a message wherever it goes."""
    stamped = f"{accepted:%d %b %Y %H:%M:%S}.{accepted.microsecond // 100:04d} (UTC)"
    if trace.path in MAILBOX_PATHS or trace.report:
        entity = "Hosted"
    else:
        entity = "HybridOnPrem" if trace.attributed else "Internet"
    fields = [
        f"X-MS-Exchange-CrossTenant-OriginalArrivalTime: {stamped}",
        f"X-MS-Exchange-CrossTenant-Network-Message-Id: {trace.network_id}",
        f"X-MS-Exchange-CrossTenant-Id: {TENANT_ID}",
        f"X-MS-Exchange-CrossTenant-FromEntityHeader: {entity}",
        f"X-MS-Office365-Filtering-Correlation-Id: {trace.network_id}",
    ]
    if entity == "HybridOnPrem":
        fields.append(
            _fold(
                "X-MS-Exchange-CrossTenant-OriginalAttributedTenantConnectingIp:",
                f"TenantId={TENANT_ID};Ip=[{trace.ip}];Helo=[{trace.helo}]",
            )
        )
    return fields


def _arrival(trace: Trace, accepted: datetime, arrived: datetime) -> list[str]:
    """What filtering and the mailbox server add."""
    internal = trace.path in MAILBOX_PATHS or trace.report
    scl, verdict, category = ("5", "SPM", "SPM") if trace.junk else ("1", "NSPM", "NONE")
    if internal and not trace.junk:
        scl, verdict = "-1", "SKI"
    client = "255.255.255.255" if internal else trace.ip
    return [
        f"X-MS-Exchange-Organization-SCL: {scl}",
        f"X-MS-Exchange-Organization-Network-Message-Id: {trace.network_id}",
        _fold(
            "X-Forefront-Antispam-Report:",
            f"CIP:{client};CTRY:;LANG:en;SCL:{scl};SRV:;IPV:NLI;SFV:{verdict};H:{trace.helo};",
            f"PTR:InfoDomainNonexistent;CAT:{category};SFTY:;SFS:;DIR:{'INT' if internal else 'INB'};",
        ),
        "X-Microsoft-Antispam: BCL:0;",
        _fold(
            "X-Microsoft-Antispam-Mailbox-Delivery:",
            f"ucf:0;jmr:0;auth:{int(internal)};dest:{'J' if trace.junk else 'I'};ENG:(910001)(944506478);",
        ),
        f"X-MS-Exchange-Transport-EndToEndLatency: {_latency(arrived - accepted)}",
        f"X-MS-Exchange-Processed-By-BccFoldering: {_BUILD}",
    ]


def _latency(span: timedelta) -> str:
    """Write a time span as Exchange does: hh:mm:ss with seven decimals."""
    ticks = max(0, round(span.total_seconds() * 10_000_000))
    seconds, fraction = divmod(ticks, 10_000_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:07d}"


def _outbound(trace: Trace, accepted: datetime) -> list[str]:
    """What is left of Exchange's fields on mail that has gone out to the internet."""
    submitted = trace.path in MAILBOX_PATHS
    return [
        *_common(trace, accepted),
        f"X-MS-Exchange-CrossTenant-AuthAs: {'Internal' if submitted else 'Anonymous'}",
        "X-MS-Exchange-SenderADCheck: 1",
        f"X-OriginatorOrg: {TENANT_DOMAIN}",
    ]


def _other_provider(trace: Trace) -> list[str]:
    """What the receiving provider writes; it has an authserv-id, as RFC 8601 wants and Exchange does not."""
    domain = trace.mail_from.rpartition("@")[2] or TENANT_DOMAIN
    return [
        _fold(
            f"Authentication-Results: mx1.{OUTSIDE_DOMAIN};",
            f"dkim=pass header.d={domain} header.s=selector1;",
            f"spf=pass smtp.mailfrom={trace.mail_from};",
            f"dmarc=pass header.from={domain}",
        ),
        f"X-Spam-Status: {'Yes, score=8.1' if trace.junk else 'No, score=-1.2'}",
        f"Return-Path: <{trace.mail_from}>",
        f"Delivered-To: {trace.recipient}",
    ]
