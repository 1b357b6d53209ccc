"""The tenant's SMTP endpoints: the MX endpoint, for relay and for direct send, and client submission."""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import replace

from aiosmtpd.smtp import Envelope

from checks.lab import tenant
from checks.lab.certificates import Certificates
from checks.lab.faults import LOGON_FAILED, FaultBoard
from checks.lab.headers import FRONT_DOOR, MAILBOX_SERVER, SUBMISSION_DOOR
from checks.lab.listener import Listener
from checks.lab.logins import Logins
from checks.lab.post import PostOffice, Submission
from checks.lab.smtp import ExchangeSMTP, Rules, content_of
from checks.lab.smtp_session import StagedSMTP
from checks.lab.tenant import Account, PathName

_log = logging.getLogger(__name__)
CONCURRENT_CONNECTIONS = 3
"""Of one mailbox, at client submission."""
_ROLE = "SMTP.SendAsApp"
_FULL_DISK = "452 4.3.1 Insufficient system resources"
_FROM = re.compile(rb"^from:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>,;:\"]+@[^\s<>,;:\"]+")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\r\n]{1,250}>)", re.IGNORECASE | re.MULTILINE)


class MxRules:
    """The MX endpoint: anonymous mail for the tenant, and relay for clients that a connector knows."""

    host = FRONT_DOOR
    mechanisms: Sequence[str] = ()

    def __init__(self, path: PathName, faults: FaultBoard, office: PostOffice) -> None:
        self.path = path
        self._faults = faults
        self._office = office

    async def authenticate(self, smtp: StagedSMTP, mechanism: str, username: str, secret: str) -> str | None:  # noqa: ARG002  the protocol has them
        """Refuse: nobody logs in here."""
        return "504 5.7.4 Unrecognized authentication type"

    async def judge_sender(self, smtp: StagedSMTP, address: str) -> str | None:  # noqa: ARG002
        """Accept: what the sender is worth shows at RCPT."""
        return None

    async def judge_recipient(self, smtp: StagedSMTP, address: str) -> str | None:
        """Apply the rules of the tenant."""
        assert smtp.envelope is not None  # noqa: S101  a transaction is open
        return tenant.refuse_recipient(
            smtp.peer,
            _reverse_path(smtp.envelope),
            address,
            connector=self._has_connector(),
            direct_send=not self._faults.is_on(self.path, "direct_send_rejected"),
        )

    async def take(self, smtp: StagedSMTP, envelope: Envelope) -> str:
        """Queue the message."""
        mail_from = _reverse_path(envelope)
        content = content_of(envelope)
        attributed = self._has_connector() and tenant.is_attributed(smtp.peer, mail_from)
        mail = Submission(
            path=self.path,
            peer=smtp.peer,
            mail_from=mail_from,
            recipients=tuple(envelope.rcpt_tos),
            content=content,
            attributed=attributed,
        )
        if not await _accepted(self._office, mail):
            return smtp.suffixed(_FULL_DISK)
        return (
            f"250 2.6.0 {_message_id(content)} [InternalId={secrets.randbelow(10**14)}, Hostname={MAILBOX_SERVER}] "
            f"{len(content)} bytes in 0.121, {len(content) / 123.904:.3f} KB/sec Queued mail for delivery"
        )

    def _has_connector(self) -> bool:
        return not self._faults.is_on(self.path, "connector_mismatch")


class SubmissionRules:
    """Client submission: AUTH inside TLS, for a sender that is the account."""

    path = PathName.SUBMISSION
    host = SUBMISSION_DOOR
    mechanisms: Sequence[str] = ("LOGIN", "XOAUTH2")

    def __init__(self, faults: FaultBoard, office: PostOffice, logins: Logins, sessions: set[StagedSMTP]) -> None:
        self._faults = faults
        self._office = office
        self._logins = logins
        self._sessions = sessions

    async def authenticate(self, smtp: StagedSMTP, mechanism: str, username: str, secret: str) -> str | None:
        """Check password or token."""
        if mechanism == "LOGIN" and self._faults.is_on(self.path, "basic_auth_retired"):
            return "550 5.7.30 Basic authentication is not supported for Client Submission."
        if mechanism == "XOAUTH2" and self._faults.is_on(self.path, "oauth_challenge"):
            return await _challenge(smtp)
        account = tenant.account_of(username)
        by_token = mechanism == "XOAUTH2"
        if account is None or not account.hosted or not self._proved(account, secret, by_token=by_token):
            if by_token:
                return "535 5.7.3 Authentication unsuccessful"
            return "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
        smtp.peer = replace(smtp.peer, account=account, by_token=by_token)
        return None

    def _proved(self, account: Account, secret: str, *, by_token: bool) -> bool:
        if by_token:
            return self._logins.token_is_good(account, secret, _ROLE)
        return self._logins.password_is_right(account, secret)

    async def judge_sender(self, smtp: StagedSMTP, address: str) -> str | None:
        """Refuse a sender that has not logged in, or is somebody else."""
        account = smtp.peer.account
        if account is None:
            return "530 5.7.57 Client not authenticated to send mail."
        if address.lower() != account.address:
            return "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
        return None

    async def judge_recipient(self, smtp: StagedSMTP, address: str) -> str | None:  # noqa: ARG002
        """Refuse what the tenant's own directory does not know; the rest of the world is tried."""
        if tenant.domain_of(address) == tenant.TENANT_DOMAIN and tenant.account_of(address) is None:
            return f"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {address} not found by SMTP address lookup"
        return None

    async def take(self, smtp: StagedSMTP, envelope: Envelope) -> str:
        """Queue the message, where the mailbox may send it."""
        account = smtp.peer.account
        assert account is not None  # noqa: S101  judge_sender has seen to it
        content = content_of(envelope)
        if self._connections(account) > CONCURRENT_CONNECTIONS:
            # As clients report it, this comes after the dot and names the mailbox server.
            return (
                "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more "
                f"information. [Hostname={MAILBOX_SERVER}]"
            )
        if smtp.peer.by_token and not self._logins.may_use(self.path):
            return f"{LOGON_FAILED} [Hostname={MAILBOX_SERVER}]"
        if (author := _author(content)) not in {None, account.address}:
            return (
                f"554 5.2.252 SendAsDenied; {account.address} not allowed to send as {author}; "
                "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process "
                "message due to a permanent exception with message Cannot submit message. "
                f"[Hostname={MAILBOX_SERVER}]"
            )
        mail = Submission(
            path=self.path,
            peer=smtp.peer,
            mail_from=account.address,
            recipients=tuple(envelope.rcpt_tos),
            content=content,
            attributed=True,
            sent_copy=True,
        )
        if not await _accepted(self._office, mail):
            return smtp.suffixed(_FULL_DISK)
        return f"250 2.0.0 OK {_message_id(content)} [Hostname={MAILBOX_SERVER}]"

    def _connections(self, account: Account) -> int:
        return sum(session.peer.account == account for session in self._sessions)


class Endpoint:
    """An SMTP port, with the faults of its path."""

    def __init__(
        self,
        path: PathName,
        port: int,
        certificates: Certificates,
        faults: FaultBoard,
        office: PostOffice,
        logins: Logins,
    ) -> None:
        self.path = path
        self.listener: Listener[StagedSMTP] = Listener(path.value, port, self._session)
        self._certificates = certificates
        self._faults = faults
        self._rules: Rules = (
            SubmissionRules(faults, office, logins, self.listener.sessions)
            if path is PathName.SUBMISSION
            else MxRules(path, faults, office)
        )

    async def apply_faults(self) -> None:
        """Open or close the port, as the faults of the moment want it."""
        if self._faults.is_on(self.path, "port_closed"):
            self.listener.close()
        else:
            await self.listener.open()

    async def close(self) -> None:
        """Close the port and cut the sessions."""
        self.listener.close()

    def _session(self) -> ExchangeSMTP:
        return ExchangeSMTP(self._rules, self._faults, self._context, self.listener.sessions)

    def _context(self) -> ssl.SSLContext | None:
        """Return the certificate to show at the next handshake; None for a handshake that fails."""
        if self._faults.is_on(self.path, "tls_broken"):
            return None
        if self._faults.is_on(self.path, "tls_expired"):
            return self._certificates.expired
        if self._faults.is_on(self.path, "tls_wrong_name"):
            return self._certificates.wrong_name
        return self._certificates.valid


def _reverse_path(envelope: Envelope) -> str:
    return "" if envelope.mail_from in {None, "<>"} else str(envelope.mail_from)


def _message_id(content: bytes) -> str:
    found = _MESSAGE_ID.search(content.partition(b"\r\n\r\n")[0])
    return found[1].decode("ascii", "replace") if found else f"<{secrets.token_hex(16)}@{MAILBOX_SERVER}>"


def _author(content: bytes) -> str | None:
    """Return the address in From (P2), in lower case; None when there is none to read."""
    field = _FROM.search(content.partition(b"\r\n\r\n")[0])
    found = _ADDRESS.findall(field[1].decode("ascii", "replace")) if field else []
    return found[-1].lower() if found else None


async def _accepted(office: PostOffice, mail: Submission) -> bool:
    try:
        await office.accept(mail)
    except OSError as error:
        _log.warning("a message was put off, the disk does not take it: %s", error)
        return False
    return True


async def _challenge(smtp: StagedSMTP) -> str:
    """Refuse a token as Google does: the reason as JSON in a challenge, which the client answers by an empty line."""
    reason = {"status": "401", "schemes": "Bearer", "scope": "https://outlook.office.com/SMTP.Send"}
    await smtp.push(f"334 {base64.b64encode(json.dumps(reason).encode()).decode()}")
    await smtp.read_answer()
    return "535 5.7.3 Authentication unsuccessful"
