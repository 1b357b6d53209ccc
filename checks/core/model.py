"""The values that flow through the agent. Frozen, standard library only.

Every moment named ``..._at`` is a float: seconds on the *steady* timeline of `checks.ports.Clock`, like Unix time but
never set, so that differences are true durations. A `datetime` is wall-clock time, and is never subtracted.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from checks.core.servers import ServerHop


class Verdict(enum.StrEnum):
    """How a canary is judged."""

    PASS = "pass"  # noqa: S105 - a word of the contract, not a password
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Outcome(enum.StrEnum):
    """What happened to a canary: a closed set."""

    DELIVERED = "delivered"
    LATE = "late"
    JUNK = "junk"
    DEGRADED = "degraded"
    BOUNCED = "bounced"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    AUTH_FAILED = "auth_failed"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    INDETERMINATE = "indeterminate"
    UNOBSERVED = "unobserved"
    LOCAL_FAULT = "local_fault"


class Stage(enum.StrEnum):
    """A step of handing a message over, in order.

    `Refused.stage` and the reply metrics name the command that was refused. Timings group them as people read
    them: the first EHLO counts to `greeting`, one after the handshake to `starttls`, MAIL and RCPT to `envelope`.
    """

    DNS = "dns"
    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    ENVELOPE = "envelope"
    DATA = "data"
    TOKEN = "token"  # noqa: S105 - the stage of asking the identity provider for one
    REQUEST = "request"


class Cause(enum.StrEnum):
    """Why a hand-over ended without acceptance, as seen from our side of the wire."""

    REPLY = "reply"  # the other side answered, and the answer was no
    NAME = "name"  # the host name could not be resolved
    CONNECT = "connect"  # no TCP connection
    TLS = "tls"  # the handshake or the certificate failed
    NOT_OFFERED = "not_offered"  # STARTTLS or the AUTH mechanism is not in the server's EHLO list
    TIMEOUT = "timeout"  # silence for longer than the stage may take
    DROPPED = "dropped"  # connection reset or closed
    GARBAGE = "garbage"  # an answer that is not of the protocol


class Protocol(enum.StrEnum):
    """Whose language a reply is in: the same code means other things in another protocol."""

    SMTP = "smtp"
    GRAPH = "graph"
    ENTRA = "entra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the other side answered: an SMTP reply (RFC 5321 4.2), or an HTTP status with its error.

    `enhanced` is the RFC 3463 code ("5.7.64"), or Graph's or Entra's; `text` is the rest, cleaned and bounded.
    """

    code: int
    enhanced: str | None
    text: str

    def __str__(self) -> str:
        """One line, as an administrator knows it: ``550 5.7.64 TenantAttribution; ...``."""
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """How long one step took, in seconds."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is worth knowing of one X.509 certificate."""

    subject: str
    issuer: str
    names: Sequence[str]
    not_after: datetime
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What was negotiated: "TLSv1.3", the cipher suite, and the server's certificates, leaf first."""

    version: str
    cipher: str
    chain: Sequence[Certificate]


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueLine:
    """One line of the conversation, secrets redacted: who spoke ("C" we, "S" they, "-" a remark), when, what."""

    at: float
    who: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The evidence of one hand-over.

    `began_at` is the moment of the first step, `ended_at` that of the final reply or of the failure; `endpoint`
    is "host [address]:port"; `connected` tells whether there was a TCP connection.
    """

    began_at: float
    ended_at: float
    endpoint: str
    stages: Sequence[StageTiming] = ()
    tls: TlsFacts | None = None
    dialogue: Sequence[DialogueLine] = ()
    connected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The other side took responsibility for the message (RFC 5321 4.2.5)."""

    reply: Reply
    transcript: Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The message was not handed over, or it cannot be known whether it was.

    `sent` is True once the last byte of the final dot (or of the request body) has been written: from there on
    silence no longer means refusal. `detail` says in one sentence what was seen, for `cause` other than reply.
    """

    stage: Stage
    cause: Cause
    transcript: Transcript
    reply: Reply | None = None
    detail: str = ""
    sent: bool = False
    protocol: Protocol = Protocol.SMTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Untried:
    """We could not try, and it is our own doing; nothing was sent."""

    at: float
    detail: str


Attempt = Accepted | Refused | Untried


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What a check demands of its canaries beyond arrival.

    `refused` makes it a negative check: a regular expression that the whole enhanced code of the refusal must
    match. `results` are wanted results by mechanism (spf, dkim, dmarc, compauth), as stamped by the `authserv_ids`;
    without any, the topmost Authentication-Results count. `tls` is the lowest version accepted ("1.2"), on the hop
    from us or, with `tls_every_hop`, wherever a host passed the message on. `headers` must be present.
    """

    placement: str | None = "inbox"
    refused: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    authserv_ids: tuple[str, ...] = ()
    tls: str | None = None
    tls_every_hop: bool = False
    attributed: bool | None = None
    scl_max: int | None = None
    max_hop_delay: float | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The patience of a check, in seconds since its canary's first byte."""

    every: float
    late_after: float
    lost_after: float
    observe_within: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check as it is configured: path + mailbox + schedule + expectations."""

    name: str
    path: str
    method: str
    mailbox: str
    sender: str
    recipient: str
    limits: Limits
    expect: Expectations = field(default_factory=Expectations)
    severity: str = "critical"
    bounces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One message of one check. `id` is random; `slot` is its place in the schedule.

    `signature` is that of its token, and `key` names the key that made it; empty where that is not on record.
    """

    id: str
    check: Check
    slot: int
    started_at: float
    started: datetime
    key: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRef:
    """Where one message lies. `validity` and `uid` are IMAP's (RFC 9051 2.3.1.1); Graph puts its id in `uid`."""

    folder: str
    validity: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """A message as a reader found it: header bytes, nothing interpreted yet.

    `overlap`: it may be years old, and is shown in case the service's clock is slow. `bare`: the service shows no
    header of it; what stands in for one tells whose it is, but is no evidence.
    """

    ref: MessageRef
    headers: bytes
    stored: datetime | None = None
    overlap: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One canary found in one folder.

    The moment it became visible lies between `after_at` (when the last complete look without it began; None if
    there was none) and `seen_at` (when the look that found it had answered).
    """

    canary: str
    ref: MessageRef
    seen_at: float
    after_at: float | None
    junk: bool
    stored: datetime | None = None
    findings: Findings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the headers of a delivered canary say, as far as a check can demand it. None: the mail does not say.

    `attributed` tells whether an inbound connector recognised the sender. `hops` are oldest first.
    `end_to_end_latency` and `arrived` are Exchange's own figures, by its clocks.
    """

    results: Mapping[str, str] = field(default_factory=dict)
    marked_junk: str | None = None
    attributed: bool | None = None
    scl: int | None = None
    hops: Sequence[ServerHop] = ()
    end_to_end_latency: float | None = None
    arrived: datetime | None = None
    headers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """A delivery status notification about one canary. `final` is False for "delayed" (RFC 3464 2.3.3)."""

    canary: str
    seen_at: float
    final: bool
    action: str
    status: str | None
    diagnostic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSpan:
    """A time in which nobody looked into one folder: between two complete looks that lie too far apart."""

    began_at: float
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What is known of the looks into the folders that matter to one canary.

    `looked_at` has, for every watched folder, when its newest complete look began (None: never). `since_at` is since
    when these are the folders of this account: looks into it do not tell what became of older canaries.
    """

    looked_at: Mapping[str, float | None]
    blind: Sequence[BlindSpan] = ()
    since_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one canary; with the time, all that a verdict depends on.

    `attempt` is None while the hand-over is under way, or, with `abandoned`, when the process that started it is
    gone and nobody can say how far it came. `online` tells whether the agent itself had a working network.
    `attribution_known` tells whether a canary of this check has ever carried the header of the tenant's connector.
    """

    canary: Canary
    attempt: Attempt | None
    abandoned: bool
    online: bool
    sightings: Sequence[Sighting]
    bounces: Sequence[Bounce]
    watching: Watching
    attribution_known: bool = False

    @property
    def being_sent(self) -> bool:
        """Tell whether the hand-over is under way."""
        return self.attempt is None and not self.abandoned


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The one final verdict on a canary, with the durations that are known, in seconds.

    `delivery` runs from the final reply to the first sighting, and is raw: negative where the mail was seen
    before the reply. `observation_gap` is how far the true moment of arrival may lie before the reported one.
    """

    canary: str
    outcome: Outcome
    verdict: Verdict
    reasons: Sequence[str]
    submission: float | None = None
    delivery: float | None = None
    end_to_end: float | None = None
    observation_gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """No verdict yet. `again_at` is when time alone can bring one; a new fact may do so sooner.

    From `deadline_at` on, a complete look into every watched folder that does not show the canary means `lost`.
    """

    again_at: float
    deadline_at: float
