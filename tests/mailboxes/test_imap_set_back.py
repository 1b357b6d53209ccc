"""A server that was set back to an earlier day gives new mail UIDs below the cursor, and may keep its UIDVALIDITY."""

from __future__ import annotations

import pytest

from checks.errors import MailboxUnreadable

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
    assert (look.cursor, look.complete) == (kit.at(4), True)
    again = await reader.look("INBOX", look.cursor, since=kit.LONG_AGO)
    assert (again.messages, again.cursor) == ([], kit.at(4)), "it begins anew once"


async def test_where_nothing_recent_is_left_new_mail_is_found_above_what_the_server_says_is_next(
    scripted, reader_for, kit
):
    async def server(peer):
        await peer.begin(following=5)
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH")
        await peer.answer(rb"UID FETCH 1:500,\*", kit.shown(5))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", "7:5000", since=kit.LONG_AGO)
    assert look.cursor == kit.at(5)


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
    for expected in (kit.at(5), kit.at(6), kit.at(6)):
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


# Set back, and filled up beyond the cursor before we are back: only the message at the cursor tells.

LATER = b"23-Nov-2026 12:34:56 +0000"


async def test_a_cursor_at_which_another_message_lies_begins_anew(scripted, reader_for, kit):
    """Set back from UIDNEXT 101 to 99; three messages that had waited elsewhere follow at once."""

    async def server(peer):
        await peer.begin(following=102, exists=101)
        await peer.answer(rb"UID FETCH 100 \(UID INTERNALDATE\)", kit.dated(100, LATER, seq=100))
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 99 100 101")
        await peer.answer(rb"UID FETCH 99:598,\*", *(kit.shown(uid, seq=uid, stored=LATER) for uid in (99, 100, 101)))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 102:601,\*", kit.shown(101, seq=101, stored=LATER))
        await peer.gone()

    reader = reader_for(await scripted(server))
    look = await reader.look("INBOX", kit.at(100), since=kit.LONG_AGO)
    assert ([message.ref.uid for message in look.messages], look.complete) == (["99", "100", "101"], True)
    again = await reader.look("INBOX", look.cursor, since=kit.LONG_AGO)
    assert (again.messages, again.cursor) == ([], look.cursor), "it begins anew once"


async def test_a_cursor_that_was_void_stays_void_until_its_successor_is_kept(scripted, reader_for, kit):
    """What a look returned may never have been written down: the next then asks with the old cursor again."""

    async def server(peer):
        await peer.begin(following=102, exists=1)
        for turn in range(2):
            if turn:
                await peer.answer(rb"NOOP")
            await peer.answer(rb"UID FETCH 100 ", kit.dated(100, LATER))
            await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 100")
            await peer.answer(rb"UID FETCH 100:599,\*", kit.shown(100, stored=LATER))
        await peer.gone()

    reader = reader_for(await scripted(server))
    looks = [await reader.look("INBOX", kit.at(100), since=kit.LONG_AGO) for _ in range(2)]
    assert looks[0] == looks[1]
    assert [message.ref.uid for message in looks[0].messages] == ["100"]


@pytest.mark.parametrize("there", [True, False])
async def test_a_cursor_whose_message_is_the_same_or_gone_shows_nothing_again(scripted, reader_for, kit, there):
    """The same moment may be told in another time zone."""

    async def server(peer):
        await peer.begin(following=102, exists=101)
        told = (kit.dated(100, b"23-Nov-2026 11:00:00 +0100"),) if there else ()
        await peer.answer(rb"UID FETCH 100 \(UID INTERNALDATE\)", *told)
        await peer.answer(rb"UID FETCH 101:600,\*", kit.shown(101))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 102:601,\*", kit.shown(101))
        await peer.gone()

    reader = reader_for(await scripted(server))
    look = await reader.look("INBOX", kit.at(100), since=kit.LONG_AGO)
    assert ([message.ref.uid for message in look.messages], look.cursor) == (["101"], kit.at(101))
    assert (await reader.look("INBOX", look.cursor, since=kit.LONG_AGO)).cursor == kit.at(101), "it is asked once"


async def test_a_server_that_refuses_to_speak_of_the_message_at_the_cursor_has_told_nothing(scripted, reader_for, kit):
    """So it may where another client has expunged it (RFC 2180 4.1.2)."""

    async def server(peer):
        await peer.begin(following=102, exists=101)
        await peer.answer(rb"UID FETCH 100 \(UID INTERNALDATE\)", done=b"NO Some of the messages no longer exist.")
        await peer.answer(rb"UID FETCH 101:600,\*", kit.shown(101))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", kit.at(100), since=kit.LONG_AGO)
    assert ([message.ref.uid for message in look.messages], look.cursor) == (["101"], kit.at(101))


async def test_a_server_that_throttles_that_question_is_not_asked_more_at_once(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=102, exists=101)
        await peer.answer(
            rb"UID FETCH 100 ", done=b"NO Request is throttled. Suggested Backoff Time: 60000 milliseconds"
        )
        await peer.gone()

    with pytest.raises(MailboxUnreadable) as caught:
        await reader_for(await scripted(server)).look("INBOX", kit.at(100), since=kit.LONG_AGO)
    assert caught.value.reason == "throttled"


async def test_a_cursor_from_before_it_told_its_message_is_believed(scripted, reader_for, kit):
    async def server(peer):
        await peer.begin(following=102, exists=101)
        await peer.answer(rb"UID FETCH 101:600,\*", kit.shown(101))
        await peer.gone()

    look = await reader_for(await scripted(server)).look("INBOX", "7:100", since=kit.LONG_AGO)
    assert ([message.ref.uid for message in look.messages], look.cursor) == (["101"], kit.at(101))


async def test_a_message_that_is_dated_anew_each_time_has_the_folder_read_again_only_once(scripted, reader_for, kit):
    """Exchange so dates an item without a date of its own. Two folders take turns, so that each look selects anew."""

    async def server(peer):
        await peer.log_in()
        for hour in (10, 11, 12):
            again = kit.shown(5, seq=2, stored=b"23-Nov-2026 %d:00:00 +0000" % hour)
            await peer.open(name=rb'"Junk"', following=6, exists=2)
            if hour == 11:
                await peer.answer(rb"UID FETCH 5 ", kit.dated(5, b"23-Nov-2026 11:00:00 +0000", seq=2))
            if hour < 12:
                await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 4 5")
                await peer.answer(rb"UID FETCH 4:503,\*", kit.shown(4), again)
            else:
                await peer.answer(rb"UID FETCH 6:505,\*", again)
            await peer.open(name=rb'"Spam"', following=1)
            await peer.answer(rb"UID FETCH 1:500,\*")
        await peer.gone()

    reader = reader_for(await scripted(server), folders=["INBOX", "Junk", "Spam"])
    cursor, found = None, []
    for _ in range(3):
        look = await reader.look("Junk", cursor, since=kit.LONG_AGO)
        found.append([message.ref.uid for message in look.messages])
        cursor = look.cursor
        await reader.look("Spam", "7:0", since=kit.LONG_AGO)
    assert (found, cursor) == ([["4", "5"], ["4", "5"], []], "7:5")


async def test_a_server_that_dates_a_message_anew_each_time_is_read_page_after_page(scripted, reader_for, kit):
    """Else it would begin anew with every page, without end."""

    async def server(peer):
        await peer.begin(following=602, exists=2)
        await peer.answer(rb"UID FETCH 1 ", kit.dated(1, b"24-Nov-2026 10:00:00 +0000"))
        await peer.answer(rb"UID SEARCH SINCE", b"SEARCH 1 601")
        await peer.answer(rb"UID FETCH 1:500,\*", kit.shown(1), kit.shown(601, seq=2))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 2:501,\*", kit.shown(601, seq=2))
        await peer.answer(rb"UID SEARCH UID 502:\*", b"SEARCH 601")
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 601:1100,\*", kit.shown(601, seq=2))
        await peer.gone()

    reader, cursor, found = reader_for(await scripted(server)), kit.at(1), []
    for _ in range(3):
        look = await reader.look("INBOX", cursor, since=kit.LONG_AGO)
        found += [message.ref.uid for message in look.messages]
        cursor = look.cursor
    assert (found, look.complete) == (["1", "601"], True)
