"""Whether the server can be reached, and whether it is the server that answers."""

from __future__ import annotations

import re

from agent.doctor.finding import Finding, failure, ok
from agent.doctor.judge import dialogue
from agent.doctor.judge.diagnosed import of_refusal
from checks.core.model import Cause, Refused, Stage
from checks.knowledge import microsoft
from checks.wire.rehearsal import Rehearsal

_MASKED = re.compile(r"^220[ -][*X\s]{4,}")
_FIREWALL = (
    "Look for a firewall, a VPN, an antivirus or a provider that inspects SMTP on the way, and exempt this host."
)
_OPEN = "Have the provider or the firewall open outgoing TCP port {port} to {host}."
_SMTP_PORT = 25
_INSTEAD = (
    " Many clouds and access providers keep port 25 closed: where it cannot be had, send by client submission on port"
    " 587 or by Microsoft Graph."
)
_TCP = "RFC 9293 section 3.5"
_SMTP = "RFC 5321 section 4.2"


def judge_port(rehearsal: Rehearsal, host: str, port: int, *, method: str) -> list[Finding]:
    """Tell blocked, refused, cut off, intercepted and sent away apart."""
    refused, transcript = rehearsal.refused, rehearsal.transcript
    if refused is not None and refused.stage is Stage.DNS:
        return [_no_name(refused, host)]
    if refused is not None and refused.stage is Stage.CONNECT:
        return [_no_connection(refused, host, port)]
    if refused is not None and refused.stage is Stage.GREETING and refused.reply is None:
        return [_no_greeting(refused, transcript.endpoint)]
    findings = [ok("smtp.port", f"port {port} can be reached: {transcript.endpoint} answers")]
    banner = dialogue.greeting(transcript.dialogue)
    if banner and (refused is None or refused.stage is not Stage.GREETING):
        findings.append(_judge_banner(banner, host))
    if refused is not None and refused.stage in {Stage.GREETING, Stage.EHLO}:
        findings.append(of_refusal("smtp.session", refused, method=method))
    return findings


def was_reached(rehearsal: Rehearsal) -> bool:
    """Tell whether a server answered: what comes after the connection can be judged."""
    refused = rehearsal.refused
    if refused is None or refused.stage is Stage.GREETING:
        return refused is None or refused.reply is not None
    return refused.stage not in {Stage.DNS, Stage.CONNECT}


def _no_name(refused: Refused, host: str) -> Finding:
    return failure(
        "smtp.port",
        f"{host}: {refused.detail}",
        meaning="The name of the server cannot be looked up, so that nothing can be sent there.",
        fix="Check the name in the settings against the MX record that the Microsoft 365 admin center shows for your"
        " domain (Settings, Domains), and this machine's name servers.",
        source="RFC 5321 section 5.1",
    )


def _no_connection(refused: Refused, host: str, port: int) -> Finding:
    fix = _OPEN.format(port=port, host=host) + (_INSTEAD if port == _SMTP_PORT else "")
    if refused.cause is Cause.TIMEOUT or "timed out" in refused.detail.lower():
        return failure(
            "smtp.port",
            f"blocked: nobody answers at {host}, port {port} ({refused.detail})",
            meaning=f"Something on the way drops the packets to port {port} without a word, as firewalls and providers"
            " do that block it.",
            fix=fix,
            source=_TCP,
        )
    if "refused" in refused.detail.lower():
        return failure(
            "smtp.port",
            f"refused: {host}, port {port} ({refused.detail})",
            meaning="The host itself, because no mail server runs there, or a firewall on the way refuses the"
            " connection.",
            fix=f"Check host and port first: relay and direct send go to port 25 of the domain's MX host, submission to"
            f" port 587 of smtp.office365.com. If they are right: {fix}",
            source=_TCP,
        )
    return failure(
        "smtp.port",
        f"unreachable: {host}, port {port} ({refused.detail})",
        meaning="The network has no way to the host.",
        fix="Check this machine's default route, VPN and IPv6; set source_address to an IPv4 address where there is no"
        " IPv6.",
        source=_TCP,
    )


def _no_greeting(refused: Refused, endpoint: str) -> Finding:
    return failure(
        "smtp.port",
        f"filtered: {endpoint} takes the connection, but does not greet ({refused.detail})",
        meaning="The connection was taken, yet no mail server speaks: a firewall or a proxy on the way answers for it,"
        " or the server is overloaded.",
        fix=_FIREWALL,
        source=_SMTP,
    )


def _judge_banner(banner: str, host: str) -> Finding:
    if _MASKED.match(banner):
        return failure(
            "smtp.banner",
            f"filtered: the greeting is masked: {banner}",
            meaning="A firewall on the way rewrites SMTP (Cisco's inspection writes asterisks): it usually hides"
            " STARTTLS too.",
            fix="Turn SMTP inspection (ESMTP fixup) off for this host on the firewall.",
            source=_SMTP,
        )
    if microsoft.is_microsofts(host) and microsoft.BANNER not in banner:
        return failure(
            "smtp.banner",
            f"intercepted: somebody else answers for {host}: {banner}",
            meaning="Microsoft's servers greet as Microsoft ESMTP. What answers here is something on the way, which"
            " reads the mail, or keeps it.",
            fix=_FIREWALL,
            source=_SMTP,
        )
    return ok("smtp.banner", f"greeting: {banner}")
