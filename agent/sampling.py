"""Which canaries are told to services that count in minutes."""

from __future__ import annotations

import math

from checks.core.model import Canary

_MINUTE = 60.0


def first_of_its_minute(canary: Canary) -> bool:
    """Tell whether no earlier slot of the check fell into the same minute; so of every canary, where these are rarer.

    It follows from the slot alone, so that what begins with one agent ends with the next.
    """
    every = canary.check.limits.every
    return math.floor(canary.slot * every / _MINUTE) != math.floor((canary.slot - 1) * every / _MINUTE)
