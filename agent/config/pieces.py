"""The pieces that the agent's own sections are made of, beside those in `checks.settings`."""

from __future__ import annotations

import ipaddress
import re
import warnings
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationError

from agent.config.problems import near
from checks.settings import SecretReference, Text, wrong

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""Names of paths, mailboxes, checks and credentials: safe in a metric label, a URL and a canary's token."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_FIELD_NAME = re.compile(r"[!-9;-~]{1,100}")
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_SQLITE = "sqlite:///"
_HIGHEST_PORT = 65535
_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = (10, 14)


def spell_duration(seconds: float) -> str:
    """Write *seconds* in the largest unit that leaves a whole number: ``90s``, ``10m``, ``1d``, ``500ms``."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds * 1000:.12g}ms"


def _name(value: str) -> str:
    if NAME.fullmatch(value) is None:
        raise wrong(
            f"{value[:60]!r} is not a name: use up to 40 letters, digits, '-' and '_', beginning with a letter or digit"
        )
    return value


def _https(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise wrong("is not an https:// address of a host")
    return value.rstrip("/")


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise wrong("is not an http:// or https:// address of a host")
    return value


def _timezone(value: str) -> str:
    known = zoneinfo.available_timezones()
    if value not in known:
        raise wrong(f"{value[:40]!r} is not a time zone of this machine{near(value, sorted(known))}")
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Split ``127.0.0.1:9825`` or ``[::1]:9825`` into host and port.

    Raises:
        ValueError: it is neither.
    """
    match = _LISTEN.fullmatch(value)
    if match is None or int(match["port"]) > _HIGHEST_PORT:
        raise ValueError(value)
    return match["six"] or match["host"], int(match["port"])


def _listen(value: str) -> str:
    try:
        split_listen(value)
    except ValueError:
        raise wrong(f"{value[:60]!r} is not ADDRESS:PORT, like 127.0.0.1:9825 or [::1]:9825") from None
    return value


def is_loopback(host: str) -> bool:
    """Tell whether *host* can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _ledger(value: str) -> str:
    # never quoted back: the URL of another database may hold a password
    if not value.startswith(_SQLITE) or value.removeprefix(_SQLITE).strip("/") in {"", ":memory:"}:
        raise wrong("must be sqlite:///FILE: this version keeps its ledger in an SQLite file")
    if "?" in value or "#" in value:
        raise wrong("must be sqlite:///FILE, without parameters")
    return value


def ledger_file(url: str) -> Path:
    """Tell which file a ledger's URL names; relative where it has three slashes only."""
    return Path(url.removeprefix(_SQLITE))


def ledger_url(file: Path) -> str:
    """Write the URL of the ledger in *file*."""
    return f"{_SQLITE}{file}"


def _regular_expression(value: str) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python will read in another way
            re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise wrong(f"{value[:60]!r} is not a regular expression: {error}") from None
    return value


def _field_name(value: str) -> str:
    if _FIELD_NAME.fullmatch(value) is None:
        raise wrong(f"{value[:60]!r} is not the name of a header field: write it without colon, like List-Id")
    return value


def hash_problem(value: str) -> str:
    """Say what is wrong with *value* as a bcrypt hash, without repeating it: it may be the password itself."""
    match = _BCRYPT.fullmatch(value)
    if match is None:
        return "is not a bcrypt hash: make one with `relaycanary hash-password`, never write the password itself"
    cost, (cheapest, dearest) = int(match["cost"]), _COSTS
    if cheapest <= cost <= dearest:
        return ""
    why = "passwords of cheaper ones are soon guessed" if cost < cheapest else "a login would take seconds"
    return f"is a bcrypt hash of cost {cost}, and {cheapest} to {dearest} are taken: {why}"


def _password_hash(value: Any) -> Any:
    if isinstance(value, dict | SecretReference):
        try:
            return SecretReference.model_validate(value)
        except ValidationError:
            raise wrong("say where the hash is kept by exactly one of env and file, or write the hash here") from None
    if problem := hash_problem(value if isinstance(value, str) else ""):
        raise wrong(problem)
    return value


def _user_name(value: str) -> str:
    if ":" in value:  # RFC 7617 2: it ends the name
        raise wrong(f"{value[:60]!r} cannot be a user name: it must not have a colon")
    return value


def _users(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    raise wrong("must be a mapping of names to bcrypt hashes")  # not quoted: it may be a password


def _decimal_as_text(value: Any) -> Any:
    """Take 1.2 for "1.2": in YAML the quotes are easily forgotten, and nothing else can be meant."""
    return str(value) if isinstance(value, float) else value


Name = Annotated[Text, AfterValidator(_name)]
"""A name that is safe in a metric label."""
HttpsUrl = Annotated[Text, AfterValidator(_https)]
"""A base URL, without a trailing slash."""
HttpUrl = Annotated[Text, AfterValidator(_http)]
"""An address of HTTP or HTTPS, without a login in it."""
TimeZone = Annotated[Text, AfterValidator(_timezone)]
"""The name of a time zone, like Europe/Amsterdam."""
Severity = Literal["critical", "warning", "info"]
"""How bad an alert is."""
Listen = Annotated[Text, AfterValidator(_listen)]
"""An address and port to listen on."""
LedgerUrl = Annotated[Text, AfterValidator(_ledger)]
"""Where the ledger is kept: ``sqlite:///relative`` or ``sqlite:////absolute``."""
RegularExpression = Annotated[Text, AfterValidator(_regular_expression)]
"""A regular expression of the module `re`."""
FieldName = Annotated[Text, AfterValidator(_field_name)]
"""The name of a header field (RFC 5322 3.6.8)."""
PasswordHash = Annotated[Any, PlainValidator(_password_hash)]
"""A bcrypt hash (a text), or where one is kept (a `SecretReference`)."""
Users = Annotated[dict[Annotated[Text, AfterValidator(_user_name)], PasswordHash], BeforeValidator(_users)]
"""Who may log in, by name."""
DecimalText = BeforeValidator(_decimal_as_text)
"""Put on a text that looks like a decimal number."""
