"""Every named fault of the lab, and what it makes of a canary or of a mailbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from checks.core.model import Outcome
from checks.lab import Control

PATIENT = {"every": "60s", "late_after": "60s", "lost_after": "120s"}
HURRIED = {"every": "1s", "late_after": "1s", "lost_after": "3s"}
TIMELY = {"every": "60s", "late_after": "1s", "lost_after": "120s"}
LIMITS = {"patient": PATIENT, "hasty": PATIENT, "hurried": HURRIED, "timely": TIMELY, "curt": HURRIED}
GIVES_UP_SOON = ("hasty", "curt")
MAILBOX_OF = {"relay": "outside", "submission": "inbox", "direct": "inbox", "login": "inbox", "graph": "noreply"}
MAILBOXES = ("inbox", "noreply", "outside")
STAGES = ("dns", "connect", "greeting", "starttls", "auth", "envelope", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a fault of a path makes of a canary.

    `says` is a pattern in the reasons, `counts` what the books show beside the canary itself, `path` another path
    than the broken one to send by, `value` the seconds that the fault takes. `after` is how many canaries come first:
    a token that was good until now fails one canary before there is another, or none.
    """

    outcome: Outcome
    says: str = ""
    patience: str = "patient"
    counts: Mapping[str, int] = field(default_factory=dict)
    path: str | None = None
    value: str = ""
    after: int = 0


def replied(outcome: Outcome, reply: str) -> Expected:
    return Expected(outcome=outcome, says=re.escape(reply))


def silent(outcome: Outcome, says: str) -> Expected:
    return Expected(outcome=outcome, says=says)


PATH_FAULTS = {
    "connector_mismatch": replied(Outcome.REJECTED, "550 5.7.64 TenantAttribution"),
    "direct_send_rejected": replied(Outcome.REJECTED, "550 5.7.68 TenantInboundAttribution"),
    "basic_auth_retired": Expected(outcome=Outcome.AUTH_FAILED, says="550 5.7.30", path="login"),
    "oauth_challenge": replied(Outcome.AUTH_FAILED, "535 5.7.3"),
    "refuse_greeting": replied(Outcome.REJECTED, "554 5.3.2"),
    "defer_greeting": replied(Outcome.DEFERRED, "421 4.3.2"),
    "refuse_ehlo": replied(Outcome.REJECTED, "501 5.5.4"),
    "defer_ehlo": replied(Outcome.DEFERRED, "421 4.3.2"),
    "refuse_starttls": replied(Outcome.TLS_FAILED, "554 5.7.3"),
    "defer_starttls": replied(Outcome.DEFERRED, "454 4.7.0"),
    "refuse_auth": replied(Outcome.AUTH_FAILED, "535 5.7.3"),
    "defer_auth": replied(Outcome.DEFERRED, "454 4.7.0"),
    "smtp_auth_disabled": replied(Outcome.AUTH_FAILED, "535 5.7.139"),
    "refuse_mail": replied(Outcome.REJECTED, "550 5.7.606"),
    "defer_mail": replied(Outcome.DEFERRED, "451 4.3.2"),
    "refuse_rcpt": replied(Outcome.REJECTED, "550 5.4.1"),
    "recipient_not_found": replied(Outcome.REJECTED, "550 5.1.10"),
    "defer_rcpt": replied(Outcome.DEFERRED, "451 4.7.500"),
    "refuse_data": replied(Outcome.REJECTED, "550 5.7.705"),
    "defer_data": replied(Outcome.DEFERRED, "452 4.3.1"),
    "refuse_message": replied(Outcome.REJECTED, "550 5.7.509"),
    "defer_message": replied(Outcome.DEFERRED, "430 4.2.0"),
    "drop_greeting": silent(Outcome.UNREACHABLE, "dropped"),
    "hang": silent(Outcome.UNREACHABLE, "timeout"),
    "drop_ehlo": silent(Outcome.DEFERRED, "dropped"),
    "hang_ehlo": silent(Outcome.DEFERRED, "dropped"),
    "drop_starttls": silent(Outcome.TLS_FAILED, "dropped"),
    "hang_starttls": silent(Outcome.TLS_FAILED, "timeout"),
    "drop_auth": silent(Outcome.DEFERRED, "dropped"),
    "hang_auth": silent(Outcome.DEFERRED, "dropped"),
    "drop_mail": silent(Outcome.DEFERRED, "dropped"),
    "hang_mail": silent(Outcome.DEFERRED, "dropped"),
    "drop_rcpt": silent(Outcome.DEFERRED, "dropped"),
    "hang_rcpt": silent(Outcome.DEFERRED, "dropped"),
    "drop_data": silent(Outcome.DEFERRED, "dropped"),
    "hang_data": silent(Outcome.DEFERRED, "dropped"),
    "drop_after_dot": Expected(outcome=Outcome.DELIVERED),
    "hang_after_dot": Expected(outcome=Outcome.DELIVERED),
    "drop_after_dot_lost": Expected(outcome=Outcome.INDETERMINATE, says="no answer to the message", patience="hurried"),
    "port_closed": silent(Outcome.UNREACHABLE, "connect"),
    "tls_not_offered": silent(Outcome.TLS_FAILED, "not_offered"),
    "tls_broken": silent(Outcome.TLS_FAILED, "handshake"),
    "tls_expired": silent(Outcome.TLS_FAILED, "expired"),
    "tls_wrong_name": silent(Outcome.TLS_FAILED, "mismatch|not valid for"),
    "delay": Expected(outcome=Outcome.LATE, patience="timely", value="=3"),
    "lose": Expected(outcome=Outcome.LOST, says="not seen", patience="hurried"),
    "junk": Expected(outcome=Outcome.JUNK, says="Junk Email|junkemail"),
    "duplicate": Expected(outcome=Outcome.DELIVERED, counts={"canaries_duplicates": 1}),
    "bounce": Expected(outcome=Outcome.BOUNCED, says="550 5.1.10"),
    "forged_canary": Expected(outcome=Outcome.LOST, patience="hurried", counts={"messages_ignored": 1}),
    "role_missing": Expected(outcome=Outcome.AUTH_FAILED, says="no role SMTP.SendAsApp", after=1),
    "mailbox_not_permitted": replied(Outcome.DEFERRED, "430 4.2.0 STOREDRV"),
}
GRAPH_FAULTS = {
    "role_missing": Expected(outcome=Outcome.AUTH_FAILED, says="403 ErrorAccessDenied.*no role Mail.Send"),
    "mailbox_not_permitted": replied(Outcome.AUTH_FAILED, "403 ErrorAccessDenied"),
    "throttled": replied(Outcome.DEFERRED, "429 ApplicationThrottled"),
    "graph_unavailable": replied(Outcome.DEFERRED, "503 serviceNotAvailable"),
    "graph_gateway_timeout": replied(Outcome.DEFERRED, "504 UnknownError"),
    "graph_slow": Expected(outcome=Outcome.DELIVERED, value="=0.3"),
    "graph_silent": Expected(outcome=Outcome.INDETERMINATE, says="no answer", patience="curt"),
    "graph_down": silent(Outcome.UNREACHABLE, "connect"),
    "drop_after_body": Expected(outcome=Outcome.DELIVERED),
    "hang_after_body": Expected(outcome=Outcome.DELIVERED),
}
HARMLESS_TO_READERS = {
    "graph_slow": Expected(outcome=Outcome.DELIVERED, value="=0.3"),
    "delta_expired": Expected(outcome=Outcome.DELIVERED),
    "delta_replays": Expected(outcome=Outcome.DELIVERED),
}
ENTRA_FAULTS = {
    "secret_wrong": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS7000215", after=1),
    "secret_expired": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS7000222", after=1),
    "app_unknown": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS700016", after=1),
    "wrong_cloud": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS900382", after=1),
    "certificate_unknown": Expected(outcome=Outcome.DELIVERED),
    "token_expires_soon": Expected(outcome=Outcome.DELIVERED, value="=1"),
    "entra_unavailable": Expected(outcome=Outcome.DELIVERED),
    "entra_silent": Expected(outcome=Outcome.DELIVERED),
    "entra_down": Expected(outcome=Outcome.DELIVERED),
}
MAILBOX_FAULTS = {
    "imap": {
        "imap_down": "connect",
        "imap_login_refused": "login",
        "imap_bye": "closed",
        "imap_silent": "timeout",
        "role_missing": "login",
        "mailbox_not_permitted": "login",
    },
    "graph": {
        "role_missing": "login",
        "mailbox_not_permitted": "login",
        "throttled": "throttled",
        "graph_unavailable": "throttled",
        "graph_gateway_timeout": "unavailable",
        "graph_silent": "timeout",
    },
}
READ_BY = {"inbox": "imap", "noreply": "graph", "outside": "imap"}

ANY_MAIL = ("delay", "lose", "junk", "duplicate", "bounce", "forged_canary")
"""What may become of a message, whichever way it was sent."""

Row = tuple[str, str]
"""A fault and its target."""

CATALOGUE = sorted((name, str(target)) for name, _, targets in Control(Path()).faults() for target in targets)
ON_PATHS = [row for row in CATALOGUE if row[1] in MAILBOX_OF]
ON_ENTRA = [row for row in CATALOGUE if row[1] == "entra"]
ON_MAILBOXES = [(fault, box) for fault, box in CATALOGUE if box in MAILBOXES and fault in MAILBOX_FAULTS[READ_BY[box]]]
HARMLESS = [(fault, "noreply") for fault in HARMLESS_TO_READERS]
NOT_USED = {(fault, box) for fault, box in CATALOGUE if box in MAILBOXES} - {*ON_MAILBOXES, *HARMLESS}
"""Faults of a way to read that the settings of this mailbox do not use."""


def expected_of(row: Row) -> Expected:
    fault, target = row
    if target == "noreply":
        return HARMLESS_TO_READERS[fault]
    return GRAPH_FAULTS.get(fault) or PATH_FAULTS[fault] if target == "graph" else PATH_FAULTS[fault]
