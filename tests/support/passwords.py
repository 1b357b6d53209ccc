"""Passwords of readers, and the hashes by which the agent knows them."""

from __future__ import annotations

from functools import cache

import bcrypt


@cache
def a_hash(password: str = "correct horse", cost: int = 10) -> str:  # noqa: S107 - of nobody
    """Make a bcrypt hash, at the lowest cost that the settings take."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()
