"""A path: everything that a hand-over does, short of the message."""

from __future__ import annotations

from agent.config.model import PasswordCredential, TokenCredential
from agent.config.settings import Plugin
from agent.doctor.examinations import client_certificate, sending
from agent.doctor.finding import Finding, not_tested, ok
from agent.doctor.judge.rehearsal import Setting, judge_rehearsal
from agent.doctor.kit import Kit, Rehearsable
from checks.core.model import Cause, Stage
from checks.wire.rehearsal import Rehearsal

_SEND_ONE = "Send a canary: relaycanary probe CHECK."
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
        shown = await path.look_at_certificates() if _untrusted(rehearsal) else ()
    host = host_in(rehearsal.transcript.endpoint)
    setting = Setting(
        host=host,
        port=getattr(plugin.settings, "port", 0),
        method=plugin.kind,
        username=_username(kit, plugin),
        bearer=_bearer(kit, plugin),
        check=check,
    )
    findings = [*judge_rehearsal(rehearsal, shown, setting, kit.clock.now()), *findings]
    return findings + await sending.of_path(kit, name, rehearsal, host)


def host_in(endpoint: str) -> str:
    """Return the host of ``host [address]:port``, or of ``host:port`` where it was not connected to."""
    return endpoint.partition(" [")[0] if " [" in endpoint else endpoint.rpartition(":")[0]


def _untrusted(rehearsal: Rehearsal) -> bool:
    refused = rehearsal.refused
    return refused is not None and refused.stage is Stage.STARTTLS and refused.cause is Cause.TLS


def _username(kit: Kit, plugin: Plugin) -> str | None:
    name = plugin.text("credential")
    if name is None:
        return None
    credential = kit.settings.sections.credentials[name]
    if isinstance(credential, PasswordCredential | TokenCredential):
        return credential.username
    return plugin.text("sender")


def _bearer(kit: Kit, plugin: Plugin) -> bool:
    name = plugin.text("credential")
    return name is not None and kit.credentials[name].bearer


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
