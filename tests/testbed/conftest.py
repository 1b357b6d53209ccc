import smtplib
import uuid
from email.message import EmailMessage

import pytest


@pytest.fixture
def address():
    """A mailbox of the tenant that no other test uses."""
    return f"canary-{uuid.uuid4().hex[:12]}@corp.test"


@pytest.fixture
def message():
    """Makes a message from one address to another, with a subject of its own."""

    def make(sender, recipient):
        made = EmailMessage()
        made["From"], made["To"] = sender, recipient
        made["Subject"] = f"canary {uuid.uuid4().hex}"
        made["Message-ID"] = f"<{uuid.uuid4().hex}@corp.test>"
        made.set_content("The testbed delivers this.\n")
        return made

    return make


@pytest.fixture
def deliver(testbed, message):
    """Sends one message to the MX from the connector's address, and returns it."""

    def send(recipient, sender="sender@corp.test"):
        sent = message(sender, recipient)
        with smtplib.SMTP(testbed.host, testbed.ports.mx, source_address=(testbed.connector_host, 0)) as session:
            session.sendmail(sender, [recipient], sent.as_bytes())
        return sent

    return send
