"""Writes the servers' own configuration files into a testbed's directory, from the templates beside this module."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mailservers.certificates import Certificates
from mailservers.endpoints import Ports
from mailservers.errors import TestbedError

PASSWORD = "canary-pass"  # noqa: S105 - the servers answer on loopback only; tests may know it

# No account of this number is needed: Dovecot refuses to open mail as root, and takes any other number.
MAIL_UID = 60000

_TEMPLATES = Path(__file__).parent / "templates"
_FILES = {
    "main.cf": "postfix/main.cf",
    "master.cf": "postfix/master.cf",
    "aliases": "postfix/aliases",
    "transport": "postfix/transport",
    "refusals": "postfix/refusals",
    "refusals_at_end": "postfix/refusals_at_end",
    "owners": "postfix/owners",
    "callers": "postfix/callers",
    "strangers": "postfix/strangers",
    "dovecot.conf": "dovecot/dovecot.conf",
    "oauth2.conf.ext": "dovecot/oauth2.conf.ext",
}
# A unix socket's path may have 107 bytes (unix(7)), and this is the longest of Dovecot's.
_LONGEST_DIRECTORY = 107 - len("/dovecot/run/token-login/imap-urlauth")


def prepare(directory: Path) -> None:
    """Make the folders of a testbed, with the owners that the servers insist on.

    Raises:
        TestbedError: the directory cannot hold a testbed.
    """
    _require_plain_name(directory)
    for folder in ("", "postfix", "spool", "dovecot", "logs", "mail"):
        path = directory / folder
        try:
            if not path.is_dir():
                path.mkdir(parents=True)
                path.chmod(0o755)
        except OSError as error:
            raise TestbedError(f"cannot make a folder of the testbed: {error}") from None
    closed = next((path for path in (directory, *directory.parents) if not path.stat().st_mode & 0o001), None)
    if closed is not None:
        raise TestbedError(f"{closed} must be open to the servers' own users: chmod o+x, or choose another directory")
    os.chown(directory / "mail", MAIL_UID, MAIL_UID)
    (directory / "password").write_text(PASSWORD, encoding="ascii")


def write(directory: Path, ports: Ports, certificates: Certificates) -> None:
    """Write the configuration of Postfix and Dovecot."""
    values = {f"{name.upper()}_PORT": str(port) for name, port in ports.by_name().items()}
    values |= {
        "DIRECTORY": str(directory),
        "PASSWORD": PASSWORD,
        "MAIL_UID": str(MAIL_UID),
        "CLIENT_FINGERPRINT": certificates.client_fingerprint(),
    }
    for template, target in _FILES.items():
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        (directory / target).write_text(_fill_in(text, values), encoding="utf-8")
        # Postfix waits two seconds before it trusts a file that was changed just now.
        os.utime(directory / target, (0, 0))


def _require_plain_name(directory: Path) -> None:
    if len(bytes(directory)) > _LONGEST_DIRECTORY:
        raise TestbedError(f"{directory} is too long a name: unix sockets below it allow {_LONGEST_DIRECTORY} bytes")
    if not re.fullmatch(r"[A-Za-z0-9/._+-]+", str(directory)):
        raise TestbedError(
            f"{directory} must have letters, digits and /._+- only: Postfix splits its settings at others"
        )


def _fill_in(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda word: values[word[1]], text)
