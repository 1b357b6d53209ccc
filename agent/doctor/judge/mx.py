"""The mail hosts of a domain: Microsoft's own, or a gateway before it."""

from __future__ import annotations

from collections.abc import Sequence

from agent.doctor.finding import Finding, failure, not_tested, ok, warning
from checks.knowledge import microsoft
from checks.wire.policies import StsReading

_SOURCE = 'Microsoft Learn, "How to set up a multifunction device or application to send email", step 1'
_NULL = "RFC 7505"
_STS = "RFC 8461"


def judge_mx(domain: str, hosts: Sequence[str], by_domain: Sequence[str]) -> Finding:
    """Judge the MX hosts of *domain*, most preferred first; *by_domain* are the paths that send to them by domain."""
    shown = ", ".join(hosts)
    if not hosts:
        return warning(
            "dns.mx",
            f"{domain} has no MX record",
            meaning="The domain takes no mail: bounces and replies to canaries are lost, and the tenant's endpoint"
            " cannot be looked up.",
            fix="Publish the MX record that the Microsoft 365 admin center shows for the domain.",
            source=_SOURCE,
        )
    if hosts == [""]:
        return warning(
            "dns.mx",
            f"{domain} says that it takes no mail (null MX)",
            meaning="Bounces of canaries cannot come back, and receivers may refuse a sender that takes no mail.",
            fix="Use a sender in a domain that takes mail.",
            source=_NULL,
        )
    if all(microsoft.is_mx(host) for host in hosts):
        return ok("dns.mx", f"mail for {domain} goes to Microsoft 365: {shown}")
    owner = next((name for host in hosts if (name := microsoft.gateway(host))), "a gateway")
    if by_domain:
        return failure(
            "dns.mx",
            f"mail for {domain} goes to {owner}, not to Microsoft 365: {shown}; by domain: {', '.join(by_domain)}",
            meaning="A path that looks its server up by domain hands its mail to the gateway: neither the connector nor"
            " direct send is tested.",
            fix="Name the tenant's own endpoint by host in these paths. The admin center and Graph (domains,"
            " serviceConfigurationRecords) show it; DNS does not.",
            source=_SOURCE,
        )
    return ok("dns.mx", f"mail for {domain} goes to {owner}, and not to Microsoft 365 directly: {shown}")


def judge_endpoint(host: str, mail_hosts: Sequence[str], domain: str) -> list[Finding]:
    """Say whether a relay or direct-send path goes to the domain's own endpoint; nothing to say of others' servers."""
    if not microsoft.is_mx(host):
        return []
    if host.lower().rstrip(".") in {name.lower() for name in mail_hosts}:
        return [ok("dns.endpoint", f"{host} is the MX of {domain}")]
    if any(microsoft.is_mx(name) for name in mail_hosts):
        return [
            warning(
                "dns.endpoint",
                f"{host} is not the MX of {domain}: {', '.join(mail_hosts)}",
                meaning="It may be another domain's endpoint, or an old name: new ones lie below mx.microsoft, and an"
                " old one may be taken out of service.",
                fix="Use the host that the MX record names, unless the admin center shows this one.",
                source=_SOURCE,
            )
        ]
    return [not_tested("dns.endpoint", f"the MX of {domain} is not Microsoft's, so DNS does not tell the endpoint")]


def judge_mta_sts(domain: str, reading: StsReading, hosts: Sequence[str]) -> Finding:
    """Judge an MTA-STS policy that is announced in DNS against the MX hosts."""
    if reading.error:
        return warning(
            "dns.mta_sts",
            f"the MTA-STS policy of {domain} cannot be used: {reading.error}",
            meaning="Senders that know an older policy hold to that; others deliver as if there were none.",
            fix=f"Serve the policy at https://mta-sts.{domain}/.well-known/mta-sts.txt, with a valid certificate.",
            source=_STS,
        )
    strays = [host for host in hosts if host and not any(_covers(pattern, host) for pattern in reading.hosts)]
    found = f"MTA-STS of {domain}: mode {reading.mode}, mx {', '.join(reading.hosts)}"
    if strays and reading.mode != "none":
        fault = failure if reading.mode == "enforce" else warning
        return fault(
            "dns.mta_sts",
            f"{found}; not covered: {', '.join(strays)}",
            meaning="Senders that hold to the policy do not deliver to a host that it does not name.",
            fix="Name every MX host in the policy (mx: *.mail.protection.outlook.com for Microsoft 365), and change the"
            " id in the TXT record.",
            source=_STS,
        )
    return ok("dns.mta_sts", found)


def _covers(pattern: str, host: str) -> bool:
    """Tell whether a policy's pattern is about *host*: ``*.`` stands for one label (RFC 8461 4.1)."""
    name, wanted = host.lower().rstrip("."), pattern.lower().rstrip(".")
    if wanted.startswith("*."):
        return name.partition(".")[2] == wanted[2:]
    return name == wanted
