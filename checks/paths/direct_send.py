"""Direct send: to the tenant's MX endpoint as anybody on the internet would, for recipients in the tenant."""

from __future__ import annotations

from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import AnonymousSettings, TlsMode


class DirectSend(SmtpPath):
    """Microsoft 365 direct send.

    Anonymous SMTP from one of the tenant's accepted domains to mailboxes that Exchange Online hosts. Without a
    connector the service cannot tell it from any other mail of the internet, unless the tenant rejects direct send
    (550 5.7.68). Source: Microsoft Learn, "How to set up a multifunction device or application to send email using
    Microsoft 365 or Office 365", option 2, and "Introducing more control over Direct Send in Exchange Online"
    (Exchange team blog, 2025-04-28).
    """

    class Settings(AnonymousSettings):
        """Port 25, no credential. TLS where the server offers it, which is then verified: a failure is a failure."""

        tls: TlsMode = "opportunistic"
