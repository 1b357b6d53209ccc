"""What Exchange Online does in an SMTP session beyond aiosmtpd: its extensions, AUTH, BDAT, and its own decisions."""

# ruff: noqa: N802  aiosmtpd finds hooks, mechanisms and commands by names like handle_EHLO

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol

from aiosmtpd.smtp import AuthResult, Envelope, Session

from checks.lab.faults import Act, FaultBoard, Stage
from checks.lab.smtp_session import MESSAGE_LIMIT, StagedSMTP
from checks.lab.tenant import PathName

_ADVERTISED_SIZE = 157_286_400  # bytes; the service lists more than it takes
_DSN = frozenset({"RET", "ENVID", "NOTIFY", "ORCPT"})  # RFC 3461: listed, and without effect here
_MECHANISMS = {"PLAIN", "LOGIN", "XOAUTH2"}  # what the classes below would offer


class Rules(Protocol):
    """What an endpoint decides; `smtp` is the session that asks. Replies come without the server's suffix."""

    path: PathName
    host: str
    """The name in the greeting and after refusals."""
    mechanisms: Sequence[str]

    async def authenticate(self, smtp: StagedSMTP, mechanism: str, username: str, secret: str) -> str | None:
        """Check a login; return the refusal, or None."""
        ...

    async def judge_sender(self, smtp: StagedSMTP, address: str) -> str | None:
        """Return the refusal of the P1 sender, or None."""
        ...

    async def judge_recipient(self, smtp: StagedSMTP, address: str) -> str | None:
        """Return the refusal of a P1 recipient, or None."""
        ...

    async def take(self, smtp: StagedSMTP, envelope: Envelope) -> str:
        """Take the message; return the reply, durable when it is a 250."""
        ...


class Hooks:
    """aiosmtpd's handler: the replies that need no stage."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def handle_EHLO(
        self, server: ExchangeSMTP, session: Session, _envelope: Envelope, hostname: str, _responses: list[str]
    ) -> list[str]:
        """List the extensions; one text, so that it leaves in one packet."""
        session.host_name = hostname
        return ["\r\n".join(server.extensions())]

    async def handle_HELO(self, server: ExchangeSMTP, session: Session, _envelope: Envelope, hostname: str) -> str:
        """Greet a client that knows no extensions."""
        session.host_name = hostname
        return f"250 {self._rules.host} Hello [{server.peer.address}]"

    async def handle_MAIL(
        self, server: ExchangeSMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse the sender."""
        sender = "" if address == "<>" else address
        if refusal := await self._rules.judge_sender(server, sender):
            return server.suffixed(refusal)
        # aiosmtpd takes an empty text for "no MAIL yet", so the null sender stays as it was written.
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, server: ExchangeSMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        if refusal := await self._rules.judge_recipient(server, address):
            return server.suffixed(refusal)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: ExchangeSMTP, _session: Session, envelope: Envelope) -> str:
        """Take the message."""
        return await server.take(envelope)

    async def handle_RSET(self, *_: object) -> str:
        """Forget the transaction."""
        return "250 2.0.0 Resetting"

    async def handle_NOOP(self, *_: object) -> str:
        """Do nothing."""
        return "250 2.0.0 OK"

    async def handle_QUIT(self, *_: object) -> str:
        """Say goodbye."""
        return "221 2.0.0 Service closing transmission channel"

    async def handle_exception(self, _error: Exception) -> str:
        """Answer where something broke, without telling the client what; a failed handshake ends up here too."""
        return "451 4.3.0 Temporary server error"


class ExchangeSMTP(StagedSMTP):
    """One session."""

    def __init__(
        self,
        rules: Rules,
        faults: FaultBoard,
        context: Callable[[], ssl.SSLContext | None],
        sessions: set[StagedSMTP],
    ) -> None:
        super().__init__(
            Hooks(rules),
            path=rules.path,
            host=rules.host,
            faults=faults,
            context=context,
            sessions=sessions,
            excluded=_MECHANISMS - set(rules.mechanisms),
        )
        self._rules = rules

    def extensions(self) -> list[str]:
        """Return the lines of the EHLO reply, as Exchange Online lists them before and after STARTTLS."""
        words = [f"SIZE {_ADVERTISED_SIZE}", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"]
        if self._tls_protocol is None:
            words += [] if self._faults.is_on(self.path, "tls_not_offered") else ["STARTTLS"]
        elif self._rules.mechanisms:
            words.append(f"AUTH {' '.join(self._rules.mechanisms)}")
        words += ["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"]
        lines = [f"{self._host} Hello [{self.peer.address}]", *words]
        return [f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines]

    async def smtp_AUTH(self, arg: str) -> None:
        """AUTH (RFC 4954)."""
        assert self.session is not None  # noqa: S101  set since connection_made
        words = (arg or "").split()
        if words and words[0].upper() not in self._rules.mechanisms:
            await self.push("504 5.7.4 Unrecognized authentication type")
            return
        await super().smtp_AUTH(" ".join([words[0].upper(), *words[1:]]) if words else arg)

    async def auth_LOGIN(self, _: object, args: list[str]) -> AuthResult:
        """AUTH LOGIN: user name and password, one after the other."""
        username = await self._credential(args[1:], self.AuthLoginUsernameChallenge)
        password = None if username is None else await self._credential([], self.AuthLoginPasswordChallenge)
        if username is None or password is None:
            return AuthResult(success=False, handled=True)
        return await self._log_in("LOGIN", username, password)

    async def auth_XOAUTH2(self, _: object, args: list[str]) -> AuthResult:
        """AUTH XOAUTH2: user name and bearer token in one text."""
        text = await self._credential(args[1:], "")
        if text is None:
            return AuthResult(success=False, handled=True)
        found = re.fullmatch(r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01", text, re.IGNORECASE)
        return await self._log_in("XOAUTH2", *(found.groups() if found else ("", "")))

    async def _credential(self, initial: Sequence[str], challenge: str) -> str | None:
        """Read one answer, or the initial response; None when the client has been answered already."""
        if not initial:
            answer = await self.challenge_auth(challenge)
            return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else None
        try:
            return base64.b64decode(initial[0], validate=True).decode("utf-8", "replace")
        except ValueError:
            await self.push("501 5.5.4 Invalid arguments")
            return None

    async def _log_in(self, mechanism: str, username: str, secret: str) -> AuthResult:
        if await self.stopped(Stage.AUTH):
            return AuthResult(success=False, handled=True)
        refusal = await self._rules.authenticate(self, mechanism, username, secret)
        if refusal is None:
            # Not by AuthResult(success=True): aiosmtpd then warns in the log about an attribute that it sets itself.
            assert self.session is not None  # noqa: S101  set since connection_made
            self.session.authenticated = True
            await self.push("235 2.7.0 Authentication successful")
        else:
            await self.push(self.suffixed(refusal))
        return AuthResult(success=False, handled=True)

    async def smtp_BDAT(self, arg: str | None) -> None:
        """BDAT (RFC 3030): a chunk of so many bytes."""
        words = (arg or "").upper().split()
        if not words or not words[0].isdigit() or words[1:] not in ([], ["LAST"]):
            await self.push("501 5.5.4 Invalid arguments")
            return
        chunk = await self._chunk(int(words[0]))
        assert self.envelope is not None  # noqa: S101  set since connection_made
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.2 Need rcpt command")
        elif chunk is None:
            self.envelope = self._create_envelope()
            await self.push("552 5.3.4 Message size exceeds fixed maximum message size")
        elif len(words) == 1:
            self.envelope.content = content_of(self.envelope) + chunk
            await self.push(f"250 2.6.0 CHUNK received OK, {words[0]} octets")
        else:
            self.envelope.content = content_of(self.envelope) + chunk
            status = await self.take(self.envelope)
            self.envelope = self._create_envelope()
            await self.push(status)

    async def _chunk(self, size: int) -> bytes | None:
        """Read a chunk; None when the message gets too large. It is read to its end all the same."""
        assert self.envelope is not None  # noqa: S101  set since connection_made
        if size + len(content_of(self.envelope)) <= MESSAGE_LIMIT:
            return await self._reader.readexactly(size)
        while size > 0:
            size -= len(await self._reader.read(min(size, 65_536))) or size
        return None

    async def take(self, envelope: Envelope) -> str:
        """Take the message, or suffer the fault of the final dot; return the reply."""
        broken = self._faults.at(self.path, Stage.MESSAGE)
        if broken is None:
            return await self._rules.take(self, envelope)
        if broken.fault.act is Act.REPLY:
            return self.suffixed(broken.fault.reply)
        if broken.fault.act in {Act.DROP_ACCEPTED, Act.HANG_ACCEPTED}:
            await self._rules.take(self, envelope)
        await self.suffer(broken)
        return "421 4.3.2 Service not active"

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        """Read the parameters of MAIL and RCPT; BINARYMIME is as good as 8BITMIME for a server that keeps bytes."""
        found = super()._getparams([one for one in params if one.partition("=")[0].upper() not in _DSN])
        if found is not None and found.get("BODY") == "BINARYMIME":
            found["BODY"] = "8BITMIME"
        return found


def content_of(envelope: Envelope) -> bytes:
    """Return the message of a transaction; aiosmtpd would hand out text only if it were asked to decode."""
    content = envelope.content or b""
    return content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
