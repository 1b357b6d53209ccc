"""What DNS says about both ends of a path's connection: the address that it sends from, and the host it goes to."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

from agent.doctor.examinations.asking import findings_of
from agent.doctor.examinations.domain import mail_hosts
from agent.doctor.finding import Finding, not_tested, ok
from agent.doctor.judge import dialogue, pointer
from agent.doctor.judge.encryption import judge_dane
from agent.doctor.judge.mx import judge_endpoint
from agent.doctor.judge.spf import judge_path
from agent.doctor.kit import Kit, domain_of
from checks.wire.dns import Records
from checks.wire.rehearsal import Rehearsal

_MOST_NAMES = 5
_BY_ADDRESS = frozenset({"relay", "direct_send"})


async def of_path(kit: Kit, name: str, rehearsal: Rehearsal, host: str) -> list[Finding]:
    """Ask about the sending address (PTR, EHLO name, SPF) and about *host* (MX of the domain, DANE)."""
    plugin = kit.settings.paths[name]
    domain = domain_of(plugin)
    lines = rehearsal.transcript.dialogue
    seen = dialogue.seen_address(lines)
    address = seen or rehearsal.local_address
    sending = address if dialogue.is_public(address) else None
    asked = []
    if plugin.kind in _BY_ADDRESS and dialogue.greeting(lines):
        asked.append(_of_address(kit, name, sending, seen, dialogue.said_hello(lines)))
    if domain and kit.in_public_dns(domain, name):
        asked.append(findings_of("dns.spf_sender", _spf(kit, name, domain, sending, host), told_by=f"domain {domain}"))
        if plugin.kind in _BY_ADDRESS:
            asked.append(findings_of("dns.endpoint", _endpoint(kit, name, domain, host), told_by=f"domain {domain}"))
    if rehearsal.chain and not _is_address(host):
        asked.append(findings_of("dns.dane", _dane(kit, name, host, rehearsal.chain)))
    return [finding for found in await asyncio.gather(*asked) for finding in found]


async def spf(kit: Kit, name: str) -> list[Finding]:
    """Ask whether SPF covers a path whose own dialogue tells nothing, as that of Graph."""
    domain = domain_of(kit.settings.paths[name])
    if not domain or not kit.in_public_dns(domain, name):
        return []
    return await findings_of("dns.spf_sender", _spf(kit, name, domain, None, ""), told_by=f"domain {domain}")


async def _of_address(kit: Kit, path: str, sending: str | None, seen: str | None, greeted: str) -> list[Finding]:
    if sending is None:
        return pointer.unknown_address(seen)
    how = "as the server sees it" if seen else "as this machine has it"
    return [
        ok("smtp.source", f"sends from {sending}, {how}"),
        *await findings_of("dns.ptr", _pointer(kit, path, sending)),
        *(await findings_of("dns.helo", _helo(kit, path, greeted, sending)) if greeted else ()),
    ]


async def _pointer(kit: Kit, path: str, address: str) -> Finding:
    reverse = ipaddress.ip_address(address).reverse_pointer
    names = [name.rstrip(".") for name in (await kit.look_up(path, reverse, "PTR")).values[:_MOST_NAMES]]
    addresses = await asyncio.gather(*(_addresses(kit, path, name, address) for name in names))
    return pointer.judge_pointer(address, dict(zip(names, addresses, strict=True)))


async def _helo(kit: Kit, path: str, greeted: str, address: str) -> Finding:
    addresses = [] if greeted.startswith("[") else await _addresses(kit, path, greeted, address)
    return pointer.judge_helo(greeted, address, addresses)


async def _addresses(kit: Kit, path: str, name: str, like: str) -> list[str]:
    """Look up the addresses of *name* of the same family as the address *like*."""
    kind = "AAAA" if ":" in like else "A"
    return [str(ipaddress.ip_address(text)) for text in (await kit.look_up(path, name, kind)).values]


async def _spf(kit: Kit, path: str, domain: str, sending: str | None, host: str) -> list[Finding]:
    reading = await kit.spf(path, domain)
    if reading is None:
        return [not_tested("dns.spf_sender", f"{domain} has no SPF record")]
    return judge_path(reading, kit.settings.paths[path].kind, sending, host)


async def _endpoint(kit: Kit, path: str, domain: str, host: str) -> list[Finding]:
    return judge_endpoint(host, await mail_hosts(kit, path, domain), domain)


async def _dane(kit: Kit, path: str, host: str, chain: Sequence[bytes]) -> list[Finding]:
    port: int = getattr(kit.settings.paths[path].settings, "port", 25)
    found: Records = await kit.look_up(path, f"_{port}._tcp.{host}", "TLSA")
    return judge_dane(host, port, found, chain)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
