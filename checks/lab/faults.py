"""The catalogue of faults, as data, and the board on which they are switched on and off while the lab runs."""

from __future__ import annotations

import asyncio
import difflib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from checks.lab.errors import LabError
from checks.lab.tenant import ACCOUNTS, SMTP_PATHS, PathName

RELAY, SUBMISSION, DIRECT = frozenset({PathName.RELAY}), frozenset({PathName.SUBMISSION}), frozenset({PathName.DIRECT})
GRAPH = frozenset({PathName.GRAPH})
SMTP = frozenset(SMTP_PATHS)
PATHS = frozenset(PathName)
MAILBOXES = frozenset(account.mailbox for account in ACCOUNTS)
HOSTED = frozenset(account.mailbox for account in ACCOUNTS if account.hosted)
ENTRA = "entra"
"""The identity platform, as a target of faults."""
LOGON_FAILED = (
    "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:"
    "ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message due to a transient "
    "exception with message Cannot open mailbox."
)
"""What an app without a permission on the mailbox hears after the final dot, having logged in."""
_LONGEST = 86_400.0  # seconds
TARGETS = (*PathName, *(account.mailbox for account in ACCOUNTS), ENTRA)


class Stage(StrEnum):
    """Where in the SMTP dialogue a fault acts; `MESSAGE` is the reply to the final dot."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    MESSAGE = "message"


class Act(StrEnum):
    """What happens at the stage."""

    REPLY = "reply"
    DROP = "drop"
    """The connection is closed without a word."""
    HANG = "hang"
    """No answer, for as long as the fault lasts."""
    DROP_ACCEPTED = "drop_accepted"
    """The message is taken, and the connection closed before the reply to the final dot."""
    HANG_ACCEPTED = "hang_accepted"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the tenant. A fault with a `stage` needs no code of its own anywhere else."""

    name: str
    summary: str
    targets: frozenset[str]
    stage: Stage | None = None
    act: Act = Act.REPLY
    reply: str = ""
    """The reply without the server's suffix; ``{ip}`` and ``{recipient}`` are filled in."""
    default: float | None = None
    """Seconds, for a fault that takes a value; None for one that does not."""


_SAID = {
    Stage.GREETING: "the connection",
    Stage.EHLO: "EHLO and HELO",
    Stage.STARTTLS: "STARTTLS",
    Stage.AUTH: "the credentials",
    Stage.MAIL: "MAIL",
    Stage.RCPT: "RCPT",
    Stage.DATA: "DATA",
    Stage.MESSAGE: "the final dot",
}


_REPLIES: tuple[tuple[str, frozenset[str], Stage, str], ...] = (
    ("refuse_greeting", SMTP, Stage.GREETING, "554 5.3.2 Service not available"),
    (
        "defer_greeting",
        SMTP,
        Stage.GREETING,
        (
            "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit, "
            "closing transmission channel. PRX8"
        ),
    ),
    ("refuse_ehlo", SMTP, Stage.EHLO, "501 5.5.4 Invalid domain name"),
    ("defer_ehlo", SMTP, Stage.EHLO, "421 4.3.2 Service not active"),
    ("refuse_starttls", SMTP, Stage.STARTTLS, "554 5.7.3 Unable to initialize security subsystem"),
    ("defer_starttls", SMTP, Stage.STARTTLS, "454 4.7.0 TLS not available due to temporary reason"),
    ("refuse_auth", SUBMISSION, Stage.AUTH, "535 5.7.3 Authentication unsuccessful"),
    ("defer_auth", SUBMISSION, Stage.AUTH, "454 4.7.0 Temporary authentication failure"),
    (
        "smtp_auth_disabled",
        SUBMISSION,
        Stage.AUTH,
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
            "Visit https://aka.ms/smtp_auth_disabled for more information."
        ),
    ),
    (
        "refuse_mail",
        SMTP,
        Stage.MAIL,
        (
            "550 5.7.606 Access denied, banned sending IP [{ip}]. To request removal from this list please visit "
            "https://sender.office.com/ and follow the directions. (AS16012609)"
        ),
    ),
    ("defer_mail", SMTP, Stage.MAIL, "451 4.3.2 Temporary server error. Please try again later ATTR2"),
    (
        "refuse_rcpt",
        SMTP,
        Stage.RCPT,
        "550 5.4.1 [{recipient}]: Recipient address rejected: Access denied",
    ),
    (
        "recipient_not_found",
        SMTP,
        Stage.RCPT,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {recipient} not found by SMTP address lookup",
    ),
    (
        "defer_rcpt",
        SMTP,
        Stage.RCPT,
        "451 4.7.500 Server busy. Please try again later from [{ip}]. (AS77712344)",
    ),
    ("refuse_data", SMTP, Stage.DATA, "550 5.7.705 Access denied, tenant has exceeded threshold"),
    ("defer_data", SMTP, Stage.DATA, "452 4.3.1 Insufficient system resources"),
    (
        "refuse_message",
        SMTP,
        Stage.MESSAGE,
        (
            "550 5.7.509 Access denied, sending domain [CONTOSO.EXAMPLE] does not pass DMARC verification and has "
            "a DMARC policy of reject."
        ),
    ),
    (
        "defer_message",
        SMTP,
        Stage.MESSAGE,
        LOGON_FAILED,
    ),
)


def _replies() -> Iterable[Fault]:
    """Faults by which the server says no: refuse_* for good (5xx), defer_* for now (4xx)."""
    for name, targets, stage, reply in _REPLIES:
        code, _, text = reply.format(ip="IP", recipient="RECIPIENT").partition(" ")
        summary = f"answers {code} to {_SAID[stage]}: {textwrap.shorten(text, 60, placeholder=' ...')}"
        yield Fault(name, summary, targets, stage, reply=reply)


def _silences() -> Iterable[Fault]:
    """Faults by which the server says nothing: the connection is dropped or hangs."""
    for stage in Stage:
        if stage is Stage.MESSAGE:
            continue
        targets = SUBMISSION if stage is Stage.AUTH else SMTP
        said = _SAID[stage]
        yield Fault(f"drop_{stage}", f"closes the connection instead of answering {said}", targets, stage, Act.DROP)
        hang = "hang" if stage is Stage.GREETING else f"hang_{stage}"
        yield Fault(hang, f"never answers {said}, and keeps the connection open", targets, stage, Act.HANG)
    at_dot = (
        ("drop_after_dot", "takes and delivers the message, but closes before the reply", Act.DROP_ACCEPTED),
        ("drop_after_dot_lost", "closes before the reply to the final dot and never delivers", Act.DROP),
        ("hang_after_dot", "takes and delivers the message, but never replies", Act.HANG_ACCEPTED),
    )
    for name, summary, act in at_dot:
        yield Fault(name, summary, SMTP, Stage.MESSAGE, act)


def _entra() -> Iterable[Fault]:
    """Faults of the identity platform. Where no token is issued any more, those issued before count as expired."""
    rows: tuple[tuple[str, str, float | None], ...] = (
        ("secret_wrong", "the client secret is not that of the app: AADSTS7000215", None),
        ("secret_expired", "the client secret has expired: AADSTS7000222", None),
        ("certificate_unknown", "the certificate is not registered with the app: AADSTS700027", None),
        ("app_unknown", "the tenant does not know the app: AADSTS700016", None),
        ("wrong_cloud", "the tenant is in another cloud: AADSTS900382", None),
        ("token_expires_soon", "tokens live for token_expires_soon=SECONDS, 60 unless told, not for an hour", 60.0),
        ("entra_unavailable", "the token endpoint answers 503: AADSTS90033; tokens issued before go on", None),
        ("entra_silent", "the token endpoint never answers; tokens issued before go on", None),
        ("entra_down", "nobody listens on the port; tokens issued before go on", None),
    )
    for name, summary, default in rows:
        yield Fault(name, summary, frozenset({ENTRA}), default=default)


def _graph() -> Iterable[Fault]:
    """Faults of what an app is granted, and of Graph: those of the path hit sending, those of a mailbox reading it."""
    granted = SUBMISSION | GRAPH | HOSTED
    used = GRAPH | HOSTED
    rows: tuple[tuple[str, str, frozenset[str], float | None], ...] = (
        ("role_missing", "tokens lack the role that this needs, such as SMTP.SendAsApp or Mail.Send", granted, None),
        ("mailbox_not_permitted", "the app has no permission on the mailbox (Graph: 403, SMTP: 430)", granted, None),
        ("throttled", "Graph answers 429; Retry-After is throttled=SECONDS, 10 unless told, none at 0", used, 10.0),
        ("graph_unavailable", "Graph answers 503, with Retry-After where graph_unavailable=SECONDS says so", used, 0.0),
        ("graph_gateway_timeout", "Graph answers 504", used, None),
        ("graph_slow", "Graph takes its time: graph_slow=SECONDS for each request, 2 unless told", used, 2.0),
        ("graph_silent", "Graph never answers, and does nothing", used, None),
        ("graph_down", "nobody listens on Graph's port, for the mailboxes neither", GRAPH, None),
        ("drop_after_body", "takes and delivers the message, but closes before the answer", GRAPH, None),
        ("hang_after_body", "takes and delivers the message, but never answers", GRAPH, None),
        ("delta_expired", "no delta token is known any more: 410 SyncStateNotFound", HOSTED, None),
        ("delta_replays", "each delta round tells some old changes again", HOSTED, None),
    )
    for name, summary, targets, default in rows:
        yield Fault(name, summary, targets, default=default)


CATALOGUE: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("connector_mismatch", "the inbound connector no longer knows the client: 550 5.7.64", RELAY),
        Fault("direct_send_rejected", "the tenant has RejectDirectSend set: 550 5.7.68", DIRECT),
        Fault("basic_auth_retired", "AUTH LOGIN gets 550 5.7.30; XOAUTH2 goes on working", SUBMISSION),
        Fault("oauth_challenge", "refuses XOAUTH2 in two steps: 334 with JSON, then 535", SUBMISSION),
        *_replies(),
        *_silences(),
        Fault("port_closed", "nobody listens on the port, and open sessions are cut", SMTP),
        Fault("tls_not_offered", "STARTTLS is neither listed nor known", SMTP),
        Fault("tls_broken", "the TLS handshake ends in an alert", SMTP),
        Fault("tls_expired", "the server's certificate has expired", SMTP),
        Fault("tls_wrong_name", "the server's certificate is for another host", SMTP),
        Fault("delay", "mail arrives late: delay=SECONDS, 8 unless told", PATHS, default=8.0),
        Fault("lose", "mail is accepted and never delivered", PATHS),
        Fault("junk", "mail lands in Junk Email", PATHS),
        Fault("duplicate", "mail is delivered twice", PATHS),
        Fault("bounce", "mail is accepted, then a non-delivery report goes to the sender's mailbox", PATHS),
        Fault("forged_canary", "each mail is replaced by a copy whose signature is wrong", PATHS),
        Fault("imap_down", "nobody listens on the IMAP port, and open sessions are cut", MAILBOXES),
        Fault("imap_login_refused", "every login gets NO", MAILBOXES),
        Fault("imap_bye", "sessions get BYE, new ones as soon as they have logged in", MAILBOXES),
        Fault("imap_silent", "no command is answered and IDLE says nothing; connections stay open", MAILBOXES),
        *_entra(),
        *_graph(),
    )
}


@dataclass(slots=True)
class Broken:
    """A fault that is on."""

    fault: Fault
    value: float | None
    healed: asyncio.Event = field(default_factory=asyncio.Event)


class FaultBoard:
    """Which faults are on, for each target. They live in memory: a new lab is whole."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, Broken]] = {target: {} for target in TARGETS}

    def break_(self, target: str, wanted: str) -> Fault:
        """Switch on the fault *wanted*, a name or ``name=SECONDS``.

        Raises:
            LabError: unknown target or fault, a fault that does not apply there, or a bad value.
        """
        name, equals, text = wanted.partition("=")
        broken = self._of(target)
        fault = find_fault(name, target)
        if target not in fault.targets:
            where = ", ".join(sorted(fault.targets))
            raise LabError(f"{name} does not apply to {target}, only to: {where}")
        value = _seconds(fault, text) if equals else fault.default
        self.heal(target, name)
        broken[name] = Broken(fault, value)
        return fault

    def heal(self, target: str | None = None, wanted: str | None = None) -> None:
        """Switch off one fault, all of a target, or all.

        Raises:
            LabError: unknown target or fault.
        """
        names = None if wanted is None else {find_fault(wanted.partition("=")[0]).name}
        for broken in self._on.values() if target is None else [self._of(target)]:
            for name in list(broken) if names is None else names & broken.keys():
                broken.pop(name).healed.set()

    def is_on(self, target: str, name: str) -> bool:
        """Tell whether a fault is on."""
        return name in self._on[target]

    def seconds(self, target: str, name: str) -> float:
        """Return the value of a fault that takes one; 0 while it is off."""
        broken = self._on[target].get(name)
        return 0.0 if broken is None else broken.value or 0.0

    async def outlast(self, target: str, name: str) -> None:
        """Return when the fault is off."""
        while broken := self._on[target].get(name):
            await broken.healed.wait()

    def at(self, target: str, stage: Stage) -> Broken | None:
        """Return the fault that acts at this stage; of several, the one that was switched on first."""
        return next((broken for broken in self._on[target].values() if broken.fault.stage is stage), None)

    def status(self) -> dict[str, list[str]]:
        """List the faults that are on, for each target that has any."""
        return {target: [_shown(one) for one in broken.values()] for target, broken in self._on.items() if broken}

    def _of(self, target: str) -> dict[str, Broken]:
        try:
            return self._on[target]
        except KeyError:
            raise LabError(_unknown("target", target, TARGETS)) from None


def find_fault(name: str, target: str | None = None) -> Fault:
    """Look a fault up in the catalogue.

    Raises:
        LabError: there is none of that name; it suggests those that apply to *target*, where one is given.
    """
    try:
        return CATALOGUE[name]
    except KeyError:
        fitting = [one.name for one in CATALOGUE.values() if target is None or target in one.targets]
        raise LabError(_unknown("fault", name, fitting)) from None


def _unknown(what: str, found: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    return f"unknown {what} {found[:60]!r}: {hint}"


def _seconds(fault: Fault, text: str) -> float:
    if fault.default is None:
        raise LabError(f"{fault.name} takes no value")
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= _LONGEST:
        raise LabError(f"{fault.name} takes seconds from 0 to {_LONGEST:g}, like {fault.name}=8, not {text[:20]!r}")
    return seconds


def _shown(broken: Broken) -> str:
    return broken.fault.name if broken.value is None else f"{broken.fault.name}={broken.value:g}"
