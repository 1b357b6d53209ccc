"""Names by which Microsoft 365 is known in DNS and in banners."""

from __future__ import annotations

_MX_SUFFIXES = (
    ".mail.protection.outlook.com",
    ".mx.microsoft",
    ".protection.office365.us",
    ".protection.apps.mil",
    ".partner.outlook.cn",
)
_SUFFIXES = (*_MX_SUFFIXES, ".office365.com", ".office365.us", ".outlook.com")
_SUBMISSION = "smtp."

SPF_INCLUDES = frozenset(
    {"spf.protection.outlook.com", "spf.protection.office365.us", "spf.protection.partner.outlook.cn"}
)
"""The SPF records of what Exchange Online sends, by cloud."""

BANNER = "Microsoft ESMTP"

_GATEWAYS = {
    ".pphosted.com": "Proofpoint",
    ".ppe-hosted.com": "Proofpoint Essentials",
    ".mimecast.com": "Mimecast",
    ".barracudanetworks.com": "Barracuda",
    ".messagelabs.com": "Symantec Email Security.cloud",
    ".iphmx.com": "Cisco Secure Email",
    ".trendmicro.com": "Trend Micro",
    ".trendmicro.eu": "Trend Micro",
    ".hornetsecurity.com": "Hornetsecurity",
    ".sophos.com": "Sophos",
    ".mailcontrol.com": "Forcepoint",
    ".google.com": "Google Workspace",
    ".googlemail.com": "Google Workspace",
}


def is_mx(host: str) -> bool:
    """Tell whether *host* is one where Exchange Online takes mail for its domains; those for submission are not."""
    name = _plain(host)
    return name.endswith(_MX_SUFFIXES) and not name.startswith(_SUBMISSION)


def is_microsofts(host: str) -> bool:
    """Tell whether *host* is Microsoft's, so that its greeting must be too."""
    return _plain(host).endswith(_SUFFIXES)


def gateway(host: str) -> str:
    """Name whose mail gateway *host* is; empty where it is not one of the well-known."""
    name = _plain(host)
    return next((owner for suffix, owner in _GATEWAYS.items() if name.endswith(suffix)), "")


def _plain(host: str) -> str:
    return host.lower().rstrip(".")
