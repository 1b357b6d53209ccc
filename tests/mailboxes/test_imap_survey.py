"""Looking around in a mailbox: folders, quota, certificates; nothing is changed."""

from __future__ import annotations

import uuid

import pytest
from cryptography import x509

from checks.errors import MailboxUnreadable
from checks.wire.survey import FolderEntry, Quota

pytestmark = pytest.mark.anyio

WITH_QUOTA = b"IMAP4rev1 IDLE UIDPLUS AUTH=PLAIN SASL-IR LITERAL+ QUOTA"


async def test_folders_come_as_the_server_lists_them(pymap_for, reader_for):
    server = await pymap_for()
    await server.folders.add_mailbox("Junk-E-Mail")

    survey = await reader_for(server.port, folders=["INBOX", "Junk Email"]).survey()

    assert {"INBOX", "Junk-E-Mail"} <= {folder.name for folder in survey.folders}
    assert list(survey.unopened) == ["Junk Email"]
    assert survey.chain == ()


async def test_a_mailbox_that_is_looked_around_in_keeps_its_messages_unread(pymap_for, reader_for):
    server = await pymap_for()
    uid = await server.deliver()

    await reader_for(server.port).survey()

    assert b"\\Seen" not in {bytes(flag) for flag in await server.flags(uid)}
    assert not any(command.split(b" ")[1:2] == [b"FETCH"] for command in server.commands)


async def test_the_certificates_are_those_that_the_server_shows(pymap_for, reader_for, server_tls, ca_file):
    server = await pymap_for(context=server_tls)

    survey = await reader_for(server.port, tls="implicit", ca_file=ca_file).survey()

    leaf = x509.load_der_x509_certificate(survey.chain[0])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


async def look_around(peer, *, quota, listed=(b'LIST (\\HasNoChildren) "/" INBOX',)):
    await peer.log_in(WITH_QUOTA)
    await peer.answer(rb"LIST", *listed)
    await peer.answer(
        rb'SELECT "INBOX"',
        b"0 EXISTS",
        b"OK [UIDVALIDITY 7] ok",
        b"OK [UIDNEXT 1] ok",
        done=b"OK [READ-WRITE] done",
    )
    await quota(peer)
    await peer.gone()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((b'QUOTAROOT INBOX ""', b'QUOTA "" (STORAGE 512 1024)'), Quota(512 * 1024, 1024 * 1024)),
        ((b'QUOTAROOT INBOX "user"', b'QUOTA "user" (MESSAGE 5 10 STORAGE 1 2)'), Quota(1024, 2048)),
        ((b'QUOTAROOT INBOX ""', b'QUOTA "" (MESSAGE 5 10)'), None),
        ((b'QUOTAROOT INBOX ""', b'QUOTA "" ()'), None),
        ((b"QUOTAROOT INBOX",), None),
    ],
)
async def test_the_quota_is_that_of_storage(lines, expected, scripted, reader_for):
    async def quota(peer):
        await peer.answer(rb"GETQUOTAROOT", *lines)

    port = await scripted(lambda peer: look_around(peer, quota=quota))
    reader = reader_for(port)

    assert (await reader.survey()).quota == expected
    await reader.close()


async def test_a_server_that_will_not_tell_the_quota_has_none(scripted, reader_for):
    async def quota(peer):
        await peer.answer(rb"GETQUOTAROOT", done=b"NO not for you")

    port = await scripted(lambda peer: look_around(peer, quota=quota))
    reader = reader_for(port)

    assert (await reader.survey()).quota is None
    await reader.close()


async def test_attributes_and_names_are_read_as_text(scripted, reader_for):
    async def quota(peer):
        await peer.answer(rb"GETQUOTAROOT")

    listed = (b'LIST (\\HasNoChildren \\Junk) "/" "Courrier ind&AOk-sirable"', b'LIST () "/" INBOX')
    port = await scripted(lambda peer: look_around(peer, quota=quota, listed=listed))
    reader = reader_for(port)

    survey = await reader.survey()

    assert survey.folders[0] == FolderEntry("Courrier indésirable", frozenset({"hasnochildren", "junk"}))
    await reader.close()


async def test_a_refused_login_is_unreadable(pymap_for, reader_for):
    server = await pymap_for()

    with pytest.raises(MailboxUnreadable) as refused:
        await reader_for(server.port, secret="wrong").survey()

    assert refused.value.reason == "login"


@pytest.mark.servers
async def test_dovecot_tells_its_junk_folder(testbed, reader_for):
    reader = reader_for(
        testbed.ports.imaps,
        tls="implicit",
        ca_file=testbed.certificates.ca,
        secret=testbed.password,
        address=f"survey-{uuid.uuid4().hex[:12]}@corp.test",
        folders=["INBOX", "Junk", "Junk Email"],
    )

    survey = await reader.survey()

    assert {"INBOX", "Junk"} <= {folder.name for folder in survey.folders}
    assert list(survey.unopened) == ["Junk Email"]
    assert len(survey.chain) >= 1
