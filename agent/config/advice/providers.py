"""What is known of other ways out: presets of kind smtp, and paths that name a preset's host themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agent.config.advice.rule import Advice, Context, Rule, domain_of, host_of
from agent.config.model import PasswordCredential, TokenCredential
from agent.config.settings import Plugin
from checks.knowledge.presets import Preset, presets

_MINUTE, _HOUR = 60.0, 3600.0
_API_KEY_USER = "apikey"


def provider_rate(context: Context) -> Iterator[Advice]:
    """Advise on more canaries than the provider of a path takes."""
    rates: defaultdict[str, float] = defaultdict(float)
    for check in context.sections.checks.values():
        rates[check.path] += 1 / check.every
    for name, _, preset in _provided(context):
        limits = ((preset.limits.per_minute, _MINUTE, "a minute"), (preset.limits.per_hour, _HOUR, "an hour"))
        over = [(rates[name] * span, most, unit) for most, span, unit in limits if most and rates[name] * span > most]
        for rate, most, unit in over[:1]:
            yield Advice(
                ("paths", name),
                f"{rate:.0f} canaries {unit} go by {preset.name}, which takes {most} until it is asked for more:"
                " raise `every` of its checks",
            )


def provider_login(context: Context) -> Iterator[Advice]:
    """Advise on a login that the provider does not take."""
    for name, path, preset in _provided(context):
        credential = context.sections.credentials.get(path.text("credential") or "")
        key = ("paths", name, "credential")
        if path.text("credential") is None:
            yield Advice(("paths", name), f"{preset.name} takes mail after a login only: name a credential")
        elif isinstance(credential, PasswordCredential) and not {"LOGIN", "PLAIN"} & set(preset.auth):
            yield Advice(key, f"{preset.name} takes no passwords any more: use a token (kind token)")
        elif isinstance(credential, TokenCredential) and "XOAUTH2" not in preset.auth:
            yield Advice(key, f"{preset.name} takes no tokens, but {preset.username}: use kind password")


def sendgrid_user(context: Context) -> Iterator[Advice]:
    """Advise on a user name at SendGrid that is not the one that all of its users have."""
    for name, path, preset in _provided(context):
        credential = context.sections.credentials.get(path.text("credential") or "")
        if preset is not presets()["sendgrid"] or not isinstance(credential, PasswordCredential):
            continue
        if credential.username != _API_KEY_USER:
            yield Advice(
                ("credentials", path.text("credential") or "", "username"),
                f"at {preset.name} the user name of path {name} is {preset.username}",
            )


def hve_passwords(context: Context) -> Iterator[Advice]:
    """Advise on passwords for High Volume Email, which end in September 2028."""
    for name, path, preset in _provided(context):
        credential = context.sections.credentials.get(path.text("credential") or "")
        if preset is presets()["hve"] and isinstance(credential, PasswordCredential):
            yield Advice(
                ("paths", name, "credential"),
                f"logs in to {host_of(path)} with a password, which High Volume Email takes until September 2028 only:"
                " plan the change to OAuth (Mail.Send of Office 365 Exchange Online, and Add-HVEAppAccess)",
            )


def hve_to_the_outside(context: Context) -> Iterator[Advice]:
    """Advise on recipients that High Volume Email does not send to."""
    for name, check, path in context.checks_by("smtp"):
        preset = _preset_of(path)
        inside = domain_of(context.recipient(check)) == domain_of(path.text("sender"))
        if preset is not None and preset.recipients == "inside" and not inside and check.expect.refused is None:
            yield Advice(
                ("checks", name),
                f"{preset.name} sends to recipients of the tenant only, and {domain_of(context.recipient(check))} is"
                " not the sender's domain: send to a mailbox of the tenant, or expect {refused: '5.*'}",
            )


def _provided(context: Context) -> Iterator[tuple[str, Plugin, Preset]]:
    for name, path in context.sections.paths.items():
        preset = _preset_of(path)
        if preset is not None:
            yield name, path, preset


def _preset_of(path: Plugin) -> Preset | None:
    """Tell which provider a path of kind smtp goes by: the preset that it names, or the one whose host it names."""
    if path.kind != "smtp":
        return None
    named = presets().get(path.text("preset") or "")
    if named is not None:
        return named
    return next((preset for preset in presets().values() if preset.is_host(host_of(path))), None)


PROVIDER_RULES: tuple[Rule, ...] = (provider_rate, provider_login, sendgrid_user, hve_passwords, hve_to_the_outside)
