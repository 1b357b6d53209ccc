"""What servers do wrong, or in an unusual order; each told as a dialogue."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime

import pytest

from checks.errors import MailboxUnreadable

pytestmark = pytest.mark.anyio

BACKOFF = b"Request is throttled. Suggested Backoff Time: 299961 milliseconds"
EXCHANGE = "BAD User is authenticated but not connected."


async def failure(awaitable):
    with pytest.raises(MailboxUnreadable) as caught:
        await awaitable
    return caught.value


# What the server's words mean


@pytest.mark.parametrize("word", [b"NO", b"BAD"])
async def test_throttling_tells_how_long_to_stay_away(scripted, reader_for, kit, word):
    async def server(peer):
        await peer.log_in()
        await peer.answer(rb"SELECT", done=word + b" " + BACKOFF)
        await peer.say(b"* BYE Connection closed. 14\r\n")

    error = await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    assert (error.reason, error.retry_after) == ("throttled", 299.961)


async def test_a_backoff_of_years_is_cut_to_an_hour(scripted, reader_for, kit):
    async def server(peer):
        await peer.log_in()
        await peer.answer(rb"SELECT", done=b"NO Request is throttled. Suggested Backoff Time: 99999999999 milliseconds")

    error = await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    assert (error.reason, error.retry_after) == ("throttled", 3600)


async def test_a_mailbox_that_is_not_connected_is_a_matter_of_the_login(scripted, reader_for, kit):
    async def server(peer):
        await peer.log_in()
        await peer.answer(rb"SELECT", done=EXCHANGE.encode())

    error = await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "login"
    assert "open the folder INBOX" in error.detail
    assert EXCHANGE in error.detail


async def test_a_refused_login_is_told_in_the_servers_words(scripted, reader_for, kit):
    async def server(peer):
        await peer.greet()
        await peer.answer(rb"AUTHENTICATE XOAUTH2", done=b"NO AUTHENTICATE failed.")

    error = await failure(reader_for(await scripted(server), bearer=True).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "login"
    assert error.detail.endswith(f"log in as {kit.ADDRESS}: refused; the server said: NO AUTHENTICATE failed.")


async def test_a_greeting_that_says_goodbye_is_not_a_failed_login(scripted, reader_for, kit):
    async def server(peer):
        await peer.say(b"* BYE Connection is closed. 13\r\n")

    error = await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "closed"
    assert "BYE Connection is closed. 13" in error.detail


async def test_nobody_listening_is_a_matter_of_the_connection(reader_for, kit):
    async with asyncio.timeout(10):
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        error = await failure(reader_for(port).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "connect"
    assert f"localhost, port {port}" in error.detail


# Login


async def test_xoauth2_goes_with_the_command_and_byte_for_byte_as_documented(scripted, reader_for, kit):
    """The test vector of Microsoft's page on OAuth for IMAP, POP and SMTP."""
    token = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
    vector = (
        b"dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0Nj"
        b"bFJDM0VvQUEBAQ=="
    )

    async def server(peer):
        await peer.greet()
        await peer.answer(rb"AUTHENTICATE XOAUTH2 " + vector + rb"$", b"CAPABILITY IMAP4rev1")
        await peer.open()
        await peer.answer(rb"UID SEARCH SINCE 31-Dec-2019$", b"SEARCH")
        await peer.answer(rb"UID FETCH")

    reader = reader_for(await scripted(server), bearer=True, secret=token, address="test@contoso.onmicrosoft.com")
    assert (await reader.look("INBOX", None, since=kit.LONG_AGO)).complete


@pytest.mark.parametrize("capabilities", [b"IMAP4rev1 AUTH=XOAUTH2 SASL-IR", b"IMAP4rev1 AUTH=XOAUTH2"])
async def test_an_error_report_in_a_challenge_is_answered_by_an_empty_line(scripted, reader_for, kit, capabilities):
    async def server(peer):
        await peer.greet(capabilities)
        await peer.expect(rb"AUTHENTICATE XOAUTH2")
        if b"SASL-IR" not in capabilities:
            await peer.say(b"+ \r\n")
            assert base64.b64decode(await peer.line()).startswith(b"user=" + kit.ADDRESS.encode())
        await peer.say(b"+ " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
        assert await peer.line() == b""
        await peer.say(peer.tag + b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n")

    error = await failure(reader_for(await scripted(server), bearer=True).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "login"


@pytest.mark.parametrize(("secret", "quoted"), [("simple", b'"simple"'), ('a "b" \\c ', b'"a \\"b\\" \\\\c "')])
async def test_login_is_used_and_quoted_where_plain_is_not_offered(scripted, reader_for, kit, secret, quoted):
    sent = asyncio.get_running_loop().create_future()

    async def server(peer):
        await peer.greet(b"IMAP4rev1")
        sent.set_result((await peer.answer(rb'LOGIN "canary@contoso.example" (.*)$', done=b"NO no"))[1])

    await failure(reader_for(await scripted(server), secret=secret).look("INBOX", None, since=kit.LONG_AGO))
    assert await sent == quoted


@pytest.mark.parametrize(
    ("capabilities", "bearer", "secret"),
    [
        (b"IMAP4rev1 LOGINDISABLED", False, "secret"),
        (b"IMAP4rev1 AUTH=PLAIN", True, "secret"),
        (b"IMAP4rev1 AUTH=CRAM-MD5", False, "Schlüssel"),
    ],
)
async def test_a_login_that_the_server_does_not_offer_is_not_tried(
    scripted, reader_for, kit, capabilities, bearer, secret
):
    async def server(peer):
        await peer.greet(capabilities)
        assert await peer.line() == b""

    error = await failure(
        reader_for(await scripted(server), bearer=bearer, secret=secret).look("INBOX", None, since=kit.LONG_AGO)
    )
    assert error.reason == "login"
    assert "does not offer" in error.detail


@pytest.mark.parametrize("secret", ["two\r\nlines", "nul\0", "\1"])
async def test_a_secret_that_would_break_the_protocol_is_not_sent(scripted, reader_for, kit, secret):
    async def server(peer):
        await peer.greet()
        assert await peer.line() == b""

    error = await failure(reader_for(await scripted(server), secret=secret).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "login"
    assert secret not in error.detail


@pytest.mark.parametrize("cut", [None, 60, 40])
@pytest.mark.parametrize("bearer", [False, True])
async def test_a_server_that_repeats_the_login_does_not_get_it_into_an_error(
    scripted, reader_for, kit, bearer, cut, caplog
):
    secret = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.c2VjcmV0-dG9rZW4_" * 5
    caplog.set_level("DEBUG")

    async def server(peer):
        await peer.greet()
        match = await peer.expect(rb"AUTHENTICATE \S+ (.*)$")
        await peer.say(
            peer.tag + b" BAD unknown: " + match[0][:cut] + b" " + base64.b64decode(match[1])[:cut] + b"\r\n"
        )

    error = await failure(
        reader_for(await scripted(server), bearer=bearer, secret=secret).look("INBOX", None, since=kit.LONG_AGO)
    )
    told = [str(error), repr(error), repr(error.__cause__), repr(error.__context__), caplog.text]
    for form in (
        secret,
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(b"\1auth=Bearer " + secret.encode()).decode(),
    ):
        for piece in (form[20:32], form[:12]):
            assert not any(piece in text for text in told), told


# Answers that break the grammar, or the limits


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)]<0> {52428800}\r\n",
        b"* 1 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)]<0> {" + b"9" * 5000 + b"}\r\n",
        b"* 1 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)]<0> {3}\r\nabc\r\n{tag} OK done\r\n",
        b"* 1 FETCH " + b"(" * 5000 + b")" * 5000 + b"\r\n{tag} OK done\r\n",
        b"* 1 FETCH (UID 5\r\n{tag} OK done\r\n",
        b"* 1 FETCH (UID nonsense)\r\n{tag} OK done\r\n",
        b'* 1 FETCH (UID 5 INTERNALDATE "99-Nov-99999999999999999999 10:00:00 +0000")\r\n{tag} OK done\r\n',
        b"* 1 FETCH (UID 5 FLAGS)\r\n{tag} OK done\r\n",
        b"* 1 FETCH ((((\r\n{tag} OK done\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x00\xff\xfe\r\n",
        b"\n\n\n",
        b"other OK done\r\n",
        b"x" * 100_000_000,
    ],
)
async def test_an_answer_that_is_not_imap_is_a_fault_of_the_protocol(scripted, reader_for, kit, answer):
    async def server(peer):
        await peer.begin(following=5)
        await peer.answer(rb"UID SEARCH", b"SEARCH 5")
        await peer.expect(rb"UID FETCH")
        for start in range(0, len(answer), 1_000_000):
            await peer.say(answer[start : start + 1_000_000].replace(b"{tag}", peer.tag))
        await peer.gone()

    error = await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    assert error.reason == "protocol"
    assert len(error.detail) < 1000


async def test_news_without_end_during_idle_end_the_wait(scripted, reader_for):
    async def server(peer):
        await peer.begin()
        await peer.idle()
        while True:
            await peer.say(b"y" * 100_000)

    assert (await failure(reader_for(await scripted(server)).wait(30))).reason == "protocol"


async def test_a_folder_without_uidvalidity_is_not_read(scripted, reader_for, kit):
    async def server(peer):
        await peer.log_in()
        await peer.answer(rb"SELECT", b"0 EXISTS")

    assert (
        await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    ).reason == "protocol"


async def test_a_server_that_ignores_the_limit_of_a_fetch_is_cut_short(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=5)
        await peer.answer(rb"UID SEARCH", b"SEARCH 4")
        await peer.answer(
            rb"UID FETCH 4:503,\* \(UID INTERNALDATE BODY.PEEK", kit.shown(4, b"Subject: " + b"x" * 99_000)
        )

    look = await reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO)
    assert len(look.messages[0].headers) == 32_768


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072])
async def test_literals_of_any_size_and_split_arrive_whole(scripted, reader_for, kit, size):
    body = bytes(byte % 251 for byte in range(size))

    async def server(peer):
        await peer.begin(following=5)
        await peer.answer(rb"UID SEARCH", b"SEARCH 4")
        await peer.answer(rb"UID FETCH", kit.shown(4))
        await peer.answer(rb"NOOP")
        await peer.expect(rb"UID FETCH 4 \(UID BODY.PEEK\[\]<0.200000>\)")
        answer = b"* 1 FETCH (UID 4 BODY[]<0> {%d}\r\n%s)\r\n%s OK done\r\n" % (size, body, peer.tag)
        for part in (answer[:30], answer[30:31], answer[31:-4], answer[-4:-1], answer[-1:]):
            await peer.say(part)

    reader = reader_for(await scripted(server))
    look = await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert await reader.content(look.messages[0].ref, 200_000) == body


# Messages and folders


async def test_a_message_that_is_only_announced_during_a_look_is_left_to_the_next(scripted, reader_for, kit):
    """The flags of a message that has just arrived may be told before anything else of it."""

    async def server(peer):
        await peer.begin(following=6)
        await peer.answer(rb"UID SEARCH", b"SEARCH 5")
        news = (b"2 EXISTS", b"2 FETCH (UID 6 FLAGS ())", b"7 FETCH (FLAGS (\\Seen))")
        await peer.answer(rb"UID FETCH 5:504,\*", kit.shown(5), *news)
        await peer.answer(rb"UID FETCH 6 ")
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(6))

    reader = reader_for(await scripted(server))
    first = await reader.look("INBOX", None, since=kit.LONG_AGO)
    second = await reader.look("INBOX", first.cursor, since=kit.LONG_AGO)
    assert ([m.ref.uid for m in first.messages], first.complete, first.cursor) == (["5"], False, kit.at(5))
    assert ([m.ref.uid for m in second.messages], second.complete, second.cursor) == (["6"], True, kit.at(6))


async def test_a_message_whose_header_is_withheld_is_never_passed_over(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=6)
        await peer.answer(rb"UID SEARCH", b"SEARCH 5")
        await peer.answer(rb"UID FETCH 5:504,\*", b"1 FETCH (UID 5 FLAGS ())", kit.shown(6))
        await peer.answer(rb"UID FETCH 5 ", b"1 FETCH (UID 5 FLAGS ())")

    assert (
        await failure(reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO))
    ).reason == "protocol"


async def test_a_change_of_uidvalidity_after_a_reconnect_voids_the_cursor(scripted, reader_for, kit):
    async def before(peer):
        await peer.begin(validity=7, following=6)
        await peer.answer(rb"UID SEARCH", b"SEARCH 5")
        await peer.answer(rb"UID FETCH", kit.shown(5))

    async def after(peer):
        await peer.begin(validity=8, following=2)
        await peer.answer(rb"UID SEARCH", b"SEARCH 1")
        await peer.answer(rb"UID FETCH 1:500,\*", kit.shown(1))

    reader = reader_for(await scripted(before, after))
    first = await reader.look("INBOX", None, since=kit.LONG_AGO)
    second = await reader.look("INBOX", first.cursor, since=kit.LONG_AGO)
    assert first.cursor == kit.at(5)
    assert second.cursor == kit.at(1, validity=8)


async def test_a_change_of_uidvalidity_while_selected_is_noticed(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(validity=7, following=6)
        await peer.answer(rb"UID SEARCH", b"SEARCH 5")
        await peer.answer(rb"UID FETCH", kit.shown(5))
        await peer.answer(rb"NOOP", b"OK [UIDVALIDITY 8] all new")
        await peer.open(validity=8)
        await peer.answer(rb"UID SEARCH", b"SEARCH")
        await peer.answer(rb"UID FETCH 1:500,\*", b"OK [UIDVALIDITY 9] and again")

    reader = reader_for(await scripted(server))
    first = await reader.look("INBOX", None, since=kit.LONG_AGO)
    error = await failure(reader.look("INBOX", first.cursor, since=kit.LONG_AGO))
    assert "UIDVALIDITY" in error.detail


async def test_a_folder_that_may_only_be_read_is_read(scripted, reader_for, kit):
    async def server(peer):
        await peer.log_in()
        told = (b"0 EXISTS", b"OK [UIDVALIDITY 7] ok", b"OK [UIDNEXT 9] ok")
        await peer.answer(rb"SELECT", *told, b"OK [READ-ONLY] yours to read", done=b"OK [READ-ONLY] done")
        await peer.answer(rb"EXAMINE", *told, done=b"OK [READ-ONLY] done")
        await peer.answer(rb"UID SEARCH", b"SEARCH")
        await peer.answer(rb"UID FETCH 1:500,\*")

    assert (await reader_for(await scripted(server)).look("INBOX", None, since=kit.LONG_AGO)).cursor == "7:0"


async def test_where_nothing_is_dated_late_enough_a_look_begins_with_the_newest_messages(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=9001, exists=1)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH")
        await peer.answer(rb"UID FETCH 8901:9400,\*", kit.shown(8000))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 8901:9400,\*", kit.shown(9001))

    reader = reader_for(await scripted(server))
    first = await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert (first.messages, first.complete) == ([], True), "what lies further below is left alone"
    second = await reader.look("INBOX", first.cursor, since=kit.LONG_AGO)
    assert [message.ref.uid for message in second.messages] == ["9001"]


async def test_old_mail_that_a_first_look_shows_in_a_quiet_folder_is_marked_as_such(scripted, reader_for, kit):
    """Nothing tells a slow clock from silence. What comes after SELECT is new, whatever the clock says."""

    async def server(peer):
        await peer.begin(following=500, exists=2)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH")
        told = (kit.shown(uid, seq=seq, stored=b"01-Aug-2026 10:00:00 +0000") for seq, uid in ((1, 498), (2, 499)))
        await peer.answer(rb"UID FETCH 400:899,\*", *told, b"3 EXISTS", kit.shown(500, seq=3))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", None, since=datetime(2026, 11, 24, tzinfo=UTC))
    assert [(message.ref.uid, message.overlap) for message in look.messages] == [
        ("498", True),
        ("499", True),
        ("500", False),
    ]


@pytest.mark.parametrize("told", [b"NIL", b'""', b"{0}\r\n"])
async def test_an_empty_header_is_no_evidence(scripted, reader_for, kit, told):
    """So may a server answer for a message that another client has just expunged (RFC 2180 4.1.3)."""

    async def server(peer):
        await peer.begin(following=6)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 4 5")
        await peer.answer(rb"UID FETCH", kit.shown(4), kit.shown(5, seq=2))
        await peer.answer(rb"NOOP")
        whole = b"2 FETCH (UID 5 BODY[HEADER]<0> {12}\r\nSubject: x\r\n)"
        await peer.answer(rb"UID FETCH 4:5", b"1 FETCH (UID 4 BODY[HEADER]<0> " + told + b")", whole)

    reader = reader_for(await scripted(server))
    refs = [message.ref for message in (await reader.look("INBOX", None, since=kit.LONG_AGO)).messages]
    assert await reader.headers(refs) == {refs[1]: b"Subject: x\r\n"}


async def test_without_uidplus_nothing_is_expunged(scripted, reader_for, kit):
    """EXPUNGE would remove what other people have marked as deleted."""

    async def server(peer):
        await peer.begin(b"IMAP4rev1 AUTH=PLAIN SASL-IR", following=6)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 4 5")
        await peer.answer(rb"UID FETCH", kit.shown(4), kit.shown(5, seq=2))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID STORE 4,5 \+FLAGS\.SILENT \(\\Deleted\)")
        await peer.answer(rb"UID SEARCH UID 4:5$", b"SEARCH 5")

    reader = reader_for(await scripted(server))
    refs = [message.ref for message in (await reader.look("INBOX", None, since=kit.LONG_AGO)).messages]
    assert await reader.delete(refs) == refs[:1]
