"""Names to addresses: the system's resolver for hosts, MX records by dnspython for domains; and records as they are."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver

from checks.core.reply import clean_text
from checks.errors import LocalFault
from checks.wire.lookups import LOOK_UPS
from checks.wire.tcp import Address

MAX_HOSTS = 5
"""MX hosts that are tried at most; more only make an outage slow to report."""

_MAX_ADDRESSES = 8
_MAX_RECORD = 8192  # characters; the longest DKIM keys and SPF records have some 1,000
# Longer than any limit of a stage: the stage ends the wait, so that there is one limit and one wording.
_LIFETIME = 3600.0
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*")


class Unresolvable(Exception):
    """A name has no usable address; the text tells a name that does not exist from servers that do not answer."""


class Nonexistent(Unresolvable):
    """The name servers say that there is no such name (NXDOMAIN)."""


@dataclass(frozen=True, slots=True)
class Records:
    """What DNS holds under a name, as text; empty if nothing of that type.

    `exists` is False where the name itself does not exist. `authentic` tells whether the name server has vouched for
    the answer by DNSSEC (the AD bit, RFC 4035 3.2.3); whoever cannot trust the way to it cannot trust that either.
    """

    values: tuple[str, ...] = ()
    exists: bool = True
    authentic: bool = False


class Resolver:
    """Looks names up, at *nameservers* (address and port) where given, else where the system is told to.

    The system's own settings are read anew for every look-up, as they change under a laptop or a container.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        self._nameservers = nameservers

    async def mail_hosts(self, domain: str) -> list[str]:
        """List the hosts that take mail for *domain*, most preferred first (RFC 5321 5.1).

        A domain without MX record is its own mail host. Hosts of equal preference are shuffled.

        Raises:
            Unresolvable: no such domain, no answer, or the domain takes no mail at all (RFC 7505).
            LocalFault: this machine has no name server configured.
        """
        try:
            records = list(await self._ask(domain, dns.rdatatype.MX))
        except dns.resolver.NoAnswer:
            return [domain]
        order = sorted((record.preference, random.random(), _text(record.exchange)) for record in records)  # noqa: S311 - spreads load
        hosts = list(dict.fromkeys(host for _, _, host in order if _HOST_NAME.fullmatch(host)))
        if hosts:
            return hosts[:MAX_HOSTS]
        if any(not host for _, _, host in order):
            raise Unresolvable(f"{domain} takes no mail: its MX record is the null MX (RFC 7505)")
        raise Unresolvable(f"the MX records of {domain} name no valid host")

    async def addresses(self, host: str, port: int, *, mx: bool = False) -> list[Address]:
        """List the addresses of *host*, best first.

        A plain host is looked up by the system, which knows /etc/hosts; one that an MX record names (*mx*) in DNS.

        Raises:
            Unresolvable: there is none, or nobody answers.
            LocalFault: this machine has no name server configured, or could not even ask.
        """
        if literal := _literal(host, port):
            return [literal]
        if mx or self._nameservers:
            return await self._from_dns(host, port)
        return await _from_system(host, port)

    async def look_up(self, name: str, kind: str, *, limit: float) -> Records:
        """Return the records of one type (``TXT``, ``MX``, ``PTR``, ...) at *name*; aliases are followed.

        A TXT record is the text of its strings, put together (RFC 7208 3.3).

        Raises:
            Unresolvable: nobody could tell within *limit* seconds.
            LocalFault: this machine has no name server configured.
        """
        try:
            answer = await self._ask(name, dns.rdatatype.from_text(kind), limit)
        except dns.resolver.NoAnswer:
            return Records()
        except Nonexistent:
            return Records(exists=False)
        return Records(
            values=tuple(_record_text(record) for record in answer),
            authentic=bool(answer.response.flags & dns.flags.AD),
        )

    def blocking(self, limit: float) -> dns.resolver.Resolver:
        """Make a resolver that asks the same servers, for libraries that block; each question takes *limit* at most.

        Raises:
            LocalFault: this machine has no name server configured.
        """
        try:
            resolver = dns.resolver.Resolver(configure=not self._nameservers)
        except dns.resolver.NoResolverConfiguration as error:
            raise LocalFault("this machine has no name server configured") from error
        if self._nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._nameservers]
        resolver.lifetime = limit
        return resolver

    async def _from_dns(self, host: str, port: int) -> list[Address]:
        queries = (self._ask(host, dns.rdatatype.AAAA), self._ask(host, dns.rdatatype.A))
        answers = await asyncio.gather(*queries, return_exceptions=True)
        found: list[Address] = []
        failed: BaseException | None = None
        for answer in answers:
            if isinstance(answer, dns.resolver.Answer):
                found += [address for record in answer if (address := _literal(record.address, port))]
            elif not isinstance(answer, dns.resolver.NoAnswer):
                failed = failed or answer
        if found:
            return found[:_MAX_ADDRESSES]
        raise failed or Unresolvable(f"{host} exists, but has no address (neither A nor AAAA record)")

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType, limit: float = _LIFETIME) -> dns.resolver.Answer:
        """Ask one question; `dns.resolver.NoAnswer` (no record of this type) is left to the caller."""
        what = f"{kind.name} record of {name}"
        try:
            absolute = dns.name.from_text(name)
            return await self._resolver().resolve(absolute, kind, search=False, lifetime=limit)
        except dns.resolver.NoAnswer:
            raise
        except dns.resolver.NoResolverConfiguration as error:
            raise LocalFault(f"this machine has no name server configured: cannot look up the {what}") from error
        except dns.resolver.NXDOMAIN as error:
            raise Nonexistent(f"NXDOMAIN: {name} does not exist") from error
        except dns.exception.Timeout as error:
            raise Unresolvable(f"timeout: no name server answered for the {what}") from error
        except dns.resolver.NoNameservers as error:
            raise Unresolvable(f"{_rcodes(error)}: the name servers could not answer for the {what}") from error
        except dns.exception.DNSException as error:
            raise Unresolvable(f"the look-up of the {what} failed: {type(error).__name__}") from error

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._nameservers]
        resolver.set_flags(dns.flags.RD | dns.flags.AD)  # AD in a question asks for AD in the answer (RFC 6840 5.7)
        return resolver


async def _from_system(host: str, port: int) -> list[Address]:
    try:
        found = await LOOK_UPS.ask(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except socket.gaierror as error:
        raise Unresolvable(f"{_SYSTEM_ERRORS.get(error.errno, 'the look-up failed')}: {host}") from error
    except UnicodeError as error:
        raise Unresolvable(f"{host} is not a valid host name") from error
    except OSError as error:  # no thread, no socket, no file: nobody was asked
        raise LocalFault(f"this machine cannot look up {host}: {error.strerror}") from error
    return [Address(socket.AddressFamily(family), sockaddr) for family, _, _, _, sockaddr in found[:_MAX_ADDRESSES]]


_SYSTEM_ERRORS = {
    socket.EAI_NONAME: "NXDOMAIN: no such host",
    socket.EAI_AGAIN: "SERVFAIL or timeout: the name servers could not answer for now",
    socket.EAI_FAIL: "SERVFAIL: the name servers failed",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "NXDOMAIN: no such host, or no address",
}


def _literal(host: str, port: int) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    if ip.version == 4:  # noqa: PLR2004 - the protocol's own name
        return Address(socket.AF_INET, (host, port))
    bare, _, zone = host.partition("%")
    try:
        scope = socket.if_nametoindex(zone) if zone else 0
    except OSError as error:
        raise LocalFault(f"{host}: this machine has no network interface {zone}") from error
    return Address(socket.AF_INET6, (bare, port, 0, scope))


def _record_text(record: dns.rdata.Rdata) -> str:
    strings: tuple[bytes, ...] | None = getattr(record, "strings", None)
    text = record.to_text() if strings is None else b"".join(strings).decode("utf-8", "backslashreplace")
    return clean_text(text, _MAX_RECORD)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).removesuffix(".")


def _rcodes(error: dns.resolver.NoNameservers) -> str:
    codes = re.findall(r"answered ([A-Z]+)", str(error))
    return ", ".join(dict.fromkeys(codes)) or "no usable answer"
