"""A server that was set back to an earlier day gives new mail UIDs below the cursor, and may keep its UIDVALIDITY."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio


async def test_a_cursor_above_what_the_server_says_is_next_begins_anew(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=5, exists=2)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 3 4")
        await peer.answer(rb"UID FETCH 3:502,\*", kit.shown(3), kit.shown(4, seq=2))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 5:504,\*", kit.shown(4, seq=2))
        await peer.gone()

    reader = reader_for(await scripted(server))
    look = await reader.look("INBOX", "7:5000", since=kit.LONG_AGO)
    assert [message.ref.uid for message in look.messages] == ["3", "4"]
    assert (look.cursor, look.complete) == ("7:4", True)
    again = await reader.look("INBOX", look.cursor, since=kit.LONG_AGO)
    assert (again.messages, again.cursor) == ([], "7:4"), "it begins anew once"


async def test_where_nothing_recent_is_left_new_mail_is_found_above_what_the_server_says_is_next(
    scripted, reader_for, kit
):
    async def server(peer):
        await peer.begin(following=5)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH")
        await peer.answer(rb"UID FETCH 5:504,\*", kit.shown(5))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", "7:5000", since=kit.LONG_AGO)
    assert look.cursor == "7:5"


async def test_mail_that_comes_while_the_folder_is_selected_takes_the_cursor_on(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=5)
        for uid in (5, 6):
            if uid > 5:
                await peer.answer(rb"NOOP")
            await peer.answer(rb"UID FETCH %d:%d,\*" % (uid, uid + 499), kit.shown(uid))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 7:506,\*", kit.shown(6))
        await peer.gone()

    reader, cursor = reader_for(await scripted(server)), "7:4"
    for expected in ("7:5", "7:6", "7:6"):
        cursor = (await reader.look("INBOX", cursor, since=kit.LONG_AGO)).cursor
        assert cursor == expected


async def test_a_server_that_does_not_tell_what_is_next_is_believed(scripted, reader_for, kit):
    """RFC 9051 demands UIDNEXT in answer to SELECT; RFC 3501 lets a server leave it out."""

    async def server(peer):
        await peer.log_in()
        await peer.answer(rb"SELECT", b"1 EXISTS", b"OK [UIDVALIDITY 7] ok", done=b"OK [READ-WRITE] done")
        await peer.answer(rb"UID FETCH 5001:5500,\*", kit.shown(5000))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", "7:5000", since=kit.LONG_AGO)
    assert (look.messages, look.cursor, look.complete) == ([], "7:5000", True)
