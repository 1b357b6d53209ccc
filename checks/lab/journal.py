"""A small durable mapping: what `commit` has returned for is on disk and is there again after a crash.

One append-only file of transactions, each with its length and checksum, so that a tail torn by a crash is recognised
and cut off. Transactions that wait for the disk at the same time share one write and one fsync. When most of the file
is history it is rewritten. A database would do as well; this is the part of one that the lab needs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
_FRAME = struct.Struct(">III")  # length of the head, length of the bodies, CRC-32 of both
_REWRITE_ABOVE = 32 * 1024 * 1024  # bytes of file


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept under a key: `facts` is anything JSON can hold."""

    facts: dict[str, Any]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Change:
    put: Mapping[str, Entry]
    delete: frozenset[str]

    def frame(self) -> bytes:
        puts = [[key, entry.facts, len(entry.body)] for key, entry in self.put.items()]
        head = json.dumps({"put": puts, "delete": sorted(self.delete)}, separators=(",", ":")).encode()
        bodies = b"".join(entry.body for entry in self.put.values())
        return _FRAME.pack(len(head), len(bodies), zlib.crc32(bodies, zlib.crc32(head))) + head + bodies


class Journal:
    """The mapping. Open it with `Journal(path)`, and close it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._live: dict[str, Entry] = {}
        self._waiting: list[tuple[_Change, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._rewrite_above = _REWRITE_ABOVE
        self._replay()
        self._rewrite()

    def items(self) -> Iterable[tuple[str, Entry]]:
        """Return all that is kept, oldest first."""
        return self._live.items()

    async def commit(self, put: Mapping[str, Entry] | None = None, delete: Iterable[str] = ()) -> None:
        """Change the mapping, all or nothing; durable on return.

        Raises:
            OSError: the disk did not take it; nothing has changed.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_Change(put or {}, frozenset(delete)), written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await written

    async def close(self) -> None:
        """Wait for the writes under way, and close the file."""
        if self._writer is not None:
            await self._writer
        os.close(self._file)

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._write, b"".join(change.frame() for change, _ in batch))
            except OSError as error:
                for _, written in batch:
                    if not written.done():
                        written.set_exception(error)
                continue
            for change, written in batch:
                self._apply(change)
                if not written.done():
                    written.set_result(None)
            if self._size > self._rewrite_above:
                await asyncio.to_thread(self._rewrite)

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            # Half a transaction in the middle would hide all that follow it at the next start.
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(data)

    def _apply(self, change: _Change) -> None:
        self._live.update(change.put)
        for key in change.delete:
            self._live.pop(key, None)

    def _replay(self) -> None:
        with self._path.open("rb") as file:
            for change, end in _changes(file.read()):
                self._apply(change)
                self._size = end
        os.ftruncate(self._file, self._size)
        os.lseek(self._file, self._size, os.SEEK_SET)

    def _rewrite(self) -> None:
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        size = 0
        try:
            for key, entry in self._live.items():
                frame = _Change({key: entry}, frozenset()).frame()
                _write_all(file, frame)
                size += len(frame)
            os.fsync(file)
            fresh.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as error:
            # The old file is whole: go on with it, and do not try again at every message.
            _log.warning("the mail journal could not be rewritten: %s", error)
            os.close(file)
            fresh.unlink(missing_ok=True)
            self._rewrite_above = self._size + _REWRITE_ABOVE
            return
        os.close(self._file)
        self._file, self._size = file, size
        self._rewrite_above = max(_REWRITE_ABOVE, 2 * size)


def _changes(data: bytes) -> Iterator[tuple[_Change, int]]:
    """Read transactions, each with the offset of its end, up to the first that is torn."""
    at = 0
    while at + _FRAME.size <= len(data):
        head_size, bodies_size, checksum = _FRAME.unpack_from(data, at)
        start = at + _FRAME.size
        at = start + head_size + bodies_size
        if at > len(data) or zlib.crc32(memoryview(data)[start:at]) != checksum:
            return
        head = json.loads(data[start : start + head_size])
        put, body_at = {}, start + head_size
        for key, facts, size in head["put"]:
            put[key] = Entry(facts, data[body_at : body_at + size])
            body_at += size
        yield _Change(put, frozenset(head["delete"])), at


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
