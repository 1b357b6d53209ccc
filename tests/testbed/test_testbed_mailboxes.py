"""Mailboxes over IMAP: both kinds of TLS, password and token, IDLE."""

import imaplib
import time

import imapclient
import imapclient.exceptions
import pytest

pytestmark = pytest.mark.servers


def xoauth2(address, token):
    return lambda _: f"user={address}\x01auth=Bearer {token}\x01\x01".encode()


@pytest.fixture
def imaps(testbed):
    with imaplib.IMAP4_SSL(testbed.host, testbed.ports.imaps, ssl_context=testbed.client_context()) as session:
        yield session


@pytest.fixture
def starttls(testbed):
    with imaplib.IMAP4(testbed.host, testbed.ports.imap) as session:
        session.starttls(testbed.client_context())
        yield session


@pytest.mark.parametrize("endpoint", ["imaps", "starttls"])
def test_a_delivered_message_is_read_by_password(testbed, deliver, address, request, endpoint):
    sent = deliver(address)
    testbed.wait_for_arrivals(address)
    session = request.getfixturevalue(endpoint)
    session.login(address, testbed.password)
    assert session.select("INBOX") == ("OK", [b"1"])
    _, data = session.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert sent["Subject"].encode() in data[0][1]


@pytest.mark.parametrize("endpoint", ["imaps", "starttls"])
def test_a_token_opens_its_mailbox(testbed, address, request, endpoint):
    session = request.getfixturevalue(endpoint)
    session.authenticate("XOAUTH2", xoauth2(address, testbed.issue_token(address)))
    assert session.select("INBOX") == ("OK", [b"0"])


def test_a_wrong_password_is_refused(imaps, address):
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imaps.login(address, "wrong")


@pytest.mark.parametrize("fault", ["made up", "expired", "revoked", "somebody else's"])
def test_a_bad_token_is_refused(testbed, imaps, address, fault):
    token = testbed.issue_token("other@corp.test" if fault == "somebody else's" else address)
    if fault == "made up":
        token = "made-up"
    elif fault == "expired":
        testbed.expire_token(token)
    elif fault == "revoked":
        testbed.revoke_token(token)
    # The second answer is the empty one that a challenge with the reason asks for.
    answers = iter([xoauth2(address, token)(b""), b""])
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imaps.authenticate("XOAUTH2", lambda _: next(answers))


def test_wrong_passwords_do_not_slow_down_the_next_login(testbed, address):
    """Dovecot would let the client wait, 4 to 17 seconds: longer than this one is patient."""

    def login(password):
        context = testbed.client_context()
        with imaplib.IMAP4_SSL(testbed.host, testbed.ports.imaps, ssl_context=context, timeout=3) as session:
            return session.login(address, password)[0]

    for _ in range(2):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            login("wrong")
    assert login(testbed.password) == "OK"


def test_idle_is_woken_by_a_delivery(testbed, deliver, address):
    with imapclient.IMAPClient(
        testbed.host, testbed.ports.imaps, ssl_context=testbed.client_context(), timeout=10
    ) as client:
        client.login(address, testbed.password)
        client.select_folder("INBOX")
        client.idle()
        deliver(address)
        notices = client.idle_check(timeout=10)
        client.idle_done()
    assert (1, b"EXISTS") in notices


def test_the_junk_folder_is_there_before_the_first_mail(imaps, testbed, address):
    imaps.login(address, testbed.password)
    _, folders = imaps.list()
    assert any(b"\\Junk" in folder and folder.endswith(b" Junk") for folder in folders)


def test_ground_truth_lies_between_sending_and_seeing(testbed, deliver, address):
    before = time.time()
    deliver(address)
    [arrival] = testbed.wait_for_arrivals(address)
    assert before <= arrival.queued <= arrival.delivered <= time.time()
