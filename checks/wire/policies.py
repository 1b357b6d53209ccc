"""What a domain publishes about its mail: SPF, DMARC and MTA-STS, read by checkdmarc, which blocks and is an extra."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from checks.core.reply import clean_text
from checks.core.spf import SpfRecord, SpfResult, SpfTerm
from checks.errors import LocalFault
from checks.wire.dns import Resolver, Unresolvable

_Result = TypeVar("_Result")

_MAX_POLICY = 65_536
_MAX_TEXT = 600
_MX_WITH_PREFIX = re.compile(r"(?:^|\s)[+?~-]?mx[^\s/]*/", re.IGNORECASE)
_RESULTS = {"pass": SpfResult.PASS, "fail": SpfResult.FAIL, "softfail": SpfResult.SOFTFAIL}


class LibraryMissing(LocalFault):
    """checkdmarc is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfReading:
    """An SPF record as published, and what is wrong with it: `error` makes receivers call it broken (permerror)."""

    record: SpfRecord | None
    lookups: int | None = None
    error: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DmarcReading:
    """The DMARC record that holds for a domain, its tags, and where it was found; `error` where it cannot be used."""

    text: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StsReading:
    """An MTA-STS policy (RFC 8461); `error` where senders cannot use it."""

    mode: str = ""
    hosts: Sequence[str] = ()
    error: str = ""


async def read_spf(domain: str, resolver: Resolver, limit: float) -> SpfReading:
    """Read the SPF record of *domain*, and all records that it refers to. There must be one.

    Raises:
        LibraryMissing: checkdmarc is not installed.
        LocalFault: this machine has no name server.
    """
    library = _library("spf")
    ask = resolver.blocking(limit)
    found = await _in_thread(lambda: library.check_spf(domain, resolver=ask, retries=0))
    error = _said(found.get("error"))
    parsed = found.get("parsed")
    record = None
    if parsed is not None and found.get("record"):
        record = await _spf_record(domain, str(found["record"]), parsed, resolver)
    remarks = tuple(map(_said, found.get("warnings") or ()))
    return SpfReading(record=record, lookups=found.get("dns_lookups"), error=error, remarks=remarks)


async def read_dmarc(domain: str, resolver: Resolver, limit: float) -> DmarcReading:
    """Read the DMARC record that holds for *domain*: its own, or that of a parent (RFC 9989 4.10).

    Raises:
        LibraryMissing: checkdmarc is not installed.
        LocalFault: this machine has no name server.
    """
    library = _library("dmarc")
    ask = resolver.blocking(limit)
    found = await _in_thread(
        lambda: library.check_dmarc(domain, ignore_unrelated_records=True, resolver=ask, retries=0)
    )
    tags = found.get("tags") or {}
    return DmarcReading(
        text=_said(found.get("record")),
        location=_said(found.get("location")),
        tags={name: _said(tag.get("value")) for name, tag in tags.items()},
        error=_said(found.get("error")),
        remarks=tuple(map(_said, found.get("warnings") or ())),
    )


async def read_mta_sts(domain: str, limit: float) -> StsReading:
    """Fetch the MTA-STS policy of *domain*, as a sender would: verified TLS, no redirects (RFC 8461 3.3).

    Raises:
        LibraryMissing: checkdmarc is not installed.
    """
    library = _library("mta_sts")
    try:
        text = await _fetch(f"https://mta-sts.{domain}/.well-known/mta-sts.txt", limit)
        policy = library.parse_mta_sts_policy(text)["policy"]
    except (httpx.HTTPError, library.MTASTSError, UnicodeError) as error:
        return StsReading(error=_said(error) or type(error).__name__)
    return StsReading(mode=_said(policy["mode"]), hosts=tuple(map(_said, policy.get("mx") or ())))


async def _fetch(url: str, limit: float) -> str:
    async with httpx.AsyncClient(timeout=limit) as client, client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise httpx.HTTPError(f"the policy's address answers with HTTP status {response.status_code}")
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MAX_POLICY:
                raise httpx.HTTPError("the policy is larger than 64 KiB")
        return content.decode("ascii")


async def _spf_record(domain: str, text: str, parsed: Any, resolver: Resolver) -> SpfRecord:
    terms = [await _spf_term(text, one, resolver) for one in parsed["mechanisms"]]
    onward = parsed.get("redirect")
    redirect = None
    if isinstance(onward, dict) and onward.get("parsed"):
        redirect = await _spf_record(_said(onward["domain"]), _said(onward["record"]), onward["parsed"], resolver)
    has_all = re.search(r"(?:^|\s)[+?~-]?all(?:\s|$)", text, re.IGNORECASE) is not None
    return SpfRecord(
        domain=domain,
        text=_said(text),
        terms=terms,
        otherwise=_result(parsed.get("all")) if has_all else None,
        redirect=redirect,
    )


async def _spf_term(text: str, one: Mapping[str, Any], resolver: Resolver) -> SpfTerm:
    mechanism, value = str(one["mechanism"]), _said(one.get("value"))
    included = None
    networks: Sequence[str] = ()
    open_ended = mechanism in {"exists", "ptr"} or "%" in value
    if mechanism == "include" and one.get("parsed"):
        included = await _spf_record(value, _said(one["record"]), one["parsed"], resolver)
    elif mechanism in {"ip4", "ip6"}:
        networks = (value,)
    elif mechanism == "a":
        networks = tuple(map(str, one.get("addresses") or ()))
    elif mechanism == "mx":
        networks = await _addresses([host["hostname"] for host in one.get("hosts") or ()], resolver)
        open_ended = open_ended or _MX_WITH_PREFIX.search(text) is not None
    return SpfTerm(
        text=f"{mechanism}:{value}" if value else mechanism,
        result=_result(one["action"]),
        networks=tuple(network for network in networks if _is_network(network)),
        included=included,
        open_ended=open_ended,
    )


async def _addresses(hosts: Sequence[str], resolver: Resolver) -> list[str]:
    found = await asyncio.gather(
        *(resolver.addresses(host, 25, mx=True) for host in hosts if host), return_exceptions=True
    )
    addresses = []
    for one in found:
        if isinstance(one, list):
            addresses += [address.ip for address in one]
        elif not isinstance(one, Unresolvable | LocalFault):
            raise one
    return addresses


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _result(action: object) -> SpfResult:
    return _RESULTS.get(str(action), SpfResult.NEUTRAL)


def _said(value: object) -> str:
    return "" if value is None else clean_text(str(value), _MAX_TEXT)


def _library(part: str) -> Any:
    """Import a part of checkdmarc: late, as it takes some 300 ms, and only `doctor` needs it."""
    try:
        return importlib.import_module(f"checkdmarc.{part}")
    except ImportError as error:
        raise LibraryMissing("checkdmarc is not installed: it comes with the extra [doctor] of relaycanary") from error


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """Run what blocks in a thread that nobody waits for at the end of the process."""
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()  # from here on a caller that gives up cannot take it back

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised again, where the result is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="policies", daemon=True).start()
    return await asyncio.wrap_future(future)
