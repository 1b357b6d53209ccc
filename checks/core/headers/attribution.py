"""Which way a message came into Exchange Online, as far as its headers show.

The signals are undocumented and were read from live mail (client submission and relay), so the answer carries the
fields that it rests on, and `UNKNOWN` is a good answer: nothing here may turn a check green on a guess.
"""

import enum
from dataclasses import dataclass

from checks.core.headers.exchange import Exchange


class WayIn(enum.StrEnum):
    """The ways into Exchange Online that a message's headers can tell apart."""

    CONNECTOR = "connector"
    HOSTED_MAILBOX = "hosted_mailbox"
    DIRECT_SEND = "direct_send"
    INTERNET = "internet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attribution:
    """A way in, and the header facts that show it, as `name=value`."""

    way: WayIn
    evidence: tuple[str, ...] = ()


def attribution(facts: Exchange) -> Attribution:
    """The way in that these facts show.

    An inbound connector leaves the attributed connection or the entity HybridOnPrem; a mailbox (client submission,
    Graph) the entity Hosted. Anonymous mail is direct send only where Exchange marks it so, or where it came in from
    outside under one of the organisation's own domains. Facts that contradict each other show nothing.
    """
    signs = (
        (WayIn.CONNECTOR, _connector(facts)),
        (WayIn.HOSTED_MAILBOX, _hosted_mailbox(facts)),
        (WayIn.DIRECT_SEND, _direct_send(facts)),
    )
    shown = [(way, evidence) for way, evidence in signs if evidence]
    if len(shown) > 1:
        return Attribution(WayIn.UNKNOWN, tuple(fact for _, evidence in shown for fact in evidence))
    if shown:
        return Attribution(*shown[0])
    if _is(facts.from_entity, "Internet") and _is(facts.auth_as, "Anonymous"):
        return Attribution(WayIn.INTERNET, ("FromEntityHeader=Internet", "AuthAs=Anonymous"))
    return Attribution(WayIn.UNKNOWN)


def _connector(facts: Exchange) -> tuple[str, ...]:
    evidence: tuple[str, ...] = ()
    if facts.connecting_ip and facts.connecting_ip.tenant:
        evidence += (f"OriginalAttributedTenantConnectingIp={facts.connecting_ip.ip or facts.connecting_ip.tenant}",)
    if _is(facts.from_entity, "HybridOnPrem"):
        evidence += ("FromEntityHeader=HybridOnPrem",)
    return evidence


def _hosted_mailbox(facts: Exchange) -> tuple[str, ...]:
    if not _is(facts.from_entity, "Hosted"):
        return ()
    return ("FromEntityHeader=Hosted", *((f"X-ClientProxiedBy={facts.proxied_by}",) if facts.proxied_by else ()))


def _direct_send(facts: Exchange) -> tuple[str, ...]:
    if facts.anonymous_direct_send:
        return ("IsAnonymousDirectSend=True",)
    if facts.internal_sender and _is(facts.directionality, "Incoming") and not _is(facts.auth_as, "Internal"):
        # A connector's mail is Originating, so this pair is left for anonymous mail under an accepted domain.
        return ("InternalOrgSender=True", "MessageDirectionality=Incoming")
    return ()


def _is(value: str | None, wanted: str) -> bool:
    return (value or "").lower() == wanted.lower()
