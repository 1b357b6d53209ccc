"""Ground truth: when did Postfix take a message, and when did Dovecot put it into the mailbox?

Read from disk, not by IMAP. Names of files follow Maildir (https://cr.yp.to/proto/maildir.html), folders Maildir++;
queue ids are Postfix's long ones.
"""

import re
import time
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from mailservers.errors import TestbedError

# Postfix's digits, which spell no words: src/global/mail_queue.h and src/util/safe_ultostr.c.
_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"  # pragma: allowlist secret
_QUEUE_ID = re.compile(rf"[{_DIGITS}]{{10,}}z[{_DIGITS}]+")
_RECEIVED = re.compile(rf"\(Postfix\).*\bid ({_QUEUE_ID.pattern})\b", re.DOTALL)
_MICROSECOND_DIGITS = 4
_FILE_NAME = re.compile(r"(\d+)\.M(\d+)P")
_LOOK_SECONDS = 0.002


@dataclass(frozen=True)
class Arrival:
    """One message in a mailbox. Times are seconds since the epoch.

    Attributes:
        path: the file. A mail client that opens the folder moves it from `new` to `cur`.
        headers: of the message as delivered.
        queued: when Postfix took the first recipient (RCPT), or None when it did not come through Postfix.
        delivered: when Dovecot began to write it; it is visible a few milliseconds later.
    """

    path: Path
    headers: Message
    queued: float | None
    delivered: float


def arrivals(maildir: Path, folder: str = "INBOX") -> list[Arrival]:
    """The messages of a folder in the order of delivery; [] where there is no such folder."""
    while True:
        try:
            found = [_read(path) for path in _files(maildir, folder)]
        except FileNotFoundError:  # a client has moved or deleted one since: look again
            continue
        return sorted(found, key=lambda arrival: arrival.delivered)


def wait_for_arrivals(maildir: Path, folder: str = "INBOX", *, count: int = 1, timeout: float = 10.0) -> list[Arrival]:
    """The messages of a folder, once there are at least `count`; looks every 2 ms.

    Raises:
        TestbedError: there were fewer after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while (present := len(_files(maildir, folder))) < count:
        if time.monotonic() > deadline:
            raise TestbedError(f"{present} of {count} messages are in {folder} of {maildir} after {timeout} s")
        time.sleep(_LOOK_SECONDS)
    return arrivals(maildir, folder)


def wait_for_log(log: Path, text: str, *, timeout: float = 10.0) -> str:
    """The first line of a server's log with `text` in it, once it is there; looks every 2 ms.

    Raises:
        TestbedError: it was not there after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        found = next((line for line in lines if text in line), None)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TestbedError(f"{log} has no line with {text!r} after {timeout} s")
        time.sleep(_LOOK_SECONDS)


def queue_time(queue_id: str) -> float:
    """When Postfix made a long queue id, in seconds since the epoch, to the microsecond.

    Raises:
        ValueError: it is no long queue id.
    """
    if not _QUEUE_ID.fullmatch(queue_id):
        raise ValueError(f"not a long queue id: {queue_id!r}")
    moment = queue_id.rpartition("z")[0]
    seconds, microseconds = moment[:-_MICROSECOND_DIGITS], moment[-_MICROSECOND_DIGITS:]
    return _number(seconds) + _number(microseconds) / 1e6


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * len(_DIGITS) + _DIGITS.index(digit)
    return value


def _files(maildir: Path, folder: str) -> list[Path]:
    root = maildir if folder.upper() == "INBOX" else maildir / f".{folder}"
    found: dict[str, Path] = {}
    for place in ("new", "cur"):
        if (root / place).is_dir():
            # What is left of the colon stays when a client sets flags, or moves the file while we look.
            found |= {path.name.partition(":")[0]: path for path in (root / place).iterdir()}
    return [path for name, path in found.items() if _FILE_NAME.match(name)]


def _read(path: Path) -> Arrival:
    name = _FILE_NAME.match(path.name)
    if name is None:
        raise ValueError(f"not a name in a Maildir: {path.name!r}")
    with path.open("rb") as file:
        headers = BytesHeaderParser().parse(file)
    hops = (_RECEIVED.search(received) for received in headers.get_all("Received", []))
    queued = next((queue_time(hop[1]) for hop in hops if hop), None)
    return Arrival(path, headers, queued, int(name[1]) + int(name[2]) / 1e6)
