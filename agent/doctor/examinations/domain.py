"""What DNS publishes of a domain that paths send from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agent.doctor.examinations.asking import RESERVED, findings_of, is_unanswered
from agent.doctor.finding import Finding, not_tested
from agent.doctor.judge.dkim import SELECTORS, Selector, judge_dkim
from agent.doctor.judge.dmarc import judge_dmarc
from agent.doctor.judge.mx import judge_mta_sts, judge_mx
from agent.doctor.judge.spf import judge_record
from agent.doctor.kit import DNS_LIMIT, Kit, domain_of
from checks.wire.policies import read_dmarc, read_mta_sts

_SIGNED_BY_MICROSOFT = frozenset({"relay", "submission", "graph_send"})
_STS = "v=stsv1"


async def of_domain(kit: Kit, domain: str, paths: Sequence[str]) -> list[Finding]:
    """Look up MX, SPF, DMARC, DKIM and MTA-STS of *domain*, with the name servers of the first of *paths*."""
    path = paths[0]
    if not kit.in_public_dns(domain, path):
        return [not_tested("dns", RESERVED.format(domain=domain))]
    plugins = kit.settings.paths
    senders = [name for name in paths if domain_of(plugins[name]) == domain]
    asked = [findings_of("dns.mx", _mx(kit, domain, paths))]
    if senders:
        asked += [
            findings_of("dns.spf", _spf(kit, path, domain)),
            findings_of("dns.dmarc", _dmarc(kit, path, domain)),
        ]
    if any(plugins[name].kind in _SIGNED_BY_MICROSOFT for name in senders):
        asked.append(findings_of("dns.dkim", _dkim(kit, path, domain)))
    asked.append(findings_of("dns.mta_sts", _mta_sts(kit, path, domain)))
    findings = [finding for found in await asyncio.gather(*asked) for finding in found]
    if all(is_unanswered(finding) for finding in findings):
        return [replace(findings[0], id="dns")]  # one cause, told once
    return findings


async def mail_hosts(kit: Kit, path: str, domain: str) -> list[str]:
    """List the MX hosts of *domain*, most preferred first; the null MX is an empty name."""
    found = await kit.look_up(path, domain, "MX")
    pairs = [record.split(" ", 1) for record in found.values]
    return [host.rstrip(".") for _, host in sorted((int(number), host) for number, host in pairs)]


async def _mx(kit: Kit, domain: str, paths: Sequence[str]) -> Finding:
    by_domain = [
        name
        for name in paths
        if (plugin := kit.settings.paths[name]).kind in {"relay", "direct_send"}
        and (plugin.text("domain") or "").lower() == domain
    ]
    return judge_mx(domain, await mail_hosts(kit, paths[0], domain), by_domain)


async def _spf(kit: Kit, path: str, domain: str) -> Finding:
    return judge_record(domain, await kit.spf(path, domain))


async def _dmarc(kit: Kit, path: str, domain: str) -> Finding:
    labels = domain.split(".")
    own_or_parents = (".".join(labels[start:]) for start in range(len(labels) - 1))
    published = [await kit.look_up(path, f"_dmarc.{name}", "TXT") for name in own_or_parents]
    if not any(text.lower().startswith("v=dmarc1") for found in published for text in found.values):
        return judge_dmarc(domain, None)
    return judge_dmarc(domain, await read_dmarc(domain, kit.resolver(path), DNS_LIMIT))


async def _dkim(kit: Kit, path: str, domain: str) -> Finding:
    async def selector(name: str) -> Selector:
        place = f"{name}._domainkey.{domain}"
        alias, text = await asyncio.gather(kit.look_up(path, place, "CNAME"), kit.look_up(path, place, "TXT"))
        return Selector(alias=next(iter(alias.values), "").rstrip("."), text=next(iter(text.values), ""))

    found = await asyncio.gather(*map(selector, SELECTORS))
    return judge_dkim(domain, dict(zip(SELECTORS, found, strict=True)))


async def _mta_sts(kit: Kit, path: str, domain: str) -> list[Finding]:
    published = await kit.look_up(path, f"_mta-sts.{domain}", "TXT")
    if not any(text.lower().startswith(_STS) for text in published.values):
        return []
    reading, hosts = await asyncio.gather(read_mta_sts(domain, DNS_LIMIT), mail_hosts(kit, path, domain))
    return [judge_mta_sts(domain, reading, hosts)]
