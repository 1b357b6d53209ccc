"""What a folder is for, as the server says (RFC 6154): mail in its Junk folder does not pass under another name."""

from __future__ import annotations

import pytest

from checks.errors import MailboxUnreadable

pytestmark = pytest.mark.anyio

ODD = "Allerlei"


LIST = rb'LIST "" "?Allerlei"?'


def a_server(kit, *listed):
    async def server(peer):
        await peer.log_in()
        await peer.answer(LIST, *listed)
        await peer.open(name=rb'"Allerlei"', following=6, exists=1)
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.gone()

    return server


async def looked(reader, kit):
    for _ in range(2):
        await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    return reader.is_junk(ODD), reader.is_sent(ODD)


@pytest.mark.parametrize(
    ("listed", "uses"),
    [
        ((b'LIST (\\HasNoChildren \\Junk) "/" Allerlei',), (True, False)),
        ((b'LIST (\\HasNoChildren \\JUNK) "/" "Allerlei"',), (True, False)),
        ((b'LIST (\\Sent) "/" Allerlei',), (False, True)),
        ((b'LIST (\\HasNoChildren \\All) "/" Allerlei',), (False, False)),
        ((b'LIST (\\HasNoChildren) "/" Allerlei',), (False, False)),
        ((b'LIST (\\Junk) "/" Allerlei2',), (False, False)),
        ((), (False, False)),
    ],
)
async def test_a_folder_whose_name_does_not_tell_is_what_the_server_says(listed, uses, scripted, reader_for, kit):
    reader = reader_for(await scripted(a_server(kit, *listed)), folders=["INBOX", ODD])
    assert await looked(reader, kit) == uses


async def test_a_server_that_refuses_to_list_is_read_all_the_same_and_asked_again_by_the_next_look(
    scripted, reader_for, kit
):
    async def server(peer):
        await peer.log_in()
        await peer.answer(LIST, done=b"NO not now")
        await peer.open(name=rb'"Allerlei"', following=6, exists=1)
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.answer(LIST, b'LIST (\\Junk) "/" Allerlei')
        await peer.answer(rb"NOOP")
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.gone()

    reader = reader_for(await scripted(server), folders=["INBOX", ODD])
    await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    assert not reader.is_junk(ODD)
    await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    assert reader.is_junk(ODD)


async def test_what_the_server_said_of_a_folder_holds_when_the_next_connection_is_refused_the_answer(
    scripted, reader_for, kit
):
    async def first(peer):
        await peer.log_in()
        await peer.answer(LIST, b'LIST (\\Junk) "/" Allerlei')
        await peer.open(name=rb'"Allerlei"', following=6, exists=1)
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.expect(rb"NOOP")
        peer.hang_up()

    async def second(peer):
        await peer.log_in()
        await peer.answer(LIST, done=b"NO [UNAVAILABLE] try again later")
        await peer.open(name=rb'"Allerlei"', following=6, exists=1)
        await peer.answer(rb"UID FETCH 6:505,\*", kit.shown(5))
        await peer.gone()

    reader = reader_for(await scripted(first, second), folders=["INBOX", ODD])
    await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    with pytest.raises(MailboxUnreadable, match="closed the connection"):
        await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    await reader.look(ODD, "7:5", since=kit.LONG_AGO)
    assert reader.is_junk(ODD), "mail in it would pass"


async def test_what_the_server_says_counts_beside_a_junk_folder_that_the_settings_name(scripted, reader_for, kit):
    port = await scripted(a_server(kit, b'LIST (\\Junk) "/" Allerlei'))
    reader = reader_for(port, folders=["INBOX", ODD, "Quarantine"], junk="Quarantine")
    assert await looked(reader, kit) == (True, False)
    assert reader.is_junk("Quarantine")


async def test_a_folder_whose_name_tells_is_not_asked_about(scripted, reader_for, kit):
    async def server(peer):
        await peer.log_in()
        await peer.open(name=rb'"Junk-E-Mail"', following=6)
        await peer.answer(rb"UID FETCH 6:505,\*")
        await peer.gone()

    reader = reader_for(await scripted(server), folders=["INBOX", "Junk-E-Mail"])
    await reader.look("Junk-E-Mail", "7:5", since=kit.LONG_AGO)
    assert reader.is_junk("Junk-E-Mail")
