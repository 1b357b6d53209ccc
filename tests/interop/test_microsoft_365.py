"""The whole Microsoft 365 side on the lab: an app's tokens at SMTP, IMAP and Graph, as the settings make them."""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from support.make import a_canary, a_check

from agent.clock import SystemClock
from agent.config.build import build_credentials, build_mailboxes, build_paths
from agent.config.load import load
from checks.core import bounce, message, recognise, token
from checks.core.graph_mail import send_mail
from checks.core.headers.fields import parse_headers
from checks.core.model import Accepted, Outcome, Refused, Stage
from checks.core.refusal import outcome_of
from checks.errors import MailboxUnreadable
from checks.knowledge import diagnose_refusal
from checks.lab import Lab
from checks.ports import Tools

pytestmark = pytest.mark.anyio

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "graph" / "graph_v1.0_mail.schema.json"
CANARY, NOREPLY = "canary@contoso.example", "noreply@contoso.example"
SECRET = b"0123456789abcdef0123456789abcdef"
SINCE = datetime.now(UTC) - timedelta(days=1)
PATIENCE = 400

EXTRA = """
  by-graph: {kind: graph_send, credential: app, sender: canary@contoso.example, timeout: 5s}
mailboxes:
  graph-inbox: {kind: graph, credential: app, address: canary@contoso.example, timeout: 5s}
  graph-sent: {kind: graph, credential: app, address: noreply@contoso.example, folders: [inbox, sentitems], timeout: 5s}
"""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def shared_lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(shared_lab):
    yield shared_lab
    shared_lab.heal()


@pytest.fixture
async def agent(lab, tmp_path):
    """Paths and readers that the lab's own settings amount to, and two over Graph beside them."""
    text = lab.info.settings.read_text()
    assert text.count("\nmailboxes:\n") == 1
    file = tmp_path / "relaycanary.yaml"
    file.write_text(text.replace("\nmailboxes:\n", EXTRA))
    settings = load(file)
    clock = SystemClock()
    tools = Tools(clock=clock, credentials=build_credentials(settings, clock))
    parts = build_paths(settings, tools), build_mailboxes(settings, tools), tools.credentials["app"]
    yield parts
    for part in (*parts[0].values(), *parts[1].values()):
        await part.close()


def canary(sender=CANARY, recipient=CANARY):
    made = a_canary(a_check("relay", sender=sender, recipient=recipient))
    signed = token.mint(made.id, made.check.name, recipient, key="k1", secret=SECRET)
    return made, message.compose(made, signed)


def name_of(headers, recipient=CANARY):
    """Name the canary that a header proves to be; None for another message."""
    proven = recognise.prove(
        recognise.claims(parse_headers(headers)), lambda _: recognise.Sent((recipient,)), {"k1": SECRET}
    )
    return proven.id if isinstance(proven, recognise.Genuine) else None


async def seen(reader, folder, wanted, recipient=CANARY):
    """Look until the canary is there; return its reference."""
    cursor = None
    for _ in range(PATIENCE):
        look = await reader.look(folder, cursor, since=SINCE)
        cursor = look.cursor
        for found in look.messages:
            if name_of(found.headers, recipient) == wanted.id:
                return found.ref
        if look.complete:
            await reader.wait(0.02)
    raise AssertionError("it did not arrive")


async def test_a_canary_that_is_sent_over_graph_is_read_over_graph_and_deleted_for_good(agent):
    paths, mailboxes, _ = agent
    made, content = canary()
    attempt = await paths["by-graph"].send(CANARY, CANARY, content)
    assert isinstance(attempt, Accepted), attempt
    reader = mailboxes["graph-inbox"]
    ref = await seen(reader, "inbox", made)
    block = (await reader.headers([ref]))[ref]
    assert name_of(block) == made.id
    assert b"\r\nReceived: " in b"\r\n" + block
    assert (await reader.content(ref, 100_000)).count(b"X-Relaycanary") == 1
    assert list(await reader.delete([ref])) == [ref]
    assert await reader.headers([ref]) == {}
    assert await reader.content(ref, 100) is None


async def test_a_canary_that_is_submitted_with_a_token_arrives_and_its_copy_lies_in_sent_items(agent):
    paths, mailboxes, _ = agent
    made, content = canary(NOREPLY)
    attempt = await paths["submission"].send(NOREPLY, CANARY, content)
    assert isinstance(attempt, Accepted), attempt
    await seen(mailboxes["graph-inbox"], "inbox", made)
    await seen(mailboxes["inbox"], "INBOX", made)
    copy = await seen(mailboxes["graph-sent"], "sentitems", made)
    assert list(await mailboxes["graph-sent"].delete([copy])) == [copy]
    assert await mailboxes["graph-sent"].headers([copy]) == {}


async def test_a_bounce_is_read_over_graph_and_says_which_canary_it_is_about(agent, lab):
    paths, mailboxes, _ = agent
    lab.break_("submission", "bounce")
    made, content = canary(NOREPLY)
    await paths["submission"].send(NOREPLY, CANARY, content)
    reader, notice, cursor = mailboxes["graph-sent"], None, None
    for _ in range(PATIENCE):
        look = await reader.look("inbox", cursor, since=SINCE)
        cursor = look.cursor
        answers = [found.ref for found in look.messages if recognise.answers(parse_headers(found.headers))]
        for ref in answers:
            notice = bounce.classify(await reader.content(ref, 262_144))
        if notice is not None:
            break
        await reader.wait(0.02)
    assert notice is not None
    assert (notice.kind, notice.final) == (bounce.Kind.BOUNCE, True)
    assert made.id in {claim.id for claim in recognise.claims(notice.returned())}


async def test_a_message_keeps_its_reference_when_somebody_reads_it_and_when_a_round_is_told_again(agent, lab):
    paths, mailboxes, _ = agent
    reader = mailboxes["graph-inbox"]
    made, content = canary()
    await paths["by-graph"].send(CANARY, CANARY, content)
    ref = await seen(reader, "inbox", made)
    lab.break_("inbox", "delta_replays")
    look = await reader.look("inbox", None, since=SINCE)
    again = await reader.look("inbox", look.cursor, since=SINCE)
    assert again.complete
    assert ref in [found.ref for found in again.messages]
    lab.break_("inbox", "delta_expired")
    anew = await reader.look("inbox", again.cursor, since=SINCE)
    assert ref in [found.ref for found in anew.messages]


@pytest.mark.parametrize(
    ("target", "fault", "value", "reason", "wish"),
    [
        ("inbox", "throttled", "7", "throttled", 7.0),
        ("inbox", "throttled", "0", "throttled", None),
        ("inbox", "graph_unavailable", None, "throttled", None),
        ("inbox", "graph_gateway_timeout", None, "unavailable", None),
        ("inbox", "mailbox_not_permitted", None, "login", None),
        ("graph", "graph_down", None, "connect", None),
    ],
)
async def test_a_mailbox_that_graph_does_not_show_is_unreadable(agent, lab, target, fault, value, reason, wish):
    reader = agent[1]["graph-inbox"]
    lab.break_(target, fault if value is None else f"{fault}={value}")
    with pytest.raises(MailboxUnreadable) as caught:
        await reader.look("inbox", None, since=SINCE)
    assert (caught.value.reason, caught.value.retry_after) == (reason, wish)
    lab.heal()
    assert await readable(reader)


async def readable(reader):
    """Look until it works: a port is opened again in its own time."""
    for _ in range(PATIENCE):
        with contextlib.suppress(MailboxUnreadable):
            return await reader.look("inbox", None, since=SINCE)
        await reader.wait(0.02)
    return None


@pytest.mark.parametrize(
    ("path", "target", "fault", "outcome", "stage", "says"),
    [
        ("by-graph", "entra", "secret_expired", Outcome.AUTH_FAILED, Stage.TOKEN, "secret"),
        ("submission", "entra", "secret_wrong", Outcome.AUTH_FAILED, Stage.TOKEN, "secret"),
        ("submission", "entra", "app_unknown", Outcome.AUTH_FAILED, Stage.TOKEN, "application"),
        ("by-graph", "entra", "wrong_cloud", Outcome.AUTH_FAILED, Stage.TOKEN, ""),
        ("by-graph", "graph", "role_missing", Outcome.AUTH_FAILED, Stage.REQUEST, ""),
        ("by-graph", "graph", "mailbox_not_permitted", Outcome.AUTH_FAILED, Stage.REQUEST, ""),
        ("submission", "submission", "role_missing", Outcome.AUTH_FAILED, Stage.AUTH, ""),
        ("submission", "submission", "mailbox_not_permitted", Outcome.DEFERRED, Stage.DATA, "FullAccess"),
        ("by-graph", "graph", "drop_after_body", Outcome.INDETERMINATE, Stage.REQUEST, ""),
    ],
)
async def test_what_keeps_a_path_from_sending_is_told_with_its_fix(
    agent, lab, path, target, fault, outcome, stage, says
):
    sender = CANARY if path == "by-graph" else NOREPLY
    lab.break_(target, fault)
    refused = await agent[0][path].send(sender, CANARY, canary(sender)[1])
    assert isinstance(refused, Refused), refused
    assert (outcome_of(refused, online=True), refused.stage) == (outcome, stage)
    known = diagnose_refusal(refused, method="graph_send" if path == "by-graph" else "submission")
    assert known is not None
    assert says in known.meaning
    assert known.fix


async def test_a_role_that_is_granted_shows_with_the_next_canary(agent, lab):
    path = agent[0]["by-graph"]
    lab.break_("graph", "role_missing")
    refused = await path.send(CANARY, CANARY, canary()[1])
    assert "the token has no role Mail.Send" in refused.detail
    lab.heal()
    assert isinstance(await path.send(CANARY, CANARY, canary()[1]), Accepted)


async def test_a_certificate_proves_the_app_as_a_secret_does(lab, tmp_path):
    file = tmp_path / "relaycanary.yaml"
    secret = lab.directory / "client-secret"
    text = lab.info.settings.read_text().replace(
        f"client_secret:\n      file: {secret}", f"certificate:\n      file: {lab.directory / 'app.pem'}"
    )
    assert "app.pem" in text
    file.write_text(text)
    clock = SystemClock()
    credential = build_credentials(load(file), clock)["app"]
    assert (await credential.login("smtp")).roles == {"IMAP.AccessAsApp", "SMTP.SendAsApp"}
    assert credential.facts().not_after > clock.now()
    assert credential.facts().token_requests["ok"] == 1


async def test_no_token_and_no_secret_is_left_in_what_is_kept_or_logged(agent, lab, caplog):
    caplog.set_level(logging.DEBUG)
    paths, mailboxes, credential = agent
    secrets = set()

    async def note():
        secrets.update([(await credential.login(audience)).secret for audience in ("smtp", "graph")])

    await note()
    told = [repr(await paths["submission"].send(NOREPLY, CANARY, canary(NOREPLY)[1]))]
    told.append(repr(await paths["by-graph"].send(CANARY, CANARY, canary()[1])))
    for target, fault in (("inbox", "role_missing"), ("graph", "mailbox_not_permitted"), ("entra", "secret_wrong")):
        await note()
        lab.break_(target, fault)
        told.append(repr(await paths["by-graph"].send(CANARY, CANARY, canary()[1])))
        for reader, folder in ((mailboxes["graph-inbox"], "inbox"), (mailboxes["inbox"], "INBOX")):
            try:
                await reader.look(folder, None, since=SINCE)
            except MailboxUnreadable as error:
                told += [repr(error), error.detail]
        lab.heal()
    told += [repr(vars(part)) for part in (*paths.values(), *mailboxes.values(), credential)]
    secrets.add((lab.directory / "client-secret").read_text().strip())
    everything = "\n".join([*told, caplog.text])
    assert not [secret for secret in secrets if secret in everything]


@pytest.mark.skipif(not SCHEMA.exists(), reason="Microsoft's schema of Graph is not at hand")
def test_what_is_sent_to_graph_is_a_message_of_microsofts_schema():
    whole = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/message", "$defs": whole["$defs"]})
    body = send_mail(canary()[1], CANARY, CANARY)
    validator.validate(body["message"])
    assert set(body) == {"message", "saveToSentItems"}
