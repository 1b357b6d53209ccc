"""The lab as Microsoft Graph v1.0, for mail: another view of the mailboxes that IMAP shows."""

from __future__ import annotations

from checks.lab.graph.gate import Gate
from checks.lab.graph.service import microsoft_graph

__all__ = ["Gate", "microsoft_graph"]
