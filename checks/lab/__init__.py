"""A simulated Microsoft 365 tenant on loopback: the other side of the wire. See README.md.

It shares no code with what it tests. The agent reaches it by ordinary settings, which it writes.
"""

from __future__ import annotations

from checks.lab.control import Control
from checks.lab.errors import LabError
from checks.lab.service import DEFAULT_PORTS, FREE_PORTS, LabInfo, serve
from checks.lab.testing import Lab

__all__ = ["DEFAULT_PORTS", "FREE_PORTS", "Control", "Lab", "LabError", "LabInfo", "serve"]
