"""Whatever a server does at whatever stage: where, why, with which reply, and whether the message may be on its way."""

from __future__ import annotations

import asyncio

import pytest

from checks.core.model import Accepted, Cause, Refused, Stage
from checks.wire.credentials import Password

pytestmark = pytest.mark.anyio

PLAIN_STEPS = {
    "greeting": (Stage.GREETING, "greeting"),
    "EHLO": (Stage.EHLO, "greeting"),
    "MAIL": (Stage.MAIL, "envelope"),
    "RCPT": (Stage.RCPT, "envelope"),
    "DATA": (Stage.DATA, "data"),
    "dot": (Stage.DATA, "data"),
}
TLS_STEPS = {
    "STARTTLS": (Stage.STARTTLS, "starttls"),
    "EHLO over TLS": (Stage.EHLO, "starttls"),
    "AUTH": (Stage.AUTH, "auth"),
}
FAULTS = {
    "4xx": (b"451-4.7.0 try\r\n451 4.7.0 later\r\n", Cause.REPLY, "451 4.7.0 try later"),
    "5xx": (b"554 5.7.1 no, never\r\n", Cause.REPLY, "554 5.7.1 no, never"),
    "421": (b"421 4.3.2 closing\r\n", Cause.REPLY, "421 4.3.2 closing"),
    "close": ("close", Cause.DROPPED, None),
    "half-close": ("half_close", Cause.DROPPED, None),
    "reset": ("reset", Cause.DROPPED, None),
    "silence": ("silence", Cause.TIMEOUT, None),
    "slow drip": ("drip", Cause.TIMEOUT, None),
    "garbage": (b"HTTP/1.1 400 Bad Request\r\n", Cause.GARBAGE, None),
    "oversized line": (b"250 " + b"x" * 9000 + b"\r\n", Cause.GARBAGE, None),
    "endless reply": (b"250-more\r\n" * 4000, Cause.GARBAGE, None),
    "a code that does not exist": (b"999 what\r\n", Cause.GARBAGE, None),
    "a code out of place": (b"350 go on\r\n", Cause.GARBAGE, None),
    "codes that differ": (b"550-no\r\n250 yes\r\n", Cause.GARBAGE, None),
}
CASES = [
    (step, fault)
    for step in (*PLAIN_STEPS, *TLS_STEPS)
    for fault in FAULTS
    if not (fault == "half-close" and step in TLS_STEPS)  # TLS has no half-closed connections
]


@pytest.mark.parametrize(("step", "fault"), CASES, ids=[f"{step}, {fault}" for step, fault in CASES])
async def test_a_fault_is_told_by_stage_cause_reply_and_whether_the_dot_was_sent(
    step, fault, serve, path_to, send, ca_file
):
    stage, timed = (PLAIN_STEPS | TLS_STEPS)[step]
    answer, cause, reply = FAULTS[fault]
    server = await serve({step: answer})
    settings = {"timeouts": {timed: "250ms"}} if cause is Cause.TIMEOUT else {}
    if step in TLS_STEPS:
        settings |= {"tls": "required", "ca_file": ca_file, "credential": "c"}
    path = path_to(server, credentials={"c": Password("u", lambda: "a secret")}, **settings)

    refused = await send(path)

    assert isinstance(refused, Refused)
    assert (refused.stage, refused.cause) == (stage, cause)
    assert (str(refused.reply) if refused.reply else None) == reply
    assert refused.sent is (step == "dot")
    assert bool(refused.detail) is (reply is None)
    assert refused.transcript.connected
    assert refused.transcript.stages[-1].stage == timed


async def test_a_421_that_comes_unasked_answers_the_next_command(serve, path_to, send):
    server = await serve({"RCPT": b"250 2.1.5 fine\r\n421 4.3.2 closing\r\n"})

    refused = await send(path_to(server))

    assert (refused.stage, refused.cause, refused.reply.code) == (Stage.DATA, Cause.REPLY, 421)
    assert not refused.sent
    assert server.messages == []


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_two_answers_to_one_command_never_count_for_the_next_one(step, serve, path_to, send):
    """Else a server that refuses the message could seem to have taken it."""
    good = b"354 go\r\n" if step == "DATA" else b"220 hi\r\n" if step == "greeting" else b"250 OK\r\n"
    server = await serve({step: good + b"250 2.6.0 queued\r\n", "dot": b"554 5.7.1 no\r\n"})

    refused = await send(path_to(server))

    assert isinstance(refused, Refused)
    assert refused.cause is Cause.GARBAGE
    assert not refused.sent
    assert "out of turn" in refused.detail


async def test_words_after_the_final_answer_do_not_undo_it(serve, path_to, send):
    server = await serve({"dot": b"250 2.6.0 queued\r\n421 4.3.2 closing\r\n"})

    assert isinstance(await send(path_to(server)), Accepted)


async def test_a_large_message_cut_off_half_way_was_not_sent(serve, path_to, send):
    """The final dot was still in our buffer: the server cannot have taken the message."""

    async def read_a_little_then_reset(talk):
        talk.writer.write(b"354 go on\r\n")
        await talk.reader.readexactly(1000)
        talk.reader._transport.pause_reading()
        await talk.reset()

    server = await serve({"DATA": read_a_little_then_reset})

    refused = await send(path_to(server), b"x" * 998 + b"\r\n" + (b"y" * 76 + b"\r\n") * 250_000)

    assert (refused.stage, refused.cause, refused.sent) == (Stage.DATA, Cause.DROPPED, False)


async def test_a_server_that_stops_reading_a_large_message_does_not_leave_it_in_doubt(serve, path_to, send):
    async def stop_reading(talk):
        talk.writer.write(b"354 go on\r\n")
        await talk.writer.drain()
        talk.reader._transport.pause_reading()
        await talk.server.gone.wait()

    server = await serve({"DATA": stop_reading})
    path = path_to(server, timeouts={"data": "2s"})

    refused = await send(path, (b"y" * 76 + b"\r\n") * 250_000)

    assert (refused.stage, refused.cause, refused.sent) == (Stage.DATA, Cause.TIMEOUT, False)


async def test_a_refusal_while_a_large_message_is_being_written_is_the_answer(serve, path_to, send):
    async def too_big(talk):
        talk.writer.write(b"354 go on\r\n")
        await talk.reader.readexactly(1000)
        talk.reader._transport.pause_reading()
        talk.writer.write(b"552 5.3.4 too big\r\n")
        await talk.server.gone.wait()

    server = await serve({"DATA": too_big})

    refused = await send(path_to(server), (b"y" * 76 + b"\r\n") * 250_000)

    assert (str(refused.reply), refused.sent) == ("552 5.3.4 too big", False)


async def test_a_port_on_which_nobody_listens_is_a_connect_failure(path_to, send, dead_port):
    refused = await send(path_to(port=dead_port))

    assert (refused.stage, refused.cause, refused.reply) == (Stage.CONNECT, Cause.CONNECT, None)
    assert "Connection refused" in refused.detail
    assert not refused.transcript.connected


async def test_cancelling_closes_the_connection_and_propagates(serve, path_to, send):
    reached = asyncio.Event()

    async def hang(talk):
        reached.set()
        await talk.reader.read()

    server = await serve({"RCPT": hang})
    path = path_to(server)
    sending = asyncio.create_task(send(path))
    await reached.wait()
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.gone.wait()
    assert server.messages == []
    assert not path._links


async def test_hostile_text_is_cleaned_and_bounded(serve, path_to, send):
    server = await serve({"RCPT": b"550 5.1.1 \x1b[31mred\x00 " + "\u202e".encode() + b" " + b"z" * 5000 + b"\r\n"})

    refused = await send(path_to(server))

    assert refused.reply.text.isprintable()
    assert len(refused.reply.text) <= 2000
    assert all(line.text.isprintable() and len(line.text) <= 500 for line in refused.transcript.dialogue)
