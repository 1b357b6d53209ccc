"""Any SMTP server: another provider's submission service, a smart host, an appliance."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from checks.settings import Port, wrong
from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import SmtpSettings

_SMTPS = 465


class Smtp(SmtpPath):
    """SMTP to any provider: RFC 6409 submission with STARTTLS, RFC 8314 with TLS from the first byte, or plain relay.

    A credential is optional. PLAIN, LOGIN or XOAUTH2 is used, by what the credential is and the server offers.
    """

    class Settings(SmtpSettings):
        """A host or a domain; port 587 and TLS by STARTTLS unless set otherwise."""

        port: Port = 587

        @model_validator(mode="after")
        def _smtps_is_implicit(self) -> Self:
            if self.port == _SMTPS and self.tls != "implicit":
                raise wrong("port 465 is TLS from the first byte (RFC 8314 3.3): set tls to implicit, or use port 587")
            return self
