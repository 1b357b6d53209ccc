"""What a folder is for, as the server says (RFC 6154): mail in its Junk folder does not pass under another name."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio

ODD = "Allerlei"


def a_server(kit, *listed, done=b"OK done"):
    async def server(peer):
        await peer.log_in()
        await peer.answer(rb'LIST "" "?Allerlei"?', *listed, done=done)
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
        ((b'LIST (\\HasNoChildren) "/" Allerlei',), (False, False)),
        ((b'LIST (\\Junk) "/" Allerlei2',), (False, False)),
        ((), (False, False)),
    ],
)
async def test_a_folder_whose_name_does_not_tell_is_what_the_server_says(listed, uses, scripted, reader_for, kit):
    reader = reader_for(await scripted(a_server(kit, *listed)), folders=["INBOX", ODD])
    assert await looked(reader, kit) == uses


async def test_a_server_that_lists_nothing_is_read_all_the_same(scripted, reader_for, kit):
    reader = reader_for(await scripted(a_server(kit, done=b"NO not here")), folders=["INBOX", ODD])
    assert await looked(reader, kit) == (False, False)


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
