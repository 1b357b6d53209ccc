"""Which way of sending suits, and why: Microsoft's comparison of its three options, and what changed since.

Source: Microsoft Learn, "How to set up a multifunction device or application to send email using Microsoft 365 or
Office 365"; "Updated requirements for SMTP relay" (2023-06-19); "Introducing more control over Direct Send"
(2025-04-28); the timeline of basic authentication (2026-01-27).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.commands.initial.answers import Answers, Method, Recipients

_OAUTH = (
    "log in with OAuth (passwords are off by default from the end of December 2026; a device that knows no OAuth needs"
    " another way)"
)
_BLOCKED = "port 25 is blocked where you send from, and the MX endpoint listens on no other"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Whether a method suits, and why or why not, in a sentence or two without their full stop."""

    method: Method
    suits: bool
    why: str


def assess(answers: Answers) -> tuple[Assessment, ...]:
    """Look at each method, in the order in which they are to be preferred."""
    return (_submission(answers), _relay(answers), _direct_send(answers))


def recommend(answers: Answers) -> Method | None:
    """Name the method that suits best; None where none does."""
    return next((one.method for one in assess(answers) if one.suits), None)


def other_way(answers: Answers) -> str:
    """Name the preset of kind smtp that is left where none of the three suits; both send on port 587."""
    return "hve" if answers.recipients is Recipients.INSIDE else "acs"


def _submission(answers: Answers) -> Assessment:
    if not answers.licensed:
        return Assessment(Method.SUBMISSION, suits=False, why="it submits as a mailbox, which needs a licence")
    return Assessment(
        Method.SUBMISSION,
        suits=True,
        why="works from any network on port 587, to recipients inside and outside, past most filters of your own"
        f" mailboxes; at most 30 messages a minute and 10,000 recipients a day; {_OAUTH}",
    )


def _relay(answers: Answers) -> Assessment:
    if answers.port_25_blocked:
        return Assessment(Method.RELAY, suits=False, why=_BLOCKED)
    if answers.certificate:
        return Assessment(
            Method.RELAY,
            suits=True,
            why="the connector knows your certificate, whatever address you send from; to recipients inside and"
            " outside, from any address of your domains, without a mailbox",
        )
    if answers.static_ip:
        return Assessment(
            Method.RELAY,
            suits=True,
            why="the connector knows your static IPv4 address, which nobody else may share; to recipients inside and"
            " outside, from any address of your domains, without a mailbox",
        )
    return Assessment(
        Method.RELAY,
        suits=False,
        why="a connector knows you by a static IPv4 address of your own or by a TLS certificate, and you have neither",
    )


def _direct_send(answers: Answers) -> Assessment:
    if answers.port_25_blocked:
        return Assessment(Method.DIRECT_SEND, suits=False, why=_BLOCKED)
    if answers.recipients is Recipients.OUTSIDE:
        return Assessment(
            Method.DIRECT_SEND, suits=False, why="it reaches mailboxes in Exchange Online only, and nobody outside"
        )
    spf = "" if answers.static_ip else "; without a static address SPF cannot pass, and it will often land in Junk"
    return Assessment(
        Method.DIRECT_SEND,
        suits=True,
        why="needs neither mailbox nor connector, but is anonymous, filtered like mail from anybody, and refused where"
        f" the tenant rejects direct send (5.7.68){spf}",
    )
