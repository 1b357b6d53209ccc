"""One agent at a time on a SQLite ledger: a lock that ends with the process, however it ends.

It is taken on a file beside the ledger, since SQLite's own locks come and go with each transaction, and the ledger's
file is renamed when it is restored or set aside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agent.ledger.connect import make_folder, make_private, sqlite_file
from agent.ledger.errors import LedgerError, LedgerInUse

_EXPLAINED = "is the process that works with the ledger. Leave this file alone: whoever deletes it ends that process."
_FAR_OFF = 1 << 30  # Windows lets nobody read what is locked: the byte lies behind all that is written


class Hold:
    """What keeps others from a ledger: good as long as the lock file is the one that was locked."""

    def __init__(self, lock: Path | None, handle: IO[str] | None) -> None:
        self._lock = lock
        self._handle = handle

    def check(self) -> None:
        """Make sure that no other process can have been let in.

        Raises:
            LedgerInUse: the lock file was deleted or replaced, so that another agent may be at work.
            LedgerError: the disk does not tell.
        """
        if self._lock is None or self._handle is None:
            return
        try:
            held = _lies_at(self._handle, self._lock)
        except OSError as error:
            raise LedgerError(f"cannot see the lock of the ledger: {self._lock}: {error.strerror}") from None
        if not held:
            raise LedgerInUse(
                f"the lock of the ledger is gone: {self._lock} was deleted or replaced while the agent ran; "
                "another agent may work with the ledger now, so nothing more is written: "
                "see that none does, and start this one again"
            )


@contextmanager
def exclusively(url: str) -> Iterator[Hold]:
    """Hold a SQLite ledger for this process alone; the operating system lets go when the process ends, however.

    The lock file goes at the end, so that none lies about that looks forgotten.

    Raises:
        LedgerInUse: another process holds it.
        LedgerError: the lock file cannot be made.
    """
    path = sqlite_file(url)
    if path is None:
        yield Hold(None, None)
        return
    make_folder(path)
    real = path.resolve()  # a link is another name of the same ledger
    lock = real.with_name(real.name + ".lock")
    try:
        handle = _locked(path, lock)
    except OSError as error:
        raise LedgerError(f"cannot lock the ledger: {lock}: {error.strerror}") from None
    with handle:
        handle.truncate(0)
        handle.write(f"{os.getpid()} {_EXPLAINED}\n")
        handle.flush()
        try:
            yield Hold(lock, handle)
        finally:
            with suppress(OSError):  # Windows keeps what is open; a folder may not be ours
                if _lies_at(handle, lock):
                    lock.unlink()


def _locked(path: Path, lock: Path) -> IO[str]:
    """Open and lock *lock*, until it is the file that lies there: its last holder may just have taken it away."""
    while True:
        make_private(lock)
        handle = lock.open("a+")
        try:
            _take(handle)
        except OSError:
            handle.seek(0)
            holder = handle.readline().partition(" ")[0].strip() or "unknown"
            handle.close()
            message = f"the ledger {path} is in use by another agent (process {holder}); stop it first"
            raise LedgerInUse(message) from None
        if _lies_at(handle, lock):
            return handle
        handle.close()


def _lies_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(handle: IO[str]) -> None:
    """Take the lock without waiting, by whatever the system has."""
    try:
        import fcntl  # noqa: PLC0415 - does not exist on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415 - exists only on Windows

        os.lseek(handle.fileno(), _FAR_OFF, os.SEEK_SET)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
