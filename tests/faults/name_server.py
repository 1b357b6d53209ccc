"""A small DNS server on loopback (UDP), which answers, refuses or keeps silent as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = Mapping[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`, by name and type; a name without any is NXDOMAIN.

    `rcode` is answered to everything while it is set; `silent` answers nothing at all. `reached` is called each time
    that the answer is not the one that the *good* records give.
    """

    def __init__(self, good: Records) -> None:
        self.good = self.records = good
        self.reached: Callable[[], None] = lambda: None
        self.rcode: dns.rcode.Rcode | None = None
        self.silent = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where it listens, as a path's `nameservers` wants it."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        if self.silent:
            self.reached()
            return
        query = dns.message.from_wire(data)
        question = query.question[0]
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        if self.rcode is not None or self.records.get((name, kind)) != self.good.get((name, kind)):
            self.reached()
        if self.rcode is not None:
            response.set_rcode(self.rcode)
        elif found := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, 1, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def name_server(good: Records) -> AsyncIterator[NameServer]:
    """Run one with the *good* records on a free port."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(good), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
