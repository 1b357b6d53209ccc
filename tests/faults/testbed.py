"""Settings for an agent on the testbed: mail by the MX of Postfix, read from Dovecot."""

from __future__ import annotations

from pathlib import Path

import yaml
from mailservers.testbed import Testbed


def settings_for_the_testbed(testbed: Testbed, folder: Path, address: str) -> Path:
    """Write settings into *folder*: one check, `mx`, to *address*; return the file."""
    key = folder / "k1"
    key.write_text("a key that is long enough to be one")
    key.chmod(0o600)
    common = {"host": testbed.host, "ca_file": str(testbed.certificates.ca)}
    password = {"file": str(testbed.password_file)}
    known = {
        "agent": {
            "site": "testbed",
            "ledger": f"sqlite:///{folder / 'ledger.db'}",
            "signing_keys": [{"id": "k1", "secret": {"file": str(key)}}],
        },
        "credentials": {"box": {"kind": "password", "username": address, "password": password}},
        "paths": {"mx": {"kind": "direct_send", **common, "port": testbed.ports.mx, "sender": "sender@corp.test"}},
        "mailboxes": {
            "box": {
                "kind": "imap",
                **common,
                "port": testbed.ports.imaps,
                "credential": "box",
                "address": address,
                "folders": ["INBOX"],
            }
        },
        "checks": {"mx": {"path": "mx", "mailbox": "box", "every": "60s"}},
    }
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(known))
    return file
