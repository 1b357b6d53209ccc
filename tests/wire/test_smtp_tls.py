"""TLS: required means required, servers are verified, and a failure is told as a TLS failure."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from checks.core.model import Accepted, Cause, Refused, Stage
from checks.errors import LocalFault
from checks.wire.tls import TlsClient, read_client_certificate

pytestmark = pytest.mark.anyio


@pytest.fixture
def client_file(ca, tmp_path):
    """A PEM file with key, certificate and intermediate, as an administrator would store it."""
    path = tmp_path / "client.pem"
    issued = ca.create_child_ca().issue_cert("relay.tenant.example")
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


async def test_what_was_negotiated_is_in_the_transcript(serve, path_to, send, ca, ca_file, server_context):
    expiry = dt.datetime(2199, 5, 1, tzinfo=dt.UTC)
    context = server_context("127.0.0.1", "mx.tenant.example", issuer=ca.create_child_ca(), not_after=expiry)
    server = await serve(context=context)

    accepted = await send(path_to(server, tls="required", ca_file=ca_file))

    tls = accepted.transcript.tls
    assert tls.version in {"TLSv1.2", "TLSv1.3"}
    assert tls.cipher
    assert set(tls.chain[0].names) == {"127.0.0.1", "mx.tenant.example"}
    assert tls.chain[0].not_after == expiry
    assert [c.issuer for c in tls.chain[:-1]] == [c.subject for c in tls.chain[1:]]
    assert len(tls.chain) == 2
    assert [timing.stage for timing in accepted.transcript.stages] == [
        "dns", "connect", "greeting", "starttls", "envelope", "data",
    ]  # fmt: skip


BAD_CERTIFICATES = {
    "expired": ({"not_after": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "expired"),
    "for another name": ({"names": ["other.example"]}, "IP address mismatch"),
    "of an unknown CA": ({"issuer": trustme.CA()}, "unable to get local issuer certificate"),
}


@pytest.mark.parametrize("tls", ["required", "opportunistic", "implicit"])
@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
async def test_a_bad_certificate_ends_it_in_every_tls_mode(fault, tls, serve, path_to, send, ca_file, server_context):
    options, words = BAD_CERTIFICATES[fault]
    options = dict(options)
    server = await serve(context=server_context(*options.pop("names", []), **options), implicit=tls == "implicit")

    refused = await send(path_to(server, tls=tls, ca_file=ca_file))

    assert (refused.stage, refused.cause, refused.sent) == (Stage.STARTTLS, Cause.TLS, False)
    assert words in refused.detail
    assert server.messages == []


async def test_a_self_signed_certificate_is_refused(serve, path_to, send, ca_file, tmp_path):
    own = trustme.CA()
    own.private_key_pem.write_to_path(str(tmp_path / "self.key"))
    own.cert_pem.write_to_path(str(tmp_path / "self.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "self.pem", tmp_path / "self.key")
    server = await serve(context=context)

    refused = await send(path_to(server, tls="required", ca_file=ca_file))

    assert (refused.stage, refused.cause) == (Stage.STARTTLS, Cause.TLS)
    assert "self-signed" in refused.detail


async def test_required_tls_that_is_not_offered_ends_it_before_mail(serve, path_to, send, ca_file):
    server = await serve({"EHLO": b"250-scripted\r\n250 SIZE 1000\r\n"})

    refused = await send(path_to(server, tls="required", ca_file=ca_file))

    assert (refused.stage, refused.cause, refused.reply) == (Stage.STARTTLS, Cause.NOT_OFFERED, None)
    assert "SIZE" in refused.detail
    assert server.commands[0].startswith("EHLO")
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_opportunistic_tls_is_used_where_offered(serve, path_to, send, ca_file):
    accepted = await send(path_to(await serve(), tls="opportunistic", ca_file=ca_file))

    assert accepted.transcript.tls is not None


async def test_opportunistic_tls_goes_on_in_plain_text_where_it_is_not_offered(serve, path_to, send, ca_file):
    server = await serve({"EHLO": b"250 scripted\r\n"})

    accepted = await send(path_to(server, tls="opportunistic", ca_file=ca_file))

    assert isinstance(accepted, Accepted)
    assert accepted.transcript.tls is None


async def test_helo_is_tried_where_ehlo_is_not_understood(serve, path_to, send):
    server = await serve({"EHLO": b"502 5.5.1 what\r\n"})

    assert isinstance(await send(path_to(server, helo="probe.example")), Accepted)
    assert server.commands[:2] == ["EHLO probe.example", "HELO probe.example"]


async def test_plain_text_injected_after_starttls_is_a_tls_failure(serve, path_to, send, ca_file):
    """RFC 3207 section 6: else a man in the middle could put words into the encrypted session."""
    server = await serve({"STARTTLS": b"220 go ahead\r\n250 injected\r\n"})

    refused = await send(path_to(server, tls="required", ca_file=ca_file))

    assert (refused.stage, refused.cause) == (Stage.STARTTLS, Cause.GARBAGE)
    assert "plain text" in refused.detail


@pytest.mark.parametrize(
    ("after", "cause"), [("close", Cause.DROPPED), (b"this is no TLS\r\n", Cause.TLS), ("silence", Cause.TIMEOUT)]
)
async def test_a_handshake_that_goes_wrong_is_told_as_such(after, cause, serve, path_to, send, ca_file):
    async def no_handshake(talk):
        talk.writer.write(b"220 go ahead\r\n")
        await talk.reader.read(1)  # the client's hello has begun
        if isinstance(after, bytes):
            talk.writer.write(after)
            await talk.silence()
        else:
            await getattr(talk, after)()

    server = await serve({"STARTTLS": no_handshake})
    limits = {"timeouts": {"starttls": "400ms"}} if after == "silence" else {}

    refused = await send(path_to(server, tls="required", ca_file=ca_file, **limits))

    assert (refused.stage, refused.cause, refused.sent) == (Stage.STARTTLS, cause, False)


async def test_implicit_tls_speaks_tls_from_the_first_byte(serve, path_to, send, ca_file):
    server = await serve(implicit=True)

    accepted = await send(path_to(server, tls="implicit", ca_file=ca_file))

    assert accepted.transcript.tls is not None
    assert "STARTTLS" not in server.commands


async def test_implicit_tls_to_a_plain_text_port_says_so(serve, path_to, send, ca_file):
    refused = await send(path_to(await serve(), tls="implicit", ca_file=ca_file))

    assert (refused.stage, refused.cause) == (Stage.STARTTLS, Cause.TLS)
    assert "plain text" in refused.detail


async def test_the_client_certificate_is_shown_with_its_intermediate(
    serve, path_to, send, ca, ca_file, server_context, client_file
):
    context = server_context()
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await serve(context=context)
    path = path_to(server, tls="required", ca_file=ca_file, client_certificate={"file": client_file})

    assert isinstance(await send(path), Accepted)
    assert ("DNS", "relay.tenant.example") in server.peer_certificate["subjectAltName"]
    [(role, certificate)] = path.certificates()
    assert role == "client"
    assert certificate.names == ("relay.tenant.example",)


@pytest.fixture
def threaded_server(ca, server_context):
    """Serve one session up to STARTTLS with blocking TLS, which sends alerts where asyncio's servers only hang up."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def serve(version):
            context = server_context()
            context.minimum_version = context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
            ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb", buffering=0) as stream:
                for answer in (b"220 hi\r\n", b"250-threaded\r\n250 STARTTLS\r\n", b"220 go ahead\r\n"):
                    stream.write(answer)
                    if not answer.startswith(b"220 go"):
                        stream.readline()
                secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with secured, contextlib.suppress(OSError):
                    try:
                        secured.do_handshake()
                    finally:
                        # Hanging up before the client has read the alert could lose it.
                        while socket.socket.recv(secured, 4096):
                            pass

        yield lambda version: (listener.getsockname()[1], pool.submit(serve, version))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_missing_is_a_tls_failure(version, threaded_server, path_to, send, ca_file):
    """In TLS 1.3 the server says so only after our side of the handshake has ended."""
    port, _ = threaded_server(version)

    refused = await send(path_to(port=port, tls="required", ca_file=ca_file))

    assert (refused.stage, refused.cause, refused.sent) == (Stage.STARTTLS, Cause.TLS, False)
    assert "127.0.0.1" in refused.detail


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # it is what is tested
async def test_tls_1_1_is_not_enough(threaded_server, path_to, send, ca_file):
    port, _ = threaded_server(ssl.TLSVersion.TLSv1_1)

    refused = await send(path_to(port=port, tls="required", ca_file=ca_file))

    assert (refused.stage, refused.cause) == (Stage.STARTTLS, Cause.TLS)
    assert "version" in refused.detail


async def test_a_renewed_ca_file_is_used_without_restart(serve, path_to, send, ca, tmp_path):
    own = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(own))
    path = path_to(await serve(), tls="required", ca_file=own)
    before = await send(path)
    ca.cert_pem.write_to_path(str(own))
    after = await send(path)

    assert isinstance(before, Refused)
    assert isinstance(after, Accepted)


async def test_the_context_is_built_once_for_unchanged_files(ca_file, client_file):
    tls = TlsClient(ca_file, client_file)

    assert await tls.context() is await tls.context()


def _encrypted(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, None)
    encryption = serialization.BestAvailableEncryption(b"passphrase")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _only(pem: bytes, *kinds: bytes) -> bytes:
    blocks = [block + b"-----END" + end for block, end in _blocks(pem)]
    return b"".join(block for block in blocks if any(kind in block for kind in kinds))


def _blocks(pem: bytes) -> list[tuple[bytes, bytes]]:
    parts = pem.split(b"-----END")
    starts = [b"-----BEGIN" + part.split(b"-----BEGIN")[-1] for part in parts[:-1]]
    ends = [part.split(b"\n")[0] + b"\n" for part in parts[1:]]
    return list(zip(starts, ends, strict=True))


UNFIT = {
    "is missing": (None, "No such file"),
    "has no key": (lambda pem: _only(pem, b"CERTIFICATE"), "holds no private key"),
    "has no certificate": (lambda pem: _only(pem, b"PRIVATE KEY"), "holds no readable certificate"),
    "has an encrypted key": (lambda pem: _encrypted(pem) + _only(pem, b"CERTIFICATE"), "is encrypted"),
    "is no PEM": (lambda _: b"\x00\x01 not PEM", "holds no private key"),
}


@pytest.mark.parametrize("fault", UNFIT)
async def test_an_unfit_client_certificate_is_our_fault_and_named(fault, serve, path_to, send, ca_file, client_file):
    change, words = UNFIT[fault]
    pem = client_file.read_bytes()
    client_file.unlink()
    if change is not None:
        client_file.write_bytes(change(pem))
    server = await serve()
    path = path_to(server, tls="required", ca_file=ca_file, client_certificate={"file": client_file})

    with pytest.raises(LocalFault, match=words) as caught:
        await send(path)

    assert str(client_file) in str(caught.value)
    assert server.connections == 0


async def test_a_key_of_another_certificate_is_our_fault(ca, ca_file, tmp_path, client_file):
    mixed = tmp_path / "mixed.pem"
    other = ca.issue_cert("other.example").private_key_pem.bytes()
    mixed.write_bytes(other + _only(client_file.read_bytes(), b"CERTIFICATE"))

    with pytest.raises(LocalFault, match="does not belong to its first certificate"):
        await TlsClient(ca_file, mixed).context()


@pytest.mark.parametrize("content", [None, b"not PEM"])
async def test_an_unfit_ca_file_is_our_fault_and_named(content, tmp_path):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(LocalFault, match=r"ca\.pem"):
        await TlsClient(path).context()


def test_the_certificate_is_described_as_it_is(client_file):
    described = read_client_certificate(client_file)
    leaf = x509.load_pem_x509_certificates(client_file.read_bytes())[0]

    assert described.not_after == leaf.not_valid_after_utc
    assert described.subject == leaf.subject.rfc4514_string()


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux only")
async def test_the_kernel_acknowledges_at_once_while_the_second_ehlo_waits_for_its_answer(
    serve, path_to, send, ca_file
):
    """Else a server that writes in pieces holds its answer back until a delayed ACK for its session tickets."""
    at_once = []

    async def look_at_the_client(talk):
        [link] = path._links
        at_once.append(link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
        talk.writer.write(b"250 scripted\r\n")

    server = await serve({"EHLO over TLS": look_at_the_client})
    path = path_to(server, tls="required", ca_file=ca_file)

    assert isinstance(await send(path), Accepted)
    assert at_once == [1]
