"""The fault matrix as data: what breaks, what the canary then comes to, and by how much the books move.

Whatever a row does not name must not move: no other counter of any check or mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import dns.rcode
from faults import breakage, imap_proxy, smtp_proxy
from faults.breakage import Breakage
from faults.imap_proxy import On
from faults.misbehaviour import Act
from faults.rig import AMPLE, BRIEF, DOMAIN, Books
from faults.smtp_proxy import At

from checks.core.model import Outcome, Verdict
from checks.core.verdict import SEEN
from checks.lab.headers import FRONT_DOOR

PASS, WARN, FAIL, UNKNOWN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN

_ENDLESS = re.compile(f"{Act.HANG}|{Act.DRIP}|timeout|^mailbox-")  # a reader that waits asks again after its limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault. `says` is a pattern that the reasons match.

    `shows` is what the metrics say once it has its verdict, as "metric label=value", beside the verdict itself.
    `moves` is what the books show beside the canary itself, as "metric label=value"; with another owner than the
    check as "owner: metric label=value". `heals` is what comes on top once all is well again. `fast`: `make test`
    runs it.
    """

    name: str
    breaks: Breakage
    outcome: Outcome
    verdict: Verdict
    check: str = "patient"
    says: str = ""
    shows: Mapping[str, float] = field(default_factory=dict)
    moves: Mapping[str, int] = field(default_factory=dict)
    heals: Mapping[str, int] = field(default_factory=dict)
    fast: bool = False

    def limit(self) -> str:
        """Tell how long a stage may take: briefly where something never ends."""
        return BRIEF if _ENDLESS.search(self.name) else AMPLE

    def expected(self) -> Books:
        """List by how much the books move until the verdict."""
        moves = {f"canaries outcome={self.outcome} verdict={self.verdict}": 1, "canaries_started": 1, **self.moves}
        if self.outcome in SEEN:
            moves["latencies"] = 1
        return _owned(self.check, moves)

    def shown(self) -> Mapping[str, float]:
        """List what the metrics say once the canary has its verdict."""
        verdicts = {f"check_verdict check={self.check} verdict={one}": float(one is self.verdict) for one in Verdict}
        return {**verdicts, f"canaries_in_flight check={self.check}": 0.0, **self.shows}

    def after_healing(self) -> Books:
        """List what is on top once all is well again."""
        return _owned(self.check, self.heals)


def _owned(check: str, moves: Mapping[str, int]) -> Books:
    return Books({key.replace(": ", " ", 1) if ": " in key else f"{check} {key}": by for key, by in moves.items()})


# ---- the SMTP dialogue

SILENCE = (Act.RESET, Act.CLOSE, Act.HALF_CLOSE, Act.HANG, Act.DRIP, Act.GARBAGE, Act.OVERSIZED)

ON_SILENCE = {
    At.GREETING: Outcome.UNREACHABLE,
    At.EHLO: Outcome.DEFERRED,
    At.STARTTLS: Outcome.TLS_FAILED,
    At.HANDSHAKE: Outcome.TLS_FAILED,
    At.EHLO_TLS: Outcome.DEFERRED,
    At.AUTH: Outcome.DEFERRED,
    At.MAIL: Outcome.DEFERRED,
    At.RCPT: Outcome.DEFERRED,
    At.DATA: Outcome.DEFERRED,
}
ON_5XX = {
    At.GREETING: Outcome.REJECTED,
    At.EHLO: Outcome.REJECTED,
    At.STARTTLS: Outcome.TLS_FAILED,
    At.EHLO_TLS: Outcome.REJECTED,
    At.AUTH: Outcome.AUTH_FAILED,
    At.MAIL: Outcome.REJECTED,
    At.RCPT: Outcome.REJECTED,
    At.DATA: Outcome.REJECTED,
    At.DOT: Outcome.REJECTED,
}
STAGE_LABEL = {At.EHLO_TLS: "ehlo", At.DOT: "data"}
CODES = {Act.DEFER: ("451", "4.3.2"), Act.REFUSE: ("554", "5.7.1"), Act.CLOSING: ("421", "4.3.2")}
FAST_SMTP = {
    "greeting-reset", "ehlo-garbage", "starttls-5xx", "handshake-hang", "auth-5xx", "auth-half_close", "mail-drip",
    "rcpt-4xx", "data-421", "dot-5xx", "dot-reset", "dot-421", "dot-garbage-taken", "dot-hang-taken", "quit-reset",
}  # fmt: skip


def _smtp(at: At, act: Act, outcome: Outcome, *, taken: bool = False) -> Row:
    moves = {}
    if act in CODES and at in ON_5XX:
        code, enhanced = CODES[act]
        moves[f"smtp_replies code={code} enhanced={enhanced} stage={STAGE_LABEL.get(at, at)}"] = 1
    verdict = {Outcome.INDETERMINATE: UNKNOWN, Outcome.DELIVERED: PASS}.get(outcome, FAIL)
    name = f"{at}-{act}{'-taken' if taken else ''}"
    return Row(
        name=f"smtp-{name}",
        breaks=breakage.Smtp(smtp_proxy.Fault(at=at, act=act, taken=taken)),
        check="impatient" if outcome is Outcome.INDETERMINATE else "patient",
        outcome=outcome,
        verdict=verdict,
        moves=moves,
        fast=name in FAST_SMTP,
    )


def smtp_rows() -> Iterator[Row]:
    for act, says in ((Act.REFUSE, "no TCP connection: 127.0.0.1: "), (Act.HANG, "TCP connection did not come within")):
        yield Row(
            name=f"smtp-connect-{act}",
            breaks=breakage.Unplugged(act),
            outcome=Outcome.UNREACHABLE,
            verdict=FAIL,
            says=says,
            fast=act is Act.REFUSE,
        )
    for at, outcome in ON_SILENCE.items():
        for act in SILENCE:
            yield _smtp(at, act, outcome)
    for at, outcome in ON_5XX.items():
        yield _smtp(at, Act.REFUSE, outcome)
        yield _smtp(at, Act.DEFER, Outcome.DEFERRED)
        if at is not At.DOT:
            yield _smtp(at, Act.CLOSING, Outcome.DEFERRED)
    for act in (*SILENCE, Act.CLOSING):
        yield _smtp(At.DOT, act, Outcome.INDETERMINATE)
        yield _smtp(At.DOT, act, Outcome.DELIVERED, taken=True)
    for act in (Act.CLOSING, Act.REFUSE):
        yield _smtp(At.HANDSHAKE, act, Outcome.TLS_FAILED)
    for act in (*SILENCE, Act.CLOSING, Act.REFUSE):
        yield _smtp(At.QUIT, act, Outcome.DELIVERED)
    for at in (At.GREETING, At.MAIL, At.DOT):
        slow = breakage.Smtp(smtp_proxy.Fault(at=at, slowly=True))
        yield Row(name=f"smtp-{at}-slow-but-true", breaks=slow, outcome=Outcome.DELIVERED, verdict=PASS)


# ---- TLS


def tls_rows() -> Iterator[Row]:
    for name, broken, says in (
        ("wrong-name", breakage.wrong_name, "certificate .* refused: .*(mismatch|not valid for)"),
        ("expired", breakage.expired, "certificate .* refused: .*expired"),
        ("self-signed", breakage.self_signed, "certificate .* refused: .*(self.signed|issuer)"),
        ("old-version", breakage.old_version, "TLS handshake"),
    ):
        broken_tls = breakage.Tls(broken)
        yield Row(name=f"tls-{name}", breaks=broken_tls, outcome=Outcome.TLS_FAILED, verdict=FAIL, says=says, fast=True)
    stripped = smtp_proxy.Fault(at=At.EHLO, strip=b"STARTTLS")
    injected = smtp_proxy.Fault(at=At.STARTTLS, inject=b"250 2.1.0 Sender OK\r\n")
    for name, fault, says in (
        ("stripped", stripped, "EHLO offers no STARTTLS"),
        ("plain-text-injected", injected, "plain text came between"),
    ):
        yield Row(
            name=f"tls-{name}",
            breaks=breakage.Smtp(fault),
            outcome=Outcome.TLS_FAILED,
            verdict=FAIL,
            says=says,
            fast=True,
        )


# ---- DNS

_MX, _HOST, _DEAD = (DOMAIN, "MX"), FRONT_DOOR.lower(), "dead.contoso.example"
_ALIVE = {(_HOST, "A"): ["127.0.0.1"], (_DEAD, "A"): ["127.0.0.9"]}


def dns_rows() -> Iterator[Row]:
    two = [f"10 {_DEAD}.", f"20 {FRONT_DOOR}."]
    six = {_MX: [f"10 {FRONT_DOOR}."], (_HOST, "AAAA"): ["::1"], (_HOST, "A"): ["127.0.0.1"]}
    no_route = {**six, (_HOST, "AAAA"): ["2001:db8::1"]}
    for name, broken, says in (
        ("nxdomain", breakage.Dns({}), "NXDOMAIN"),
        ("servfail", breakage.Dns(rcode=dns.rcode.SERVFAIL), "SERVFAIL"),
        ("timeout", breakage.Dns(silent=True), "within 2 s"),
        ("null-mx", breakage.Dns({_MX: ["0 ."]}), "takes no mail"),
        ("mx-without-address", breakage.Dns({_MX: two[:1]}), "NXDOMAIN: dead"),
        ("all-mx-dead", breakage.Dns({_MX: two[:1], **_ALIVE}), "no TCP connection: 127.0.0.9"),
    ):
        yield Row(
            name=f"dns-{name}",
            breaks=broken,
            check="by-name",
            outcome=Outcome.UNREACHABLE,
            verdict=FAIL,
            says=says,
            fast=name in {"nxdomain", "timeout"},
        )
    for name, records in (
        ("first-mx-dead", {_MX: two, **_ALIVE}),
        ("first-mx-without-address", {_MX: two, (_HOST, "A"): ["127.0.0.1"]}),
        ("ipv6-dead-ipv4-alive", six),
        ("ipv6-without-route-ipv4-alive", no_route),
    ):
        yield Row(
            name=f"dns-{name}",
            breaks=breakage.Dns(records),
            check="by-name",
            outcome=Outcome.DELIVERED,
            verdict=PASS,
            fast=name in {"first-mx-dead", "ipv6-dead-ipv4-alive"},
        )


# ---- the mailbox

ON_IMAP = (Act.REFUSE, Act.BYE, *SILENCE)
FAST_IMAP = {"login-5xx", "idle-bye", f"{On.IDLE}-{Act.REFUSE}"}
RECOVERED = {"canaries_recovered": 1}
UP = {"mailbox_up mailbox=outside": 1.0, "mailbox_up mailbox=noreply": 1.0}


def _unreadable(name: str, fault: imap_proxy.Fault, *, lose: bool = False, fast: bool = False) -> Row:
    """A mailbox that nobody can read: nothing is known, and what comes to light later counts as recovered."""
    return Row(
        name=f"mailbox-{name}",
        breaks=breakage.Imap(fault, blind=True, lose=lose),
        check="impatient",
        outcome=Outcome.UNOBSERVED,
        verdict=UNKNOWN,
        says="nobody could look",
        shows=UP | {"mailbox_up mailbox=inbox": 0.0},
        heals={} if lose else RECOVERED,
        fast=fast,
    )


def _read(name: str, breaks: Breakage, *, fast: bool = True, **more: Mapping[str, float]) -> Row:
    """A mailbox that can be read all the same."""
    return Row(name=f"mailbox-{name}", breaks=breaks, outcome=Outcome.DELIVERED, verdict=PASS, fast=fast, **more)


def mailbox_rows() -> Iterator[Row]:
    for on in (On.LOGIN, On.SELECT, On.FETCH):
        for act in ON_IMAP:
            name = f"{on}-{act}"
            yield _unreadable(name, imap_proxy.Fault(on=on, act=act), fast=name in FAST_IMAP)
    yield _unreadable("any-hang", imap_proxy.Fault(on=On.ANY, act=Act.HANG))
    for act in ON_IMAP:
        name = f"{On.IDLE}-{act}"
        refused = UP | {"mailbox_up mailbox=inbox": 1.0} if act is Act.REFUSE else {}
        yield _read(name, breakage.Idle(act), fast=name in FAST_IMAP, shows=refused)
    no_junk = imap_proxy.Fault(on=On.SELECT, act=Act.REFUSE, about=rb"Junk")
    yield _unreadable("folder-missing-and-mail-lost", no_junk, lose=True, fast=True)
    yield _read("folder-missing", breakage.Imap(no_junk, blind=True), fast=False)
    yield _read("idle-gone-silent", breakage.SilentIdle())
    yield _read("uidvalidity-changed", breakage.Renumbered())
    yield _read("clock-ten-days-fast", breakage.WrongClock(10), fast=False)
    yield _read("clock-ten-days-slow", breakage.WrongClock(-10))
    yield Row(
        name="mailbox-expunged-before-its-evidence-is-read",
        breaks=breakage.Expunging(rb"BODY\.PEEK\[HEADER\]"),
        outcome=Outcome.DELIVERED,
        verdict=UNKNOWN,
        says="evidence_unobserved",
        fast=True,
    )
    yield Row(
        name="mailbox-expunged-before-anybody-looked",
        breaks=breakage.Expunging(rb"(?i)NOOP|UID FETCH"),
        check="impatient",
        outcome=Outcome.LOST,
        verdict=FAIL,
        fast=True,
    )


# ---- the mail

FAST_MAIL = {
    "delayed-past-late", "doubled", "junked", "bounced", "bounced-after-delivery", "replayed-in-another-mailbox",
    "only-the-subject-left-and-tagged", "an-old-one-replayed-while-it-is-lost", "answered-while-it-is-lost",
}  # fmt: skip
_NO_MARK = {rb"^X-Relaycanary:.*\r\n": b""}
_TAG = {rb"^Subject: ": b"Subject: [EXTERNAL] "}


def mail_rows() -> Iterator[Row]:
    late, lost = Outcome.LATE, Outcome.LOST
    rows = (
        ("delayed-past-late", breakage.Lab("delay=2"), "timely", late, WARN, {}),
        ("delayed-past-lost", breakage.Lab("delay=5"), "impatient", lost, FAIL, RECOVERED),
        ("lost", breakage.Lab("lose"), "impatient", lost, FAIL, {}),
        ("doubled", breakage.Lab("duplicate"), "patient", Outcome.DELIVERED, PASS, {"canaries_duplicates": 1}),
        ("junked", breakage.Lab("junk"), "patient", Outcome.JUNK, FAIL, {}),
        ("bounced", breakage.Lab("bounce"), "patient", Outcome.BOUNCED, FAIL, {}),
        ("bounced-after-delivery", breakage.BouncedAfterDelivery(), "patient", Outcome.DELIVERED, PASS, {}),
        (
            "header-stripped",
            breakage.Gateway(_NO_MARK),
            "patient",
            Outcome.DELIVERED,
            PASS,
            {},
        ),
        (
            "all-but-message-id-stripped",
            breakage.Gateway(_NO_MARK | {rb"^(Subject: .*)rc1\.\S+": rb"\1"}),
            "patient",
            Outcome.DELIVERED,
            PASS,
            {},
        ),
        (
            "only-the-subject-left-and-tagged",
            breakage.Gateway(_NO_MARK | {rb"^Message-ID:.*\r\n": b""} | _TAG),
            "patient",
            Outcome.DELIVERED,
            PASS,
            {},
        ),
        (
            "subject-tagged",
            breakage.Gateway(_TAG),
            "patient",
            Outcome.DELIVERED,
            PASS,
            {},
        ),
        (
            "forged",
            breakage.Lab("forged_canary"),
            "impatient",
            lost,
            FAIL,
            {"inbox: messages_ignored reason=forged": 1},
        ),
        ("replayed", breakage.Replayed("inbox"), "patient", Outcome.DELIVERED, PASS, {"canaries_duplicates": 1}),
        (
            "replayed-in-another-mailbox",
            breakage.Replayed("outside"),
            "patient",
            Outcome.DELIVERED,
            PASS,
            {"outside: messages_ignored reason=copy": 1},
        ),
        (
            "an-old-one-replayed-while-it-is-lost",
            breakage.ReplayedWhileLost(),
            "impatient",
            lost,
            FAIL,
            {"patient: canaries_duplicates": 1},
        ),
        ("answered-while-it-is-lost", breakage.AnsweredWhileLost(), "impatient", lost, FAIL, {}),
    )
    for name, breaks, check, outcome, verdict, moves in rows:
        yield Row(
            name=f"mail-{name}",
            breaks=breaks,
            check=check,
            outcome=outcome,
            verdict=verdict,
            moves=moves,
            fast=name in FAST_MAIL,
        )


ROWS = (*smtp_rows(), *tls_rows(), *dns_rows(), *mailbox_rows(), *mail_rows())
