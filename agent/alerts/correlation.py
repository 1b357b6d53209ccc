"""The table of causes: which troubles of which checks are one incident, and what it is called.

The rows are tried in order, and the first that fits a trouble keeps it. Failing and not knowing are troubles of their
own, in rows of their own: so what nobody knows never hides what fails. Only a row about the whole site takes both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.alerts.scene import Scene
from agent.alerts.signs import Ill
from agent.words import OUTCOMES, count
from checks.core.model import Outcome, Refused, Stage, Verdict

_BLOCKED = re.compile(r"5\.7\.(?:511|60[6-9]|6[1-4]\d)")
_OFFLINE = frozenset({Outcome.UNREACHABLE, Outcome.LOCAL_FAULT})
_TAKEN = frozenset({Outcome.LOST, Outcome.BOUNCED, Outcome.JUNK, Outcome.ACCEPTED})
"""Outcomes of failing mail that the path did take."""

Group = Sequence[Ill]


@dataclass(frozen=True, slots=True)
class Words:
    """What an incident is called; `meaning` and `fix` where the row knows better than the catalogue of replies."""

    title: str
    meaning: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cause.

    `subject` tells what a trouble would be about if this were its cause, None where it cannot be; troubles with the
    same subject form a group, which `holds` together or not. `said` gives it its name. What is `everywhere` is as bad
    as the checks say, also where it is only known that none of them could be tried.
    """

    name: str
    subject: Callable[[Ill, Scene], str | None]
    said: Callable[[str, Group, Scene], Words]
    holds: Callable[[Group, Scene], bool] = lambda _group, _scene: True
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Troubles that have one cause."""

    row: Row
    subject: str
    ills: Group

    def words(self, scene: Scene) -> Words:
        """Say what it is."""
        return self.row.said(self.subject, self.ills, scene)


def correlate(found: Sequence[Ill], scene: Scene) -> list[Finding]:
    """Put troubles together by their cause; each is in exactly one finding."""
    return _partition(found, ROWS, scene)


def _partition(found: Sequence[Ill], rows: Sequence[Row], scene: Scene) -> list[Finding]:
    findings, left = [], list(found)
    for row in rows:
        groups: dict[str, list[Ill]] = {}
        for ill in left:
            subject = row.subject(ill, scene)
            if subject is not None:
                groups.setdefault(subject, []).append(ill)
        for subject, group in groups.items():
            if row.holds(group, scene):
                findings.append(Finding(row, subject, group))
                left = [ill for ill in left if ill not in group]
    return findings


# ------------------------------------------------------------------ the whole site


def _not_tried(ill: Ill) -> bool:
    return ill.kind is not Verdict.WARN and ill.outcome in _OFFLINE and not ill.blind


def _is_offline(group: Group, scene: Scene) -> bool:
    return scene.all_paths([ill for ill in group if _not_tried(ill)])


def _is_everything(group: Group, scene: Scene) -> bool:
    """Tell whether no path delivers, for more reasons than one: a single one has a row of its own."""
    down = [ill for ill in group if ill.kind is Verdict.FAIL or _not_tried(ill)]
    if not scene.all_paths(down):
        return False
    untried = any(ill.kind is Verdict.UNKNOWN for ill in down)
    return len(_partition(down, _CAUSES, scene)) + untried > 1


def _site(ill: Ill, scene: Scene) -> str | None:
    return scene.site if ill.kind is not Verdict.WARN and ill.check.expect.refused is None else None


def _offline(subject: str, group: Group, _scene: Scene) -> Words:
    """Tell apart what the outcomes do: `unreachable` means that the agent itself proved to be online."""
    tried = [ill for ill in group if _not_tried(ill)]
    if all(ill.outcome is Outcome.UNREACHABLE for ill in tried):
        return Words(
            f"No path can be reached from site {subject}",
            "Nothing answers on any path, although the agent itself is online: other hosts take its connections. So"
            " something between here and the mail servers stops outgoing mail, or their names cannot be looked up.",
            "Look at the firewall's and the provider's rules for outgoing ports 25, 587 and 443, and at the name"
            " servers. `relaycanary doctor` on the machine of the agent tells which of them it is.",
        )
    if not any(ill.problem and isinstance(ill.problem.attempt, Refused) for ill in tried):
        return Words(f"The agent at site {subject} cannot send by any path")
    return Words(
        f"The agent at site {subject} is offline: it can reach no path",
        "Every path fails before a server answers, and no other host takes a connection either: it is the network of"
        " the agent, not the paths. Whether mail flows is not known meanwhile.",
        "Look at the machine of the agent: its link, its route, its name servers, its firewall. `relaycanary doctor`"
        " there tells which of them fails.",
    )


def _everything(subject: str, group: Group, _scene: Scene) -> Words:
    paths = ", ".join(f"{path} ({what})" for path, what in _by_path(group).items())
    return Words(
        f"No path delivers mail at site {subject}",
        "All paths fail at once, and not in the same way. That is more likely the whole tenant, or something in front"
        f" of it, than each path by itself. By path: {paths}.",
        "Look at the service health of Microsoft 365 (admin.cloud.microsoft, Health) and at what changed just before:"
        " a firewall, a line to the internet, a policy of the tenant. Then at each path, with `relaycanary status`.",
    )


# ------------------------------------------------------------------ one cause of what fails


def _failing(ill: Ill) -> bool:
    return ill.kind is Verdict.FAIL


def _refusal(ill: Ill) -> Refused | None:
    attempt = ill.problem.attempt if ill.problem else None
    return attempt if _failing(ill) and isinstance(attempt, Refused) else None


def enhanced(ill: Ill) -> str:
    """Return the enhanced code of a refusal; empty where there is none."""
    refused = _refusal(ill)
    return (refused.reply.enhanced or "") if refused is not None and refused.reply is not None else ""


def _token(ill: Ill, scene: Scene) -> str | None:
    refused = _refusal(ill)
    at_entra = refused is not None and (refused.stage is Stage.TOKEN or enhanced(ill).startswith("AADSTS"))
    return scene.credentials.get(ill.check.path, ill.check.path) if at_entra else None


def _login(ill: Ill, scene: Scene) -> str | None:
    refused = ill.outcome is Outcome.AUTH_FAILED or enhanced(ill) == "5.7.30"
    return scene.credentials.get(ill.check.path, ill.check.path) if _failing(ill) and refused else None


def _host(ill: Ill, scene: Scene) -> str:
    place = scene.paths.get(ill.check.path)
    return place.host if place is not None else ill.check.path


def _connector(ill: Ill, scene: Scene) -> str | None:
    mine = ill.check.method == "relay" and enhanced(ill) == "5.7.64"
    return _host(ill, scene) if mine else None


def _direct_send(ill: Ill, scene: Scene) -> str | None:
    return _host(ill, scene) if enhanced(ill) == "5.7.68" else None


def _blocked(ill: Ill, scene: Scene) -> str | None:
    return scene.site if _BLOCKED.fullmatch(enhanced(ill)) else None


def _certificate(ill: Ill, scene: Scene) -> str | None:
    return _host(ill, scene) if _failing(ill) and ill.outcome is Outcome.TLS_FAILED else None


def _port(ill: Ill, scene: Scene) -> str | None:
    place = scene.paths.get(ill.check.path)
    unreachable = _failing(ill) and ill.outcome is Outcome.UNREACHABLE
    return str(place.port) if unreachable and place is not None else None


def _whole_port(group: Group, scene: Scene) -> bool:
    """Tell whether all checks of all paths by that port are concerned, of two paths at least."""
    port = scene.paths[group[0].check.path].port
    paths = {path for path in scene.delivering if path in scene.paths and scene.paths[path].port == port}
    named = {ill.check.name for ill in group}
    return len(paths) > 1 and all(scene.delivering[path] <= named for path in paths)


def _into(outcome: Outcome) -> Callable[[Ill, Scene], str | None]:
    def subject(ill: Ill, _scene: Scene) -> str | None:
        return ill.check.mailbox if _failing(ill) and ill.outcome is outcome else None

    return subject


def _several_paths(group: Group, _scene: Scene) -> bool:
    return len({ill.check.path for ill in group}) > 1


def _by_path(group: Group) -> dict[str, str]:
    """Tell, for each path, what became of the newest canary that failed, or of which nothing is known."""
    found: dict[str, str] = {}
    for ill in sorted(group, key=lambda one: (_failing(one), one.newest)):
        code = f" {enhanced(ill)}" if enhanced(ill) else ""
        found[ill.check.path] = f"{OUTCOMES[ill.outcome]}{code}" if ill.outcome else "not known"
    return dict(sorted(found.items()))


def _paths(group: Group) -> str:
    names = sorted({ill.check.path for ill in group})
    return f"path {names[0]}" if len(names) == 1 else f"paths {', '.join(names)}"


def _titled(title: str) -> Callable[[str, Group, Scene], Words]:
    """Make the title of a row by filling in its subject and its paths."""

    def said(subject: str, group: Group, _scene: Scene) -> Words:
        whole = title.format(subject=subject, paths=_paths(group), code=_code(group))
        return Words(whole[0].upper() + whole[1:])

    return said


def _code(group: Group) -> str:
    """Return the reply code and the enhanced code of the newest refusal, as people know them."""
    for ill in sorted(group, key=lambda one: -one.newest):
        refused = _refusal(ill)
        if refused is not None and refused.reply is not None:
            return f" ({refused.reply.code}{' ' if enhanced(ill) else ''}{enhanced(ill)})"
    return ""


def _of_path(ill: Ill, _scene: Scene) -> str | None:
    return ill.check.path if _failing(ill) else None


def _path(subject: str, group: Group, scene: Scene) -> Words:
    """Call a path by what became of its mail; where only some of its checks fail, it is theirs."""
    names = {ill.check.name for ill in group}
    whole = scene.delivering.get(subject, frozenset()) <= names
    checks = ", ".join(sorted(names))
    what = {ill.outcome for ill in group}
    if what <= _TAKEN:
        newest = max(group, key=lambda one: one.newest).outcome or Outcome.LOST
        fate = {
            Outcome.LOST: "is accepted and does not arrive",
            Outcome.BOUNCED: "is accepted and comes back",
            Outcome.JUNK: "lands in Junk",
            Outcome.ACCEPTED: "is accepted and should be refused",
        }[newest]
        of = "" if whole and newest is not Outcome.ACCEPTED else f" of check {checks}"
        return Words(f"Mail{of} by path {subject} {fate}")
    said = ", ".join(sorted({OUTCOMES[outcome] for outcome in what if outcome}))
    if whole:
        return Words(f"Path {subject} takes no mail: {said}{_code(group)}")
    return Words(f"Path {subject} does not take mail of check {checks}: {said}{_code(group)}")


# ------------------------------------------------------------------ what is less than good, and what nobody knows


def _weak(ill: Ill, _scene: Scene) -> str | None:
    return ill.check.path if ill.kind is Verdict.WARN else None


def _degraded(subject: str, group: Group, _scene: Scene) -> Words:
    if any(ill.problem is None for ill in group):
        return Words(
            f"Mail by path {subject} is overdue",
            "It was accepted, and is in no watched folder although they were looked into. If it does not turn up, it"
            " will be called lost.",
            "Wait for the next page, or trace the message in the tenant (Exchange admin center, Message trace).",
        )
    late = all(ill.outcome is Outcome.LATE for ill in group)
    return Words(f"Path {subject} delivers, but {'late' if late else 'not as it should'}")


def _unreadable(ill: Ill, _scene: Scene) -> str | None:
    return ill.check.mailbox if ill.blind else None


def _blind(subject: str, group: Group, _scene: Scene) -> Words:
    blind = count(len({ill.check.name for ill in group}), "check")
    return Words(
        f"Mailbox {subject} cannot be read: {blind} {'is' if len(group) == 1 else 'are'} blind",
        "Nobody can see whether mail arrives there. That is no sign that mail is lost; refused mail is still noticed.",
    )


def _in_doubt(ill: Ill, _scene: Scene) -> str | None:
    return ill.check.path if ill.kind is Verdict.UNKNOWN and ill.outcome is Outcome.INDETERMINATE else None


def _of_unknown(ill: Ill, _scene: Scene) -> str | None:
    return ill.check.path if ill.kind is Verdict.UNKNOWN else None


def _unobserved(subject: str, group: Group, _scene: Scene) -> Words:
    if all(ill.outcome is Outcome.LOCAL_FAULT for ill in group):
        return Words(f"The agent cannot try path {subject}")
    return Words(
        f"Nobody knows whether path {subject} delivers",
        "No canary of it has been concluded for too long, so there is nothing to go by.",
        "Look at the log of the agent, and at `relaycanary status` and `relaycanary doctor` on its machine.",
    )


_CAUSES: tuple[Row, ...] = (
    Row(name="token", subject=_token, said=_titled("{paths}: no access token for credential {subject}{code}")),
    Row(
        name="connector",
        subject=_connector,
        said=_titled("{paths}: the connector does not recognise us{code}"),
    ),
    Row(name="direct_send", subject=_direct_send, said=_titled("{paths}: direct send is switched off{code}")),
    Row(name="blocked", subject=_blocked, said=_titled("{paths}: our address is on a block list{code}")),
    Row(name="login", subject=_login, said=_titled("{paths}: the login is refused{code}")),
    Row(name="certificate", subject=_certificate, said=_titled("{paths}: TLS with {subject} fails")),
    Row(
        name="port",
        subject=_port,
        holds=_whole_port,
        said=_titled("{paths}: nothing answers on port {subject}"),
    ),
    Row(
        name="junk",
        subject=_into(Outcome.JUNK),
        holds=_several_paths,
        said=_titled("{paths}: mail into mailbox {subject} lands in Junk, whichever way it goes"),
    ),
    Row(
        name="lost",
        subject=_into(Outcome.LOST),
        holds=_several_paths,
        said=_titled("{paths}: mail into mailbox {subject} vanishes, whichever way it goes"),
    ),
    Row(name="path", subject=_of_path, said=_path),
)

ROWS: tuple[Row, ...] = (
    Row(name="offline", subject=_site, holds=_is_offline, said=_offline, everywhere=True),
    Row(name="everything", subject=_site, holds=_is_everything, said=_everything, everywhere=True),
    *_CAUSES,
    Row(name="degraded", subject=_weak, said=_degraded),
    Row(name="unreadable", subject=_unreadable, said=_blind),
    Row(name="doubt", subject=_in_doubt, said=_titled("{paths}: connections are cut before mail is acknowledged")),
    Row(name="unknown", subject=_of_unknown, said=_unobserved),
)
"""All causes, from the whole site down to one path. A later row never takes what an earlier one holds."""
