"""Client submission: to smtp.office365.com with a login, as a mailbox."""

from __future__ import annotations

from typing import Self

from pydantic import field_validator, model_validator

from checks.settings import Port, wrong
from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import SmtpSettings, TlsMode

_SMTPS = 465


class Submission(SmtpPath):
    """Microsoft 365 SMTP AUTH client submission.

    STARTTLS, then AUTH: XOAUTH2 with a bearer token, or LOGIN with a password for as long as basic authentication
    lasts. Source: Microsoft Learn, "How to set up a multifunction device or application to send email using Microsoft
    365 or Office 365", option 1, and "Authenticate an IMAP, POP or SMTP connection using OAuth".
    """

    class Settings(SmtpSettings):
        """A host and a credential; port 587, TLS by STARTTLS, always."""

        port: Port = 587

        @field_validator("port")
        @classmethod
        def _not_smtps(cls, value: int) -> int:
            if value == _SMTPS:
                raise wrong(
                    "Microsoft 365 does not offer port 465 (TLS from the first byte): use port 587, where TLS starts "
                    "by STARTTLS; for another provider's port 465 use kind smtp with tls: implicit"
                )
            return value

        @field_validator("tls")
        @classmethod
        def _starttls(cls, value: TlsMode) -> TlsMode:
            if value != "required":
                raise wrong(
                    f"{value} is not possible here: Microsoft 365 takes a login after STARTTLS only, tls: required"
                )
            return value

        @model_validator(mode="after")
        def _host_and_login(self) -> Self:
            if self.host is None:
                raise wrong("client submission goes to a host, such as smtp.office365.com, and not to a domain's MX")
            if self.credential is None:
                raise wrong("client submission needs a credential: name one of those in the section credentials")
            return self
