"""The pieces that the settings of paths, mailboxes and checks are made of.

Each piece says what was found and what is allowed; `agent.config` adds the file, the line and the key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

_DURATION = re.compile(r"(?P<number>[0-9]{1,400}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|m|h|d)")
_PLAIN_DURATION = r"[0-9]{1,400}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 3650 * 86400.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LOCAL_PART_MAX = 64  # RFC 5321 4.5.3.1.1
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def wrong(message: str) -> PydanticCustomError:
    """Make an error whose text reaches the user word for word."""
    return PydanticCustomError("settings", "{message}", {"message": message})


def parse_duration(value: Any) -> float:
    """Read ``500ms 30s 10m 1h 1d`` as seconds."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match["number"]) * _SECONDS[match["unit"]]
        if 0 < seconds <= _LONGEST:
            return seconds
        if seconds > _LONGEST:
            raise wrong("is longer than ten years (3650d): this cannot be meant")
        raise wrong(f"{value!r} is no time at all: a duration must be longer than zero")
    shown = str(value)[:40]
    raise wrong(f"{shown!r} is not a duration: write a number and a unit, like 500ms, 30s, 10m, 1h or 1d")


def _no_control(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong(f"{value[:60]!r} contains a line break or another control character")
    return value


def parse_address(value: str) -> str:
    """Check that *value* is a plain mail address (RFC 5321 Mailbox, ASCII, unquoted)."""
    _no_control(value)
    local, at, domain = value.rpartition("@")
    if not (at and len(local) <= _LOCAL_PART_MAX and _LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise wrong(f"{value[:80]!r} is not a mail address: write it as name@domain, in ASCII, without display name")
    return value


def _host(value: str) -> str:
    _no_control(value)
    bare = value.strip("[]")
    if not (_DOMAIN.fullmatch(value) or re.fullmatch(r"[0-9A-Fa-f:.]+(?:%\w+)?", bare)):
        raise wrong(f"{value[:80]!r} is not a host name or an IP address (no scheme, no port, no path)")
    return bare


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^\\s*{_PLAIN_DURATION}\\s*$"}),
]
"""A time span in seconds, written as ``30s``."""
Address = Annotated[str, AfterValidator(parse_address)]
"""A mail address."""
Host = Annotated[str, AfterValidator(_host)]
"""A host name or IP address."""
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
"""A TCP port."""
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_no_control)]
"""One line of text."""


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class FileReference(Section):
    """A file that is named, not quoted: ``{file: /etc/relaycanary/relay.pem}``."""

    file: Path
    """The name of the file. Example: `/etc/relaycanary/relay.pem`"""


class SecretReference(Section):
    """Where a secret is kept: ``{env: NAME}`` or ``{file: PATH}``. Never the secret itself."""

    env: Text | None = None
    """The name of an environment variable. Example: `APP_SECRET`"""
    file: Path | None = None
    """The name of a file. Example: `/etc/relaycanary/app`"""

    @model_validator(mode="before")
    @classmethod
    def _not_literal(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        raise wrong("a secret must not stand in the settings: refer to it by {env: NAME} or {file: PATH}")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise wrong("say where the secret is kept by exactly one of env and file")
        return self
