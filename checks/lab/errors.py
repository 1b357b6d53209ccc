"""What the lab raises for its caller."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; the message is one sentence for a person to read."""
