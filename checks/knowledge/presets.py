"""Other ways out: what is known of providers of SMTP submission, as data, by the name that settings use."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

_DATA = Path(__file__).with_name("data")
_REGION = "{region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one account may do; None where the provider names no figure. `megabytes` are of one message."""

    per_minute: int | None = None
    per_hour: int | None = None
    connections: int | None = None
    recipients: int | None = None
    megabytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One provider. `host` has ``{region}`` in it where there is one in each region."""

    name: str
    host: str
    port: int
    tls: Literal["required", "implicit"]
    auth: Sequence[str]
    username: str
    recipients: Literal["inside", "any"]
    notes: Sequence[str]
    source: str
    limits: Limits = field(default_factory=Limits)

    @property
    def by_region(self) -> bool:
        """Tell whether a region is needed to know the host."""
        return _REGION in self.host

    def host_in(self, region: str | None) -> str:
        """Name the host, in *region* where there is one in each."""
        return self.host.replace(_REGION, region or "")

    def is_host(self, host: str) -> bool:
        """Tell whether *host*, in lower case, is this provider's, in whatever region."""
        before, _, after = self.host.partition(_REGION)
        return host == self.host or (self.by_region and host.startswith(before) and host.endswith(after))


@lru_cache(maxsize=1)
def presets() -> Mapping[str, Preset]:
    """Every preset by its name; read on first use, then kept."""
    rows, sources = _read("presets"), _read("sources")["sources"]
    return MappingProxyType(
        {
            name: Preset(
                **{**row, "limits": Limits(**row["limits"]), "source": sources.get(row["source"], row["source"])}
            )
            for name, row in rows.items()
        }
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_DATA / f"{name}.toml").read_text(encoding="utf-8"))
