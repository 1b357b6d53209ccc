"""SMTP relay: to the tenant's MX endpoint, where an inbound connector knows us."""

from __future__ import annotations

from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import AnonymousSettings


class Relay(SmtpPath):
    """Microsoft 365 SMTP relay.

    The tenant's inbound connector knows us by our source address, or by the client certificate that we show; nobody
    logs in. `host` is the MX endpoint of an accepted domain; `domain` looks it up, which is right only where the MX
    record names Microsoft and no gateway before it. Since November 2023 the domain of the certificate or of MAIL FROM
    must be an accepted domain too. Source: Microsoft Learn, "How to set up a multifunction device or application to
    send email using Microsoft 365 or Office 365", option 3, and "Updated requirements for SMTP relay through Exchange
    Online" (Exchange team blog, 2023-06-19).
    """

    class Settings(AnonymousSettings):
        """Port 25, TLS required unless set otherwise, no credential."""
