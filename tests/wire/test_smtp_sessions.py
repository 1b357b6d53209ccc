"""Sessions, fresh and kept: what is reused, what is replaced, and that nothing stays behind."""

from __future__ import annotations

import asyncio

import pytest

from checks.core.model import Accepted, Cause, Refused, Stage
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio


async def test_a_fresh_session_is_opened_for_every_message_and_ended_with_quit(serve, path_to, send):
    server = await serve()
    path = path_to(server)
    await send(path)
    await send(path)
    await path.close()

    assert server.connections == 2
    assert "RSET" not in server.commands
    assert "QUIT" in server.commands


async def test_a_kept_session_is_reset_and_used_again(serve, path_to, send):
    server = await serve()
    path = path_to(server, session="kept")
    first, second = await send(path), await send(path)

    assert server.connections == 1
    assert server.commands.count("RSET") == 1
    assert [timing.stage for timing in second.transcript.stages] == ["envelope", "data"]
    assert second.transcript.endpoint == first.transcript.endpoint
    assert second.transcript.connected


async def test_the_tls_of_a_kept_session_is_in_every_transcript(serve, path_to, send, ca_file):
    path = path_to(await serve(), session="kept", tls="required", ca_file=ca_file)
    first, second = await send(path), await send(path)

    assert second.transcript.tls == first.transcript.tls
    assert second.transcript.tls is not None


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 idle for too long\r\n"])
async def test_a_connection_that_the_server_closed_while_idle_is_replaced(farewell, serve, path_to, send):
    server = await serve()
    path = path_to(server, session="kept")
    await send(path)
    await server.drop_idle_connections(farewell)

    assert isinstance(await send(path), Accepted)
    assert server.connections == 2
    assert len(server.messages) == 2


@pytest.mark.parametrize("answer", ["close", "reset", b"421 4.4.2 closing\r\n", b"500 5.5.1 what\r\n"])
async def test_a_kept_session_that_fails_at_rset_is_replaced_before_mail(answer, serve, path_to, send):
    server = await serve({"RSET": answer})
    path = path_to(server, session="kept")
    await send(path)

    accepted = await send(path)

    assert isinstance(accepted, Accepted)
    assert server.connections == 2
    assert [timing.stage for timing in accepted.transcript.stages][:2] == ["dns", "connect"]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "dot"])
async def test_a_message_under_way_is_never_sent_again(step, serve, path_to, send):
    server = await serve()
    path = path_to(server, session="kept")
    await send(path)
    server.answers[step] = "close"

    refused = await send(path)

    assert (refused.cause, refused.sent) == (Cause.DROPPED, step == "dot")
    assert server.connections == 1


async def test_a_session_with_a_refused_recipient_is_still_good(serve, path_to, send):
    server = await serve({"RCPT": b"550 5.1.1 unknown\r\n"})
    path = path_to(server, session="kept")
    await send(path)
    del server.answers["RCPT"]

    assert isinstance(await send(path), Accepted)
    assert server.connections == 1


async def test_a_session_that_the_server_ends_is_not_kept(serve, path_to, send):
    server = await serve({"RCPT": b"421 4.3.2 closing\r\n"})
    path = path_to(server, session="kept")
    await send(path)
    del server.answers["RCPT"]

    assert isinstance(await send(path), Accepted)
    assert server.connections == 2


async def test_messages_at_the_same_time_have_a_connection_each(serve, path_to, send):
    both_in = asyncio.Barrier(2)

    async def meet(talk):
        await both_in.wait()
        talk.writer.write(b"250 2.1.5 OK\r\n")

    server = await serve({"RCPT": meet})
    path = path_to(server, session="kept")

    results = await asyncio.gather(send(path), send(path))

    assert all(isinstance(result, Accepted) for result in results)
    assert server.connections == 2


@pytest.mark.parametrize("answer", ["silence", "reset", b"500 5.5.1 never\r\n"])
async def test_what_comes_of_quit_is_nobodys_concern(answer, serve, path_to, send):
    path = path_to(await serve({"QUIT": answer}))

    assert isinstance(await send(path), Accepted)
    await path.close()
    assert not path._links


async def test_one_recipient_and_the_message_as_it_was_with_dots_doubled(serve, path_to, send):
    server = await serve()
    await send(path_to(server, helo="probe.example"), b"Subject: x\n\n.dot\r\n..\nlast")

    assert server.commands[:4] == [
        "EHLO probe.example",
        "MAIL FROM:<canary@tenant.example>",
        "RCPT TO:<inbox@tenant.example>",
        "DATA",
    ]
    assert server.messages == [b"Subject: x\r\n\r\n..dot\r\n...\r\nlast\r\n.\r\n"]


async def test_the_greeting_is_a_name_with_a_dot_or_an_address_literal(serve, path_to, send):
    server = await serve()
    await send(path_to(server))

    name = server.commands[0].removeprefix("EHLO ")
    assert name == "[127.0.0.1]" or "." in name.strip("[]")


async def test_times_and_words_are_in_order(serve, path_to, send):
    accepted = await send(path_to(await serve()))

    transcript = accepted.transcript
    assert sum(timing.seconds for timing in transcript.stages) <= transcript.ended_at - transcript.began_at
    moments = [line.at for line in transcript.dialogue]
    assert moments == sorted(moments)
    assert transcript.began_at <= moments[0]
    assert moments[-1] <= transcript.ended_at
    assert [line.text for line in transcript.dialogue if line.who == "S"][-1] == "250 2.6.0 queued"
    assert not any("line with a dot" in line.text for line in transcript.dialogue)


@pytest.mark.parametrize(
    "address", ["a b@tenant.example", "a>@tenant.example", "ä@tenant.example", "a\r\nRSET@x.example"]
)
async def test_an_address_that_would_change_the_command_is_our_fault(address, serve, path_to):
    server = await serve()

    with pytest.raises(LocalFault):
        await path_to(server).send("canary@tenant.example", address, b"x")
    assert server.connections == 0


async def test_a_source_address_that_is_not_ours_is_our_fault(serve, path_to, send):
    server = await serve()

    with pytest.raises(LocalFault, match=r"192\.0\.2\.99"):
        await send(path_to(server, source_address="192.0.2.99"))
    assert server.connections == 0


async def test_nothing_is_tried_again_after_the_dot(serve, path_to, send):
    server = await serve({"dot": b"421 4.3.2 going down\r\n"})

    refused = await send(path_to(server, session="kept"))

    assert isinstance(refused, Refused)
    assert (refused.stage, refused.cause, refused.reply.code, refused.sent) == (Stage.DATA, Cause.REPLY, 421, True)
    assert server.connections == 1


async def test_cancelling_while_a_kept_session_is_asked_closes_it(serve, path_to, send):
    reached = asyncio.Event()

    async def hang(talk):
        reached.set()
        await talk.reader.read()

    server = await serve({"RSET": hang})
    path = path_to(server, session="kept")
    await send(path)
    sending = asyncio.create_task(send(path))
    await reached.wait()
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.gone.wait()
    assert len(server.messages) == 1
