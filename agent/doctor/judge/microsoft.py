"""Names by which Microsoft 365 is known in DNS and in banners."""

from __future__ import annotations

MX_SUFFIXES = (
    ".mail.protection.outlook.com",
    ".mx.microsoft",
    ".protection.office365.us",
    ".protection.apps.mil",
    ".mail.protection.partner.outlook.cn",
)
"""Where Exchange Online takes mail for its domains, by cloud."""

SUBMISSION_SUFFIXES = (".office365.com", ".office365.us", ".partner.outlook.cn", ".hve.mx.microsoft", ".outlook.com")
"""Where it takes client submission."""

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
    """Tell whether *host* is an MX endpoint of Exchange Online."""
    return _ends(host, MX_SUFFIXES)


def is_ours_to_know(host: str) -> bool:
    """Tell whether *host* is Microsoft's, so that its greeting must be too."""
    return _ends(host, MX_SUFFIXES) or _ends(host, SUBMISSION_SUFFIXES)


def gateway(host: str) -> str:
    """Name whose mail gateway *host* is; empty where it is not one of the well-known."""
    name = host.lower().rstrip(".")
    return next((owner for suffix, owner in _GATEWAYS.items() if name.endswith(suffix)), "")


def _ends(host: str, suffixes: tuple[str, ...]) -> bool:
    name = host.lower().rstrip(".")
    return name.endswith(suffixes)
