"""What was found in a mailbox: its folders, how full it is; or why it cannot be read."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from agent.doctor.finding import Finding, Status, failure, not_tested, ok, warning
from agent.doctor.judge.diagnosed import of_words
from checks.core.folders import is_called_junk
from checks.errors import MailboxUnreadable
from checks.wire.survey import FolderEntry, Quota

_LANGUAGES = 'Microsoft Learn, "Set-MailboxRegionalConfiguration" (LocalizeDefaultFolderName)'
_TCP = "RFC 9293 section 3.5"
_FULL = "Exchange Online limits, mailbox storage; RFC 9208"
_NEARLY, _ALMOST = 0.90, 0.98
_SHOWN = 12
_STEP = 1024
_MAY_PASS = frozenset({"throttled", "unavailable"})
_PLAIN = {
    "connect": (
        "The server cannot be reached: it is down, the host or port is wrong, or something on the way blocks it.",
        "Check host and port (993 for IMAP, 443 for Graph), and the firewalls between this machine and the host.",
    ),
    "timeout": (
        "The server was reached, but did not answer in time.",
        "Try again. If it stays, check that the port is the right one for this protocol and its TLS.",
    ),
}
"""What it means that a server does not answer, and what to do: there are no words of it to look up."""


def judge_unreadable(error: MailboxUnreadable) -> Finding:
    """Say why a mailbox could not be looked into; what may pass by itself is a warning."""
    names = {
        "connect": "mailbox.port",
        "tls": "mailbox.tls",
        "token": "mailbox.token",
        "login": "mailbox.login",
    }
    name = names.get(error.reason, "mailbox.access")
    if error.reason in _PLAIN:
        meaning, fix = _PLAIN[error.reason]
        return failure(name, error.detail, meaning=meaning, fix=fix, source=_TCP)
    finding = of_words(
        name,
        error.detail,
        meaning="The mailbox cannot be read: canaries in it are not seen.",
        fix="Check host, port, credential and the mailbox permission of the app; on Exchange Online IMAP must be on for"
        " the mailbox, and a new permission takes up to 2 hours.",
        source='Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth"',
    )
    return replace(finding, status=Status.WARNING) if error.reason in _MAY_PASS else finding


def judge_folders(
    folders: Sequence[FolderEntry], watched: Sequence[str], unopened: Sequence[str], *, junk: str | None
) -> list[Finding]:
    """Judge the watched folders; *unopened* are those of them that cannot be opened, *junk* the one taken for Junk."""
    findings = []
    opened = [name for name in watched if name not in unopened]
    if opened:
        findings.append(ok("mailbox.folders", f"can be read: {', '.join(opened)}"))
    findings += [_missing(name, folders, is_junk=name == junk) for name in unopened]
    if junk not in unopened and (found := _judge_junk(folders, watched, junk)) is not None:
        findings.append(found)
    return findings


def _missing(name: str, folders: Sequence[FolderEntry], *, is_junk: bool) -> Finding:
    suggestion = _suggest(name, folders, is_junk=is_junk)
    there = [folder.name for folder in folders if "noselect" not in folder.attributes]
    shown = ", ".join(there[:_SHOWN]) + (" ..." if len(there) > _SHOWN else "")
    hint = f"write {suggestion!r} instead" if suggestion else "write the name of one that is there"
    extra = f", and junk: {suggestion!r}" if is_junk and suggestion else ""
    return failure(
        "mailbox.folders",
        f"there is no folder {name!r}; there are: {shown or 'none'}",
        meaning="A look at the mailbox fails as long as a watched folder is missing, so that every check on it is"
        " unknown. Exchange names folders in the owner's language.",
        fix=f"In the mailbox's folders, {hint}{extra}.",
        source=_LANGUAGES,
    )


def _suggest(name: str, folders: Sequence[FolderEntry], *, is_junk: bool) -> str:
    """Guess which folder is meant: the one that is marked as Junk (RFC 6154), or called so, or named alike."""
    if is_junk and (marked := _junk_of(folders)):
        return marked
    names = [folder.name for folder in folders]
    close = difflib.get_close_matches(name.casefold(), [one.casefold() for one in names], n=1)
    return next((one for one in names if close and one.casefold() == close[0]), "")


def _junk_of(folders: Sequence[FolderEntry]) -> str:
    marked = [folder.name for folder in folders if "junk" in folder.attributes]
    called = [folder.name for folder in folders if is_called_junk(folder.name)]
    return next(iter(marked + called), "")


def _judge_junk(folders: Sequence[FolderEntry], watched: Sequence[str], junk: str | None) -> Finding | None:
    real = _junk_of(folders)
    if junk is not None and (not real or real in watched or "junk" not in _attributes(real, folders)):
        return None
    where = f"the mailbox has {real!r}" if real else "nor does the mailbox have one that is"
    what = "no watched folder is known as Junk" if junk is None else f"{junk!r} is watched, but not where junk is filed"
    return warning(
        "mailbox.junk",
        f"{what}; {where}",
        meaning="A canary that is filed as junk is not found, and called lost; or it passes, if its folder is watched"
        " and not known to be the Junk folder.",
        fix=f"Add {real!r} to folders." if real else "Add the Junk folder to folders, and name it in junk.",
        source=_LANGUAGES,
    )


def _attributes(name: str, folders: Sequence[FolderEntry]) -> frozenset[str]:
    return next((folder.attributes for folder in folders if folder.name == name), frozenset())


def judge_quota(quota: Quota | None, *, why_not: str) -> Finding:
    """Judge how full the mailbox is; *why_not* goes on after "not tested:" where nobody told."""
    if quota is None or not quota.limit:
        return not_tested("mailbox.quota", why_not)
    share = quota.used / quota.limit
    found = f"{share:.0%} full: {_size(quota.used)} of {_size(quota.limit)}"
    if share < _NEARLY:
        return ok("mailbox.quota", found)
    fault = failure if share >= _ALMOST else warning
    return fault(
        "mailbox.quota",
        found,
        meaning="A full mailbox takes no canaries (552 5.2.2), and sends none.",
        fix="Delete mail, empty Deleted Items and Recoverable Items; canaries are removed after agent.keep.",
        source=_FULL,
    )


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < _STEP:
            return f"{number:.0f} {unit}"
        number /= _STEP
    return f"{number:.1f} GiB"
