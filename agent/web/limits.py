"""Limits on what costs: so many at once, and then one after the other."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.types import Scope

_MOST_NAMES = 1000
_SIX = 6


@dataclass(slots=True)
class Limit:
    """Lets *burst* go at once for each name, and then one every *every* seconds (a token bucket).

    Names are remembered for as long as they matter, of very many the newest.
    """

    burst: int
    every: float
    _spent: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, name: str, now: float) -> float:
        """Tell for how many seconds *name* has to wait; 0 if it may go."""
        return max(0.0, (self._left(name, now) - self.burst + 1) * self.every)

    def spend(self, name: str, now: float) -> None:
        """Take note that *name* went."""
        spent = self._left(name, now) + 1.0
        self._spent[name] = spent, now
        self._spent.move_to_end(name)
        while len(self._spent) > _MOST_NAMES:
            self._spent.popitem(last=False)

    def give_back(self, name: str) -> None:
        """Undo one `spend`."""
        if name in self._spent:
            spent, at = self._spent[name]
            self._spent[name] = max(0.0, spent - 1.0), at

    def _left(self, name: str, now: float) -> float:
        """Tell how much of what was spent is not made up for yet."""
        spent, at = self._spent.get(name, (0.0, now))
        return max(0.0, spent - max(0.0, now - at) / self.every)


def client_of(scope: Scope) -> str:
    """Name whoever sent a request by the address; of IPv6 the network, since a machine has as many as it likes."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == _SIX else host
