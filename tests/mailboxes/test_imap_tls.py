"""TLS on the way to a mailbox: verified, and never silently left out."""

from __future__ import annotations

import ssl

import pytest
import trustme

from checks.errors import MailboxUnreadable

pytestmark = pytest.mark.anyio


def speaking_for(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def reason_of(reader, kit):
    with pytest.raises(MailboxUnreadable) as caught:
        await reader.look("INBOX", None, since=kit.LONG_AGO)
    return caught.value.reason


async def listen_only(peer):
    await peer.gone()


async def test_a_certificate_of_another_name_is_refused(scripted, reader_for, kit, authority, ca_file):
    port = await scripted(listen_only, context=speaking_for(authority, "elsewhere.example"))
    assert await reason_of(reader_for(port, tls="implicit", ca_file=ca_file), kit) == "tls"


async def test_a_certificate_of_an_unknown_authority_is_refused(scripted, reader_for, kit, ca_file):
    port = await scripted(listen_only, context=speaking_for(trustme.CA(), "localhost"))
    assert await reason_of(reader_for(port, tls="implicit", ca_file=ca_file), kit) == "tls"


async def test_plain_text_where_tls_is_due_is_refused(scripted, reader_for, kit, ca_file):
    async def server(peer):
        await peer.say(b"* OK ready\r\n")
        await peer.gone()

    assert await reason_of(reader_for(await scripted(server), tls="implicit", ca_file=ca_file), kit) == "tls"


@pytest.mark.parametrize("answer", [None, b"NO not now", b"BAD what?"])
async def test_starttls_that_is_not_to_be_had_is_not_done_without(scripted, reader_for, kit, ca_file, answer):
    async def server(peer):
        await peer.greet(b"IMAP4rev1 AUTH=PLAIN" + (b" STARTTLS" if answer else b""))
        if answer:
            await peer.answer(rb"STARTTLS", done=answer)
        assert await peer.line() == b""

    assert await reason_of(reader_for(await scripted(server), tls="starttls", ca_file=ca_file), kit) == "tls"


async def test_words_smuggled_in_before_the_handshake_are_refused(scripted, reader_for, kit, ca_file):
    async def server(peer):
        await peer.greet(b"IMAP4rev1 STARTTLS")
        await peer.expect(rb"STARTTLS")
        await peer.say(peer.tag + b" OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
        await peer.gone()

    assert await reason_of(reader_for(await scripted(server), tls="starttls", ca_file=ca_file), kit) == "tls"


async def test_a_ca_file_that_is_not_there_is_named(reader_for, kit, tmp_path):
    reader = reader_for(1, tls="implicit", ca_file=tmp_path / "missing.pem")
    with pytest.raises(MailboxUnreadable, match=r"missing\.pem") as caught:
        await reader.look("INBOX", None, since=kit.LONG_AGO)
    assert caught.value.reason == "tls"
