"""The ways to send that the testbed knows, and what has to come of each: one row, one canary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.core.model import Outcome, Verdict
from checks.core.verdict import DEFAULT_VERDICT

INSIDE, OUTSIDE = "interop-ways@corp.test", "interop-ways@remote.test"
ADDRESS_OF = {"inside": INSIDE, "outside": OUTSIDE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A path, one canary on it, and its end.

    `port` names one of the testbed's; `login` and `client` say which credential and client certificate, as in
    `test_ways_to_send`. `says` is a pattern in the reasons, `shows` strings in the dialogue. `verdict` is that of the
    outcome unless it says otherwise.
    """

    kind: str
    outcome: Outcome
    port: str = "mx"
    settings: Mapping[str, Any] = field(default_factory=dict)
    login: str = ""
    client: str = ""
    mailbox: str = "inside"
    to: str = ""
    refused: str = ""
    verdict: Verdict | None = None
    says: str = ""
    shows: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, str]:
        """Outcome and verdict."""
        return self.outcome, self.verdict or DEFAULT_VERDICT[self.outcome]


def _delivered(kind: str, port: str = "mx", *, shows: tuple[str, ...] = (), **more: Any) -> Way:
    return Way(kind=kind, port=port, outcome=Outcome.DELIVERED, shows=(*shows, "S: 250 2.0.0 Ok: queued as "), **more)


def _refused(kind: str, outcome: Outcome, reply: str, **more: Any) -> Way:
    return Way(kind=kind, outcome=outcome, says=re.escape(reply), shows=(f"S: {reply}",), **more)


def _tls_failed(kind: str, port: str, says: str, **settings: Any) -> Way:
    return Way(kind=kind, port=port, outcome=Outcome.TLS_FAILED, says=says, settings=settings)


_DENIED = "554 5.7.1 <"
_CONNECTOR = {"source_address": "127.0.0.2"}
_BAD_LOGIN = "535 5.7.8 "
_EXPIRED = "certificate of 127.0.0.1 was refused: certificate has expired"
_WRONG_NAME = "certificate of 127.0.0.1 was refused: IP address mismatch"
_SELF_SIGNED = "certificate of 127.0.0.1 was refused: self.signed certificate"

RELAY = {
    "relay-by-address": _delivered("relay", mailbox="outside", settings=_CONNECTOR, shows=("-: TLSv1.3",)),
    "relay-by-address-without-tls": _delivered(
        "relay", "mx_no_tls", mailbox="outside", settings={**_CONNECTOR, "tls": "none"}
    ),
    "relay-by-certificate": _delivered("relay", mailbox="outside", client="listed", shows=("-: TLSv1.3",)),
    "relay-by-stranger": _refused("relay", Outcome.REJECTED, _DENIED, mailbox="outside"),
    "relay-by-other-certificate": _refused("relay", Outcome.REJECTED, _DENIED, mailbox="outside", client="unlisted"),
    "relay-inside-proves-nothing": _delivered("relay"),
    "relay-to-nowhere": _refused(
        "relay", Outcome.REJECTED, "550 5.1.2 <", mailbox="outside", settings=_CONNECTOR, to="a@nowhere.test"
    ),
}
DIRECT = {
    "direct": _delivered("direct_send", shows=("-: TLSv1.3",)),
    "direct-without-tls": _delivered("direct_send", settings={"tls": "none"}),
    "direct-where-none-is-offered": _delivered("direct_send", "mx_no_tls", shows=("-: STARTTLS is not offered",)),
    "direct-outside": _refused("direct_send", Outcome.REJECTED, _DENIED, mailbox="outside"),
    "direct-outside-as-wanted": _refused(
        "direct_send", Outcome.REJECTED, _DENIED, mailbox="outside", refused=r"5\.4\.1|5\.7\..*", verdict=Verdict.PASS
    ),
    "direct-outside-for-another-reason": Way(
        kind="direct_send",
        outcome=Outcome.REJECTED,
        mailbox="outside",
        refused="5.4.1",
        says=r"refused: expected 5\.4\.1, found 5\.7\.1",
    ),
    "direct-taken-against-all-wishes": Way(
        kind="direct_send", outcome=Outcome.ACCEPTED, refused="5.7.*", says="should have been refused"
    ),
    "direct-to-a-wrong-recipient": _refused(
        "direct_send", Outcome.REJECTED, "550 5.4.1 <reject-ways@", to="reject-ways@corp.test"
    ),
    "direct-to-a-recipient-that-must-be-wrong": _refused(
        "direct_send",
        Outcome.REJECTED,
        "550 5.4.1 <",
        to="reject-ways@corp.test",
        refused="5.4.1",
        verdict=Verdict.PASS,
    ),
    "direct-deferred": _refused("direct_send", Outcome.DEFERRED, "451 4.7.500 <", to="defer-ways@corp.test"),
    "direct-deferred-is-no-refusal": _refused(
        "direct_send", Outcome.DEFERRED, "451 4.7.500 <", to="defer-ways@corp.test", refused=".*"
    ),
    "direct-filtered-after-data": _refused(
        "direct_send", Outcome.REJECTED, "550 5.7.1 <filtered-ways@", to="filtered-ways@corp.test"
    ),
    "direct-no-room-after-data": _refused(
        "direct_send", Outcome.DEFERRED, "452 4.3.1 <full-ways@", to="full-ways@corp.test"
    ),
    "direct-to-a-closed-port": Way(kind="direct_send", port="", outcome=Outcome.UNREACHABLE, says="refused"),
}
SUBMISSION = {
    "submission-plain": _delivered("submission", "submission", login="password", shows=("C: AUTH PLAIN ***",)),
    "submission-login": _delivered("submission", "submission_login", login="password", shows=("C: AUTH LOGIN",)),
    "submission-token": _delivered("submission", "submission", login="token", shows=("C: AUTH XOAUTH2 ***",)),
    "submission-token-as-exchange-offers": _delivered(
        "submission", "submission_login", login="token", shows=("C: AUTH XOAUTH2 ***",)
    ),
    "submission-outside": _delivered("submission", "submission", login="token", mailbox="outside"),
    "submission-wrong-password": _refused(
        "submission", Outcome.AUTH_FAILED, _BAD_LOGIN, port="submission", login="wrong password"
    ),
    "submission-wrong-password-by-login": _refused(
        "submission", Outcome.AUTH_FAILED, _BAD_LOGIN, port="submission_login", login="wrong password"
    ),
    **{
        f"submission-{fault}-token": Way(
            kind="submission",
            port="submission",
            outcome=Outcome.AUTH_FAILED,
            login=f"{fault} token",
            says=r"535 5\.7\.8 .*OAuth: status 40",
            shows=("C: (empty line)", "S: 535 5.7.8 "),
        )
        for fault in ("expired", "revoked", "foreign", "invented")
    },
    "submission-as-somebody-else": _refused(
        "submission",
        Outcome.REJECTED,
        "553 5.7.1 <owned-ways@corp.test>",
        port="submission",
        login="password",
        settings={"sender": "owned-ways@corp.test"},
    ),
    "submission-without-login": _refused("smtp", Outcome.REJECTED, "554 5.7.1 <", port="submission"),
    "submission-without-tls": _refused(
        "smtp", Outcome.REJECTED, "530 5.7.0 Must issue a STARTTLS", port="submission", settings={"tls": "none"}
    ),
}
STRICT = {
    "strict-greeting": _refused(
        "relay", Outcome.REJECTED, "554 5.7.1 <", port="mx_strict", settings={"source_address": "127.0.0.3"}
    ),
    "strict-greeting-busy": _refused(
        "relay", Outcome.DEFERRED, "421 4.7.0 <", port="mx_strict", settings={"source_address": "127.0.0.4"}
    ),
    "strict-helo": _refused(
        "relay", Outcome.REJECTED, "504 5.5.2 <printer>", port="mx_strict", settings={"helo": "printer"}
    ),
    "strict-sender": _refused(
        "relay", Outcome.REJECTED, "550 5.1.8 <", port="mx_strict", settings={"sender": "blocked@corp.test"}
    ),
    "strict-sender-for-now": _refused(
        "relay", Outcome.DEFERRED, "450 4.1.8 <", port="mx_strict", settings={"sender": "greyed@corp.test"}
    ),
    "strict-too-large": _refused("relay", Outcome.REJECTED, "552 5.3.4 ", port="mx_strict"),
}
IMPLICIT = {
    "smtps-password": _delivered(
        "smtp", "smtps", login="password", settings={"tls": "implicit"}, shows=("-: TLSv1.3", "C: AUTH PLAIN ***")
    ),
    "smtps-token": _delivered(
        "smtp", "smtps", login="token", settings={"tls": "implicit"}, shows=("C: AUTH XOAUTH2 ***",)
    ),
    "smtps-wrong-password": _refused(
        "smtp",
        Outcome.AUTH_FAILED,
        _BAD_LOGIN,
        port="smtps",
        login="wrong password",
        settings={"tls": "implicit"},
    ),
    "smtps-without-login": _refused(
        "smtp", Outcome.REJECTED, "554 5.7.1 <", port="smtps", settings={"tls": "implicit"}
    ),
    "implicit-tls-where-starttls-is": _tls_failed(
        "smtp", "submission", "speaks? plain text on this port", tls="implicit"
    ),
    "starttls-where-implicit-tls-is": Way(
        kind="smtp",
        port="smtps",
        outcome=Outcome.UNREACHABLE,
        settings={"timeouts": {"greeting": "1s"}},
        says="timeout.*the greeting did not come",
    ),
}
CERTIFICATES = {
    "tls-not-offered": _tls_failed("relay", "mx_no_tls", "not_offered.*no STARTTLS"),
    **{
        f"tls-{name}-{tls}": _tls_failed("direct_send", f"mx_{name}", says, tls=tls)
        for name, says in (("expired", _EXPIRED), ("wrong_name", _WRONG_NAME), ("self_signed", _SELF_SIGNED))
        for tls in ("required", "opportunistic")
    },
    "tls-by-nobody-we-trust": Way(
        kind="relay",
        outcome=Outcome.TLS_FAILED,
        settings={"ca_file": "self_signed"},
        says="refused: self.signed certificate in certificate chain",
    ),
    "plain-text-asks-for-no-certificate": _delivered("direct_send", "mx_expired", settings={"tls": "none"}),
}
WAYS: Mapping[str, Way] = RELAY | DIRECT | SUBMISSION | STRICT | IMPLICIT | CERTIFICATES
