"""A path: everything that a hand-over does, short of the message."""

from __future__ import annotations

from agent.config.model import PasswordCredential, TokenCredential
from agent.config.settings import Plugin
from agent.doctor.examinations import client_certificate, sending
from agent.doctor.finding import Finding, not_tested, ok
from agent.doctor.judge import dialogue
from agent.doctor.judge.clock import judge_clock
from agent.doctor.judge.encryption import judge_tls
from agent.doctor.judge.login import judge_envelope, judge_login
from agent.doctor.judge.port import judge_port
from agent.doctor.kit import Kit, Rehearsable
from checks.core.model import Cause, Check, Stage
from checks.wire.rehearsal import Rehearsal

_SEND_ONE = "Send a canary: relaycanary probe CHECK."
_BANNER_STEP = 1.0  # seconds; a greeting tells whole ones
_MOST_A_MINUTE = 30  # Exchange Online limits, sending limits; the settings warn where it is more


async def of_path(kit: Kit, name: str) -> list[Finding]:
    """Rehearse a hand-over on a path, and ask DNS about both ends of the connection.

    Raises:
        checks.errors.LocalFault: this machine could not even try.
    """
    plugin, path = kit.settings.paths[name], kit.paths[name]
    findings = client_certificate.of_path(kit, plugin) + _judge_rate(kit, name, plugin)
    if not isinstance(path, Rehearsable):
        why = f"a path of kind {plugin.kind} cannot be tried without sending; its token and roles: see the credential"
        return [*findings, not_tested("path", why, fix=_SEND_ONE), *await sending.spf(kit, name)]
    sender, check = plugin.text("sender") or "", kit.check_of(name)
    async with kit.turn(plugin):
        rehearsal = await path.rehearse(sender, check.recipient if check else sender)
    host = host_in(rehearsal.transcript.endpoint)
    findings = [*judge_port(rehearsal, host, getattr(plugin.settings, "port", 0), method=plugin.kind), *findings]
    if dialogue.greeting(rehearsal.transcript.dialogue):
        shown = await path.look_at_certificates() if _untrusted(rehearsal) else ()
        findings += judge_tls(rehearsal, shown, host, method=plugin.kind, now=kit.clock.now())
        findings += _judge_login(kit, plugin, rehearsal)
        findings += _judge_envelope(plugin, rehearsal, check)
        findings += _judge_clock(rehearsal)
    return findings + await sending.of_path(kit, name, rehearsal, host)


def host_in(endpoint: str) -> str:
    """Return the host of ``host [address]:port``, or of ``host:port`` where it was not connected to."""
    return endpoint.partition(" [")[0] if " [" in endpoint else endpoint.rpartition(":")[0]


def _untrusted(rehearsal: Rehearsal) -> bool:
    refused = rehearsal.refused
    return refused is not None and refused.stage is Stage.STARTTLS and refused.cause is Cause.TLS


def _judge_login(kit: Kit, plugin: Plugin, rehearsal: Rehearsal) -> list[Finding]:
    name = plugin.text("credential")
    if name is None:
        return []
    credential = kit.settings.sections.credentials[name]
    username = plugin.text("sender") or ""
    if isinstance(credential, PasswordCredential | TokenCredential):
        username = credential.username
    return judge_login(rehearsal, username=username, bearer=kit.credentials[name].bearer, method=plugin.kind)


def _judge_envelope(plugin: Plugin, rehearsal: Rehearsal, check: Check | None) -> list[Finding]:
    if check is None:
        return [not_tested("smtp.envelope", "no check goes by this path, so there is no recipient to name")]
    wanted = check.expect.refused
    return judge_envelope(rehearsal, check.sender, check.recipient, method=plugin.kind, wanted=wanted)


def _judge_clock(rehearsal: Rehearsal) -> list[Finding]:
    said = dialogue.greeting_date(dialogue.greeting(rehearsal.transcript.dialogue))
    if said is None or rehearsal.greeted is None:
        return []
    by = f"the greeting of {rehearsal.transcript.endpoint}"
    return [judge_clock(rehearsal.greeted, said, by=by, uncertainty=_BANNER_STEP)]


def _judge_rate(kit: Kit, name: str, plugin: Plugin) -> list[Finding]:
    """Tell how much of its mailbox's sending limit a submission path uses; too much is a warning of the settings."""
    if plugin.kind != "submission":
        return []
    rate = sum(60 / check.limits.every for check in kit.settings.checks.values() if check.path == name)
    if rate > _MOST_A_MINUTE:
        return []
    found = (
        f"{rate:.3g} canaries a minute, of the {_MOST_A_MINUTE} messages that Exchange Online takes from one mailbox"
    )
    return [ok("limits.rate", found)]
