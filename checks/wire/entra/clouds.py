"""The hosts of Microsoft's clouds. Source: Microsoft Learn, "Microsoft Graph national cloud deployments" and "Office
365 URLs and IP address ranges" (GCC High, DoD, 21Vianet).
"""  # noqa: D205

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where tokens come from, where Graph is, and the resource that SMTP and IMAP tokens are for; base URLs."""

    authority: str
    graph: str
    outlook: str


CLOUDS: Mapping[str, Cloud] = MappingProxyType(
    {
        "global": Cloud(
            "https://login.microsoftonline.com", "https://graph.microsoft.com", "https://outlook.office365.com"
        ),
        "gcc-high": Cloud(
            "https://login.microsoftonline.us", "https://graph.microsoft.us", "https://outlook.office365.us"
        ),
        "dod": Cloud(
            "https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "https://outlook-dod.office365.us"
        ),
        "china": Cloud(
            "https://login.partner.microsoftonline.cn",
            "https://microsoftgraph.chinacloudapi.cn",
            "https://partner.outlook.cn",
        ),
    }
)
"""The clouds by the word of the settings; the US government's GCC (moderate) is in the global one."""
