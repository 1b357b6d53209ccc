"""Any SMTP server: another provider's submission service, a smart host, an appliance."""

from __future__ import annotations

import difflib
import re
from typing import Any, Self

from pydantic import field_validator, model_validator

from checks.knowledge.presets import Preset, presets
from checks.settings import Port, Text, wrong
from checks.wire.smtp import SmtpPath
from checks.wire.smtp_settings import SmtpSettings

_SMTPS = 465
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")


class Smtp(SmtpPath):
    """SMTP to any provider: RFC 6409 submission with STARTTLS, RFC 8314 with TLS from the first byte, or plain relay.

    A credential is optional. PLAIN, LOGIN or XOAUTH2 is used, by what the credential is and the server offers.
    """

    class Settings(SmtpSettings):
        """A host, a domain or a preset; port 587 and TLS by STARTTLS unless set otherwise."""

        port: Port = 587
        preset: Text | None = None
        """A provider that is known (`hve`, `acs`, `outlook.com`, `ses`, `sendgrid`): fills in what is left
        out of host, port and tls.

        Example: `hve`
        """
        region: Text | None = None
        """For preset `ses`, which has a host in each region. Example: `eu-west-1`"""

        @model_validator(mode="before")
        @classmethod
        def _fill_in(cls, data: Any) -> Any:
            preset = _named(data)
            if preset is None or not isinstance(data, dict):
                return data
            region = data.get("region")
            place = {} if {"host", "domain"} & data.keys() else {"host": preset.host_in(_region_of(preset, region))}
            return {"port": preset.port, "tls": preset.tls, **place, **data}

        @field_validator("preset")
        @classmethod
        def _known(cls, value: str | None) -> str | None:
            if value is not None and value not in presets():
                close = difflib.get_close_matches(value.lower(), presets(), n=1)
                hint = f"; did you mean {close[0]!r}?" if close else "; for any other provider leave preset out"
                raise wrong(f"{value[:40]!r} is not one of {', '.join(presets())}{hint}")
            return value

        @model_validator(mode="after")
        def _smtps_is_implicit(self) -> Self:
            if self.port == _SMTPS and self.tls != "implicit":
                raise wrong("port 465 is TLS from the first byte (RFC 8314 3.3): set tls to implicit, or use port 587")
            return self

        @model_validator(mode="after")
        def _region_of_a_preset(self) -> Self:
            preset = presets().get(self.preset or "")
            if self.region is not None and (preset is None or not preset.by_region):
                raise wrong("region is for preset ses only, which has a host in each region: leave it out")
            return self


def _named(data: Any) -> Preset | None:
    name = data.get("preset") if isinstance(data, dict) else None
    return presets().get(name) if isinstance(name, str) else None


def _region_of(preset: Preset, region: Any) -> str | None:
    if not preset.by_region:
        return None
    if region is None:
        raise wrong(f"region is missing: {preset.name} has a host in each region, so name yours, like eu-west-1")
    if not isinstance(region, str) or _REGION.fullmatch(region) is None:
        raise wrong(f"{str(region)[:40]!r} is not a region of {preset.name}: write it like eu-west-1")
    return region
