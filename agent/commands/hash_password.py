"""``relaycanary hash-password``: the bcrypt hash by which a reader of the pages is known."""

from __future__ import annotations

import getpass
import sys

import bcrypt

COST = 10  # a tenth of a second a guess; the agent remembers what is right
_LONGEST = 72  # bytes that bcrypt looks at
_SHORTEST = 12


def hash_password() -> int:
    """Read a password, from the terminal twice or else one line from standard input, and print its hash.

    Returns:
        The exit code: 0, or 1 if the password cannot be taken.
    """
    password = _read()
    if problem := _problem(password):
        print(f"relaycanary: {problem}", file=sys.stderr)
        return 1
    print(bcrypt.hashpw((password or "").encode(), bcrypt.gensalt(COST)).decode())
    return 0


def _read() -> str | None:
    """Return the password; None if it was typed in two ways."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    first = getpass.getpass("Password: ")
    return first if getpass.getpass("The same again: ") == first else None


def _problem(password: str | None) -> str:
    if password is None:
        return "the two are not the same"
    if len(password) < _SHORTEST:
        return f"the password has fewer than {_SHORTEST} characters: let `openssl rand -hex 24` make one"
    if len(password.encode()) > _LONGEST:
        return f"the password has more than {_LONGEST} bytes, and bcrypt looks at no more than that"
    return ""
