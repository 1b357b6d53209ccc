"""Passwords held against their bcrypt hashes, at a price that a scrape every few seconds can pay."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping

import bcrypt

_MOST_REMEMBERED = 100
_LONGEST = 72  # bytes that bcrypt looks at; the library refuses more
_NOBODY = "$2b$10$LNlGMEz5wfVessivQZAJYO1tK0rpiICCPdmwTJ4RGiSBnrraBzNOq"  # of a password that nobody knows


class Passwords:
    """Who may log in: `users` reads the hash of each anew for each login.

    A hash takes a tenth of a second of computing on purpose, so what came of a password is remembered, by a keyed
    digest that is worth nothing outside this process. One is computed at a time: whoever tries many of them gets no
    more of the machine that measures mail. A name that nobody has costs the same as a wrong password.
    """

    def __init__(self, users: Mapping[str, Callable[[], str]]) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, bool] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def remembered(self, name: str, password: bytes) -> bool | None:
        """Tell what came of this login before; None if it was never tried with this hash.

        Raises:
            checks.errors.LocalFault: the hash cannot be read.
        """
        return self._recall(self._digest(name, await self._hash(name), password))

    async def right(self, name: str, password: bytes) -> bool:
        """Tell whether a user has this name and password.

        Raises:
            checks.errors.LocalFault: the hash cannot be read.
        """
        hashed = await self._hash(name)
        digest = self._digest(name, hashed, password)
        async with self._one_at_a_time:  # those who wait for the same find it remembered
            if (known := self._recall(digest)) is None:
                known = await asyncio.to_thread(_fits, password, hashed) and name in self._users
                self._known[digest] = known
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return known

    def _recall(self, digest: bytes) -> bool | None:
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
        return known

    async def _hash(self, name: str) -> str:
        read = self._users.get(name)
        # read in a thread for a name that nobody has, too: the time must not tell
        others = next(iter(self._users.values()))
        found = await asyncio.to_thread(read or others)
        return found if read is not None else found[:7] + _NOBODY[7:]

    def _digest(self, name: str, hashed: str, password: bytes) -> bytes:
        parts = (name.encode(), hashed.encode(), password)
        known = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            known.update(len(part).to_bytes(8, "big") + part)
        return known.digest()


def _fits(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_LONGEST], hashed.encode()) and len(password) <= _LONGEST
    except ValueError:  # what is in the file is no hash any more
        return False
