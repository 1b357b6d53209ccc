"""The table of causes, row by row: what is told as one, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from support.alerts import a_refusal, a_scene, ill, well
from support.make import a_transcript

from agent.alerts.correlation import ROWS, Finding, correlate
from agent.alerts.scene import Place, Scene
from agent.alerts.signs import BLIND_AFTER, Signs, ills
from agent.alerts.story import tell
from checks.core.model import Cause, Expectations, Outcome, Refused, Stage, Untried, Verdict

NO_ROUTE = Refused(stage=Stage.CONNECT, cause=Cause.CONNECT, transcript=a_transcript(), detail="no route to host")
AADSTS = a_refusal(401, "AADSTS7000222", stage=Stage.TOKEN)
CONNECTOR = a_refusal(550, "5.7.64", text="TenantAttribution; Relay Access Denied")
DIRECT_OFF = a_refusal(550, "5.7.68")
BANNED = a_refusal(550, "5.7.606", stage=Stage.MAIL)
LOGIN = a_refusal(535, "5.7.139", stage=Stage.AUTH)
RETIRED = a_refusal(550, "5.7.30", stage=Stage.AUTH)
SECRET = Untried(at=0, detail="the secret file /run/secrets/app cannot be read: Permission denied")


def causes(scene: Scene) -> list[tuple[str, str, tuple[str, ...]]]:
    """Correlate what is ill in *scene*: cause, subject, checks."""
    return [(one.row.name, one.subject, tuple(ill.check.name for ill in one.ills)) for one in findings(scene)]


def findings(scene: Scene) -> Sequence[Finding]:
    return correlate([one for signs in scene.checks for one in ills(signs, {}, after=2, recover_after=2)], scene)


def titles(scene: Scene) -> list[str]:
    return [tell(one, scene).title for one in findings(scene)]


def blind(name: str, **check: object) -> Signs:
    return replace(well(name, **check), verdict=Verdict.UNKNOWN, blind_for=BLIND_AFTER)


Case = tuple[str, Callable[[], Scene], list[tuple[str, str, tuple[str, ...]]], list[str]]
CASES: list[Case] = [
    (
        "the agent has no network",
        lambda: a_scene(
            ill("relay", Outcome.LOCAL_FAULT, NO_ROUTE),
            ill("direct", Outcome.LOCAL_FAULT, NO_ROUTE),
            ill("graph", Outcome.LOCAL_FAULT, NO_ROUTE),
        ),
        [("offline", "ams1", ("relay", "direct", "graph"))],
        ["The agent at site ams1 is offline: it can reach no path"],
    ),
    (
        "the agent has no network, and cannot read the mailbox either",
        lambda: a_scene(
            replace(ill("relay", Outcome.LOCAL_FAULT, NO_ROUTE), blind_for=500.0),
            replace(ill("direct", Outcome.LOCAL_FAULT, NO_ROUTE), blind_for=500.0),
        ),
        [("offline", "ams1", ("relay", "direct"))],
        ["The agent at site ams1 is offline: it can reach no path"],
    ),
    (
        "nothing answers on any path, though the agent is online",
        lambda: a_scene(ill("relay", Outcome.UNREACHABLE, NO_ROUTE), ill("graph", Outcome.UNREACHABLE, NO_ROUTE)),
        [("offline", "ams1", ("relay", "graph"))],
        ["No path can be reached from site ams1"],
    ),
    (
        "the agent cannot try any path, and it is its own fault",
        lambda: a_scene(ill("relay", Outcome.LOCAL_FAULT, SECRET), ill("graph", Outcome.LOCAL_FAULT, SECRET)),
        [("offline", "ams1", ("relay", "graph"))],
        ["The agent at site ams1 cannot send by any path"],
    ),
    (
        "every path fails, each in its way",
        lambda: a_scene(
            ill("relay", attempt=CONNECTOR),
            ill("direct", attempt=DIRECT_OFF),
            ill("submission", Outcome.AUTH_FAILED, LOGIN),
            ill("graph", Outcome.LOST),
        ),
        [("everything", "ams1", ("relay", "direct", "submission", "graph"))],
        ["No path delivers mail at site ams1"],
    ),
    (
        "every path but one fails: each is its own",
        lambda: a_scene(ill("relay", attempt=CONNECTOR), ill("direct", attempt=DIRECT_OFF), well("graph")),
        [("connector", "relay.example", ("relay",)), ("direct_send", "direct.example", ("direct",))],
        [
            "Path relay: the connector does not recognise us (550 5.7.64)",
            "Path direct: direct send is switched off (550 5.7.68)",
        ],
    ),
    (
        "the only path that there is fails: it is the path",
        lambda: a_scene(ill("relay", Outcome.DEFERRED, a_refusal(451, "4.3.2"))),
        [("path", "relay", ("relay",))],
        ["Path relay takes no mail: deferred (451 4.3.2)"],
    ),
    (
        "Entra refuses an app that two paths use",
        lambda: a_scene(
            ill("submission", Outcome.AUTH_FAILED, AADSTS),
            ill("graph", Outcome.AUTH_FAILED, AADSTS),
            credentials={"submission": "app", "graph": "app"},
        ),
        [("token", "app", ("submission", "graph"))],
        ["Paths graph, submission: no access token for credential app (401 AADSTS7000222)"],
    ),
    (
        "the connector knows two relay paths no more",
        lambda: a_scene(
            ill("relay", attempt=CONNECTOR),
            ill("relay2", attempt=CONNECTOR),
            well("graph"),
            paths={name: Place("relay", "mx.example", 25) for name in ("relay", "relay2", "graph")},
        ),
        [("connector", "mx.example", ("relay", "relay2"))],
        ["Paths relay, relay2: the connector does not recognise us (550 5.7.64)"],
    ),
    (
        "5.7.64 on another way than relay is no connector's",
        lambda: a_scene(ill("direct", attempt=CONNECTOR, method="direct_send"), well("graph")),
        [("path", "direct", ("direct",))],
        ["Path direct takes no mail: rejected (550 5.7.64)"],
    ),
    (
        "our address is on Microsoft's block list, for whoever goes by port 25",
        lambda: a_scene(ill("relay", attempt=BANNED), ill("direct", attempt=BANNED), well("graph")),
        [("blocked", "ams1", ("relay", "direct"))],
        ["Paths direct, relay: our address is on a block list (550 5.7.606)"],
    ),
    (
        "SMTP AUTH is switched off",
        lambda: a_scene(ill("submission", Outcome.AUTH_FAILED, LOGIN), well("relay")),
        [("login", "submission", ("submission",))],
        ["Path submission: the login is refused (535 5.7.139)"],
    ),
    (
        "basic authentication is retired, for two paths of one account",
        lambda: a_scene(
            ill("one", Outcome.REJECTED, RETIRED),
            ill("two", Outcome.REJECTED, RETIRED),
            well("relay"),
            credentials={"one": "noreply", "two": "noreply"},
        ),
        [("login", "noreply", ("one", "two"))],
        ["Paths one, two: the login is refused (550 5.7.30)"],
    ),
    (
        "a certificate fails on two paths to one host",
        lambda: a_scene(
            ill("relay", Outcome.TLS_FAILED),
            ill("direct", Outcome.TLS_FAILED),
            well("graph"),
            paths={name: Place("relay", "mx.example", 25) for name in ("relay", "direct", "graph")},
        ),
        [("certificate", "mx.example", ("relay", "direct"))],
        ["Paths direct, relay: TLS with mx.example fails"],
    ),
    (
        "port 25 is blocked, 587 is not",
        lambda: a_scene(
            ill("relay", Outcome.UNREACHABLE, NO_ROUTE),
            ill("direct", Outcome.UNREACHABLE, NO_ROUTE),
            well("submission"),
            paths={
                "relay": Place("relay", "mx.example", 25),
                "direct": Place("direct_send", "mx.example", 25),
                "submission": Place("submission", "smtp.example", 587),
            },
        ),
        [("port", "25", ("relay", "direct"))],
        ["Paths direct, relay: nothing answers on port 25"],
    ),
    (
        "one host of two on port 25 is down: that is no port",
        lambda: a_scene(ill("relay", Outcome.UNREACHABLE, NO_ROUTE), well("direct"), well("graph")),
        [("path", "relay", ("relay",))],
        ["Path relay takes no mail: unreachable"],
    ),
    (
        "everything into one mailbox is junk",
        lambda: a_scene(ill("relay", Outcome.JUNK), ill("direct", Outcome.JUNK), well("graph", mailbox="other")),
        [("junk", "inbox", ("relay", "direct"))],
        ["Paths direct, relay: mail into mailbox inbox lands in Junk, whichever way it goes"],
    ),
    (
        "everything into the only mailbox is junk: one cause, not the whole site",
        lambda: a_scene(ill("relay", Outcome.JUNK), ill("direct", Outcome.JUNK)),
        [("junk", "inbox", ("relay", "direct"))],
        ["Paths direct, relay: mail into mailbox inbox lands in Junk, whichever way it goes"],
    ),
    (
        "everything into one mailbox vanishes",
        lambda: a_scene(ill("relay", Outcome.LOST), ill("direct", Outcome.LOST), well("graph", mailbox="other")),
        [("lost", "inbox", ("relay", "direct"))],
        ["Paths direct, relay: mail into mailbox inbox vanishes, whichever way it goes"],
    ),
    (
        "mail by one path is lost",
        lambda: a_scene(ill("relay", Outcome.LOST), well("direct")),
        [("path", "relay", ("relay",))],
        ["Mail by path relay is accepted and does not arrive"],
    ),
    (
        "two of three checks of a path are refused: it is one incident, and says which",
        lambda: a_scene(
            ill("a", attempt=a_refusal(550, "5.1.10"), path="relay"),
            ill("b", attempt=a_refusal(550, "5.1.10"), path="relay"),
            well("c", path="relay"),
            well("graph"),
        ),
        [("path", "relay", ("a", "b"))],
        ["Path relay does not take mail of check a, b: rejected (550 5.1.10)"],
    ),
    (
        "mail that has to be refused is accepted: no sign that a path is down",
        lambda: a_scene(
            ill("refuses", Outcome.ACCEPTED, path="direct", expect=Expectations(refused="5.4.1")), well("direct")
        ),
        [("path", "direct", ("refuses",))],
        ["Mail of check refuses by path direct is accepted and should be refused"],
    ),
    (
        "a path delivers late",
        lambda: a_scene(ill("relay", Outcome.LATE), well("direct")),
        [("degraded", "relay", ("relay",))],
        ["Path relay delivers, but late"],
    ),
    (
        "a path delivers what fails an expectation",
        lambda: a_scene(ill("relay", Outcome.DEGRADED), well("direct")),
        [("degraded", "relay", ("relay",))],
        ["Path relay delivers, but not as it should"],
    ),
    (
        "a message is overdue",
        lambda: a_scene(replace(well("relay", times=0), verdict=Verdict.WARN, overdue=1), well("direct")),
        [("degraded", "relay", ("relay",))],
        ["Mail by path relay is overdue"],
    ),
    (
        "a mailbox cannot be read: all of its checks are blind",
        lambda: a_scene(blind("relay"), blind("direct"), well("graph", mailbox="other")),
        [("unreadable", "inbox", ("relay", "direct"))],
        ["Mailbox inbox cannot be read: 2 checks are blind"],
    ),
    (
        "all mailboxes cannot be read: blind is not broken",
        lambda: a_scene(blind("relay"), blind("direct")),
        [("unreadable", "inbox", ("relay", "direct"))],
        ["Mailbox inbox cannot be read: 2 checks are blind"],
    ),
    (
        "connections are cut before the acknowledgement",
        lambda: a_scene(ill("relay", Outcome.INDETERMINATE), well("direct")),
        [("doubt", "relay", ("relay",))],
        ["Path relay: connections are cut before mail is acknowledged"],
    ),
    (
        "the agent cannot try one path",
        lambda: a_scene(ill("relay", Outcome.LOCAL_FAULT, SECRET), well("direct")),
        [("unknown", "relay", ("relay",))],
        ["The agent cannot try path relay"],
    ),
    (
        "nothing is concluded any more",
        lambda: a_scene(replace(well("relay"), verdict=Verdict.UNKNOWN, unknown_for=900.0), well("direct")),
        [("unknown", "relay", ("relay",))],
        ["Nobody knows whether path relay delivers"],
    ),
]


@pytest.mark.parametrize(("scene", "expected", "called"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_pattern_has_one_cause(scene, expected, called):
    assert causes(scene()) == expected
    assert titles(scene()) == called


def test_every_row_of_the_table_has_a_case():
    assert {cause for case in CASES for cause, _, _ in case[2]} == {row.name for row in ROWS}


def test_what_nobody_knows_never_hides_what_fails():
    refused_and_blind = replace(ill("relay", attempt=CONNECTOR, verdict=Verdict.UNKNOWN), blind_for=BLIND_AFTER)
    scene = a_scene(refused_and_blind, blind("direct"), well("graph", mailbox="other"))
    assert causes(scene) == [
        ("connector", "relay.example", ("relay",)),
        ("unreadable", "inbox", ("relay", "direct")),
    ]


def test_each_trouble_is_in_exactly_one_finding():
    for case in CASES:
        scene = case[1]()
        found = [(one.check.name, one.kind) for finding in findings(scene) for one in finding.ills]
        every = [(s.check.name, i.kind) for s in scene.checks for i in ills(s, {}, after=2, recover_after=2)]
        assert sorted(found) == sorted(every)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_every_cause_says_what_it_means_and_what_to_do(case):
    scene = case[1]()
    for finding in findings(scene):
        story = tell(finding, scene)
        assert len(story.meaning) > 20
        assert len(story.fix) >= 10
