"""Secrets, read from where the settings say they are kept, at the moment they are needed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent.config import environment
from checks.errors import LocalFault
from checks.settings import SecretReference

PLACEHOLDER = "replace-this-line-by-the-secret"
"""What `relaycanary init` puts where a secret belongs, until somebody fills it in."""

_LARGEST = 64 * 1024
_CREDENTIALS = Path("/run/credentials")
_OF_SYSTEMD = "; systemd has it there while the service runs, for the service's user alone"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Reads one secret each time it is called, so that it can be renewed without a restart.

    It holds the reference only: neither it, nor its repr, nor the errors it raises know the secret.
    """

    reference: SecretReference

    def __call__(self) -> str:
        """Return the secret, without the newline that editors put at the end of a file.

        Raises:
            LocalFault: the file or the variable is missing, empty or not text.
        """
        if self.reference.file is not None:
            place, secret = f"the secret file {self.reference.file}", self._from_file(self.reference.file)
        else:
            place, secret = f"the environment variable {self.reference.env}", self._from_environment()
        if not secret:
            raise LocalFault(f"{place} is empty")
        return secret

    def readable_by_others(self) -> bool:
        """Tell whether more people than need be may read the file that the secret is kept in.

        The group may where the file is not ours: systemd's credentials and Kubernetes' secrets belong to root, and the
        group's right (or the access list that shows as one) is what we read them by.
        """
        if self.reference.file is None or not hasattr(os, "geteuid"):
            return False  # on Windows nothing is known: rights are not in the mode, which shows everybody's there
        try:
            status = self.reference.file.stat()
        except OSError:
            return False
        ours = status.st_uid == os.geteuid()
        return bool(status.st_mode & (stat.S_IROTH | (stat.S_IRGRP if ours else 0)))

    def _from_environment(self) -> str:
        name = self.reference.env or ""
        if not environment.is_name(name):
            raise LocalFault("env must be the name of an environment variable: letters, digits and '_'")
        value = environment.variable(name)
        if value is None:
            raise LocalFault(f"the environment variable {name} is not set")
        return value

    @staticmethod
    def _from_file(file: Path) -> str:
        try:
            text = read_file(file, _LARGEST).decode()
        except UnicodeDecodeError:
            raise LocalFault(f"the secret file {file} is not UTF-8 text") from None
        return text.removesuffix("\n").removesuffix("\r")


def known_secrets(value: Any) -> Iterator[str]:
    """Yield every secret that settings refer to, wherever in *value*, as it is now; none that cannot be read."""
    if isinstance(value, SecretReference):
        with contextlib.suppress(LocalFault):
            yield SecretSource(value)()
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from known_secrets(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from known_secrets(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from known_secrets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from known_secrets(inner)


def read_file(file: Path, largest: int) -> bytes:
    """Read a small file that the settings name.

    Raises:
        LocalFault: it cannot be read, is larger than *largest* bytes, or the name is no name but the content itself.
    """
    if "\n" in str(file) or "-----BEGIN" in str(file):
        # what was pasted here may be a private key: not a word of it goes into the message
        raise LocalFault("file must be the name of a file, not what belongs into it")
    try:
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, ValueError) as error:
        why = f"{getattr(error, 'strerror', None) or error}{_OF_SYSTEMD if _CREDENTIALS in file.parents else ''}"
        raise LocalFault(f"the file {file} cannot be read: {why}") from None
    if len(content) > largest:
        raise LocalFault(f"the file {file} is larger than {largest // 1024} kB")
    return content
