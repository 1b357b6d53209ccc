"""Where the answers come from: the command line first, then a terminal, if there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError

from agent.commands.initial.answers import Answers, Reading, Recipients
from agent.config.pieces import Name
from checks.settings import Address, Host

Known = Mapping[str, Any]


class MissingAnswers(Exception):
    """There is nobody to ask; the message names the options that are missing."""


class WrongAnswer(Exception):
    """An answer of the command line cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `option` is its way to answer on the command line, `kind` what an answer is made of.

    `default` is worked out from the answers so far, as is `needed`: whether it has to be answered at all.
    `may_default`: where nobody can be asked, the default will do.
    """

    name: str
    option: str
    words: str
    kind: Any
    default: Callable[[Known], Any] = field(default=lambda _: None)
    needed: Callable[[Known], bool] = field(default=lambda _: True)
    may_default: bool = False


def _sender(known: Known) -> str | None:
    return f"canary@{known['domain']}" if "domain" in known else None


def _mailbox(known: Known) -> str | None:
    return f"canary-inbox@{known['domain']}" if known["reading"].inside else None


QUESTIONS = (
    Question(name="domain", option="--domain", words="The domain that mail is sent from", kind=Host),
    Question(
        name="recipients",
        option="--recipients",
        words="Who is sent to: only inside the tenant, or outside too",
        kind=Recipients,
        default=lambda _: Recipients.OUTSIDE,
    ),
    Question(
        name="licensed",
        option="--licensed-mailbox / --no-licensed-mailbox",
        words="Is there a licensed mailbox to send as",
        kind=bool,
        default=lambda _: True,
    ),
    Question(
        name="port_25_blocked",
        option="--port-25-blocked / --port-25-open",
        words="Is outgoing port 25 blocked where mail is sent from (most clouds block it)",
        kind=bool,
        default=lambda _: False,
    ),
    Question(
        name="static_ip",
        option="--static-ip / --no-static-ip",
        words="Does it leave from a static IPv4 address of your own",
        kind=bool,
        default=lambda _: False,
    ),
    Question(
        name="certificate",
        option="--certificate / --no-certificate",
        words="Is there, or will there be, a TLS certificate for that domain on the sending host",
        kind=bool,
        default=lambda _: False,
    ),
    Question(
        name="sender",
        option="--sender",
        words="The address canaries are sent from",
        kind=Address,
        default=_sender,
        may_default=True,
    ),
    Question(
        name="reading",
        option="--read",
        words="How their mailbox is read: imap (elsewhere: proves a relay), graph or imap-tenant (in the tenant)",
        kind=Reading,
        default=lambda known: Reading.GRAPH if known["recipients"] is Recipients.INSIDE else Reading.IMAP,
    ),
    Question(
        name="mailbox", option="--mailbox", words="The address that canaries go to", kind=Address, default=_mailbox
    ),
    Question(
        name="imap_host",
        option="--imap-host",
        words="The IMAP host of that mailbox",
        kind=Host,
        needed=lambda known: known.get("reading", Reading.IMAP) is Reading.IMAP,
    ),
)
_OPTIONAL = (("certificate_file", "--certificate-file", str), ("site", "--site", Name))


def gather(given: Known, *, ask: bool) -> Answers:
    """Put the answers together from what was *given*, and, if *ask*, from the terminal.

    Raises:
        MissingAnswers: something is neither given nor may be asked.
        WrongAnswer: something that was given cannot be used.
    """
    known: dict[str, Any] = {}
    missing: list[str] = []
    for question in QUESTIONS:
        value = given.get(question.name)
        if value is not None:
            known[question.name] = _checked(question.option, question.kind, value)
        elif not question.needed(known):
            continue
        elif ask:
            known[question.name] = _asked(question, known)
        elif question.may_default:
            known[question.name] = question.default(known)
        else:
            missing.append(question.option)
    if missing:
        raise MissingAnswers(f"there is no terminal to ask at, so these are missing: {', '.join(missing)}")
    for name, option, kind in _OPTIONAL:
        if given.get(name) is not None:
            known[name] = _checked(option, kind, given[name])
    return Answers(**known)


def _checked(option: str, kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise WrongAnswer(f"{option}: {_reason(error)}") from None


def _reason(error: ValidationError) -> str:
    message = str(error.errors()[0]["msg"])
    return f"{message[:1].lower()}{message[1:]}"


def _asked(question: Question, known: Known) -> Any:
    """Ask until the answer can be used."""
    default = question.default(known)
    while True:
        if question.kind is bool:
            return typer.confirm(question.words, default=default)
        answer = typer.prompt(question.words, default=default and str(default))
        try:
            return TypeAdapter(question.kind).validate_python(str(answer).strip())
        except ValidationError as error:
            typer.echo(f"  {_reason(error)}", err=True)
