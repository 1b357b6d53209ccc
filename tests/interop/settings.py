"""Settings of an agent on the testbed, put together piece by piece."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml
from mailservers.testbed import Testbed

SENDER = "printer@corp.test"
KEY = "the-secret-that-signs-the-canaries"
PATIENT = {"every": "60s", "late_after": "60s", "lost_after": "120s"}
"""For canaries whose outcome is not a matter of time."""


class Setup:
    """A settings file in the making; it and all that it refers to lie in *folder*."""

    def __init__(self, testbed: Testbed, folder: Path, **agent: Any) -> None:
        self._testbed = testbed
        self._folder = folder
        self._numbers = itertools.count()
        key = {"id": "k1", "secret": self.secret(KEY)}
        ledger = f"sqlite:///{folder / 'ledger.db'}"
        self._sections: dict[str, dict[str, Any]] = {
            "agent": {"ledger": ledger, "signing_keys": [key], **agent},
            "credentials": {},
            "paths": {},
            "mailboxes": {},
            "checks": {},
        }

    def secret(self, content: str) -> dict[str, str]:
        """Write a secret to a file of its own; return the reference to it."""
        file = self._folder / f"secret-{next(self._numbers)}"
        file.write_text(content)
        return {"file": str(file)}

    def password(self, address: str, password: str = "") -> str:
        """Add a password, the right one unless another is given; return the credential's name."""
        secret = self.secret(password) if password else {"file": str(self._testbed.password_file)}
        return self._credential(kind="password", username=address, password=secret)

    def token(self, address: str, token: str) -> str:
        """Add a bearer token; return the credential's name."""
        return self._credential(kind="token", username=address, token=self.secret(token))

    def path(self, name: str, kind: str, port: int, **more: Any) -> str:
        """Add a path to a server of the testbed; return its name."""
        known = {"host": self._testbed.host, "port": port, "ca_file": str(self._testbed.certificates.ca)}
        if more.get("tls") == "none":
            del known["ca_file"]
        self._sections["paths"][name] = {"kind": kind, **known, "sender": SENDER, **more}
        return name

    def mailbox(self, name: str, address: str, **more: Any) -> str:
        """Add a mailbox, read by password over implicit TLS unless *more* says otherwise; return its name."""
        self._sections["mailboxes"][name] = {
            "kind": "imap",
            "host": self._testbed.host,
            "port": self._testbed.ports.imaps,
            "ca_file": str(self._testbed.certificates.ca),
            "credential": more.pop("credential", None) or self.password(address),
            "address": address,
            "folders": ["INBOX", "Junk"],
            **more,
        }
        return name

    def check(self, name: str, path: str, mailbox: str, **more: Any) -> str:
        """Add a check that is patient unless *more* says otherwise; return its name."""
        self._sections["checks"][name] = {"path": path, "mailbox": mailbox, **PATIENT, **more}
        return name

    def write(self) -> Path:
        """Write the settings file."""
        file = self._folder / "relaycanary.yaml"
        file.write_text(yaml.safe_dump(self._sections))
        return file

    def _credential(self, **fields: Any) -> str:
        name = f"login-{next(self._numbers)}"
        self._sections["credentials"][name] = fields
        return name
