"""Clients that keep to no protocol: the lab answers or closes, serves the next one, and logs no traceback."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest

NOISE = [
    b"",
    b"\x00" * 2000,
    b"\xff\xfe\xfd\r\n" * 20,
    b"A" * 200_000 + b"\r\n",
    b"EHLO \xf0\x9f\x90\xa4\r\nMAIL FROM:<\xff@x>\r\nRCPT TO:<<>>\r\nDATA\r\nBDAT x\r\nBDAT 5\r\n",
    b"EHLO x\r\nAUTH LOGIN =\r\nAUTH XOAUTH2 ====\r\nSTARTTLS x\r\n",
    b"EHLO x\r\nMAIL FROM:<a@b> SIZE=x RET=\r\nMAIL FROM\r\nRCPT\r\nVRFY x\r\nHELP\r\n",
    b"EHLO x\r\nMAIL FROM:<canary@contoso.example>\r\nRCPT TO:<canary@contoso.example>\r\nDATA\r\nhalf a message",
    b"EHLO x\r\nSTARTTLS\r\nthis is no ClientHello\r\n",
]
LINES = [
    b"",
    b"\x00\x01\r\n" * 5,
    b"A1 LOGIN {999999999999}\r\n",
    b"A1 AUTHENTICATE XOAUTH2 !!!\r\nA2 AUTHENTICATE XOAUTH2 =\r\nA3 AUTHENTICATE NONE\r\n",
    b"A1 AUTHENTICATE PLAIN\r\n***\r\nA2 AUTHENTICATE XOAUTH2\r\n\xff\xff\r\n",
    b"A1 SELECT INBOX\r\nA2 IDLE\r\nA3 FETCH 1 BODY[]\r\n",
    b"x" * 200_000 + b"\r\n",
]


def _talk(client: socket.socket, noise: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass


@pytest.mark.parametrize("noise", NOISE, ids=range(len(NOISE)))
@pytest.mark.parametrize("path", ["direct", "submission"])
def test_an_smtp_port_survives_noise(lab, sender, path, noise):
    with socket.create_connection(("127.0.0.1", lab.port(path)), timeout=10) as client:
        _talk(client, noise)
    assert sender(path).send().accepted


@pytest.mark.parametrize("noise", LINES, ids=range(len(LINES)))
def test_a_mailbox_survives_noise(lab, reader, noise):
    context = ssl.create_default_context(cafile=str(lab.info.ca_file))
    with socket.create_connection(("127.0.0.1", lab.port("inbox")), timeout=10) as plain:
        _talk(plain, noise)
    with socket.create_connection(("127.0.0.1", lab.port("inbox")), timeout=10) as raw:
        client = context.wrap_socket(raw, server_hostname="localhost")
        client.recv(1000)
        client.sendall(noise)
        client.sendall(b"Z1 LOGOUT\r\n")
        client.close()
    assert reader("inbox").uids("nothing") == []
