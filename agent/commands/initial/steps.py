"""Which steps in the tenant a choice needs; each is a file in deploy/m365."""

from __future__ import annotations

import enum

from agent.commands.initial.answers import Answers, Method, Reading


class Step(enum.StrEnum):
    """A step; its value is the name of its file without suffix."""

    MAILBOX = "mailbox"
    APP = "app"
    SCOPE = "scope"
    SMTP_AUTH = "smtp-auth"
    CONNECTOR = "connector"
    SPF = "spf"
    DIRECT_SEND = "direct-send"
    MAIL_FLOW_RULE = "mail-flow-rule"

    @property
    def purpose(self) -> str:
        """What the step is for."""
        return _PURPOSES[self]


_PURPOSES = {
    Step.MAILBOX: "a mailbox for canaries, and for the sender",
    Step.APP: "an app registration with its roles",
    Step.SCOPE: "the app limited to these mailboxes",
    Step.SMTP_AUTH: "SMTP AUTH for the mailbox that sends",
    Step.CONNECTOR: "an inbound connector, by address or by certificate",
    Step.SPF: "SPF and DKIM of the sender's domain",
    Step.DIRECT_SEND: "direct send allowed, or rejected on purpose",
    Step.MAIL_FLOW_RULE: "canaries exempt from mail flow rules for people",
}

_OF_METHOD = {
    Method.SUBMISSION: (Step.MAILBOX, Step.APP, Step.SCOPE, Step.SMTP_AUTH),
    Method.RELAY: (Step.CONNECTOR, Step.SPF),
    Method.DIRECT_SEND: (Step.SPF, Step.DIRECT_SEND),
}
_OF_READING = {
    Reading.IMAP: (),
    Reading.GRAPH: (Step.MAILBOX, Step.APP, Step.SCOPE, Step.MAIL_FLOW_RULE),
    Reading.IMAP_TENANT: (Step.MAILBOX, Step.APP, Step.SCOPE, Step.MAIL_FLOW_RULE),
}


def steps(answers: Answers, method: Method | None) -> tuple[Step, ...]:
    """List the steps for sending by *method* and reading as answered, in the order to take them."""
    needed = {*_OF_READING[answers.reading], *(() if method is None else _OF_METHOD[method])}
    return tuple(step for step in Step if step in needed)
