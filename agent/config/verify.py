"""Check that every secret and file that a section refers to can be read now, not only when it is first needed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent import pings
from agent.config.model import Otlp, Ping, SigningKey, Textfile, WebTls
from agent.config.pieces import hash_problem
from agent.config.problems import Key, Problems
from agent.config.secrets import PLACEHOLDER, SecretSource, read_file
from checks.errors import LocalFault
from checks.settings import FileReference, SecretReference, Section

_LARGEST_PEM = 1024 * 1024
_SHORTEST_KEY = 16
_SOON = timedelta(days=30)
_KEY_PAIRS = frozenset({"client_certificate", "certificate"})


@dataclass(frozen=True, slots=True)
class Verifier:
    """Follows the references of one section after the other. `now` decides what has expired."""

    problems: Problems
    now: datetime

    def verify(self, section: Section, key: Key) -> None:
        """Note every reference below *section*, found at *key*, that leads nowhere."""
        for where, name, value in _walk(section, key):
            match value:
                case SecretReference():
                    self._secret(value, name, where)
                case WebTls():
                    self._server_certificate(value, where)
                case FileReference():
                    self._file(value.file, name, where)
                case SigningKey():
                    self._signing_key(value, where)
                case Ping():
                    self._ping(value, where)
                case Textfile():
                    self._folder(value.file, where)
                case Otlp():
                    self._extra(where)
                case Path() if name == "ca_file":
                    self._file(value, name, where)

    def verify_ledger(self, file: Path, key: Key) -> None:
        """Note it if the ledger could not be put at *file*, whose folder the agent makes if need be."""
        lineage = (file.parent, *file.parent.parents)
        there = next((one for one in lineage if os.access(one, os.F_OK)), file.parent)
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            done = "written" if there == file.parent else "made"
            self.problems.warning(key, f"{file.parent} cannot be {done} by this user: the agent's must be able to")

    def _secret(self, reference: SecretReference, name: str, where: Key) -> None:
        source, place = SecretSource(reference), reference.file or reference.env
        try:
            secret = source()
            if secret == PLACEHOLDER:
                self.problems.warning(where, f"{place} does not hold the secret yet")
            if name == "users" and (problem := hash_problem(secret)):
                self.problems.error(where, f"what {place} holds {problem}")
        except LocalFault as fault:
            self.problems.error(where, str(fault))
        if source.readable_by_others():
            self.problems.warning(where, f"{reference.file} can be read by others: chmod 600 it")

    def _server_certificate(self, tls: WebTls, where: Key) -> None:
        from agent.config import certificates  # noqa: PLC0415 - as below

        of_certificate, of_key = (*where, "certificate"), (*where, "key" if tls.key else "certificate")
        try:
            pem = read_file(tls.certificate.file, _LARGEST_PEM)
            key = read_file(tls.key.file, _LARGEST_PEM) if tls.key else None
            self._expiry(certificates.not_after(pem, self.now, key=key), of_certificate)
        except LocalFault as fault:
            self.problems.error(where, str(fault))
        except certificates.UnusableKey as fault:
            self.problems.error(of_key, f"the file {tls.key_file} {fault}")
        except certificates.UnusableCertificate as fault:
            self.problems.error(of_certificate, f"the file {tls.certificate.file} {fault}")
        if SecretSource(SecretReference(file=tls.key_file)).readable_by_others():
            self.problems.warning(of_key, f"{tls.key_file} can be read by others: chmod 600 it")

    def _signing_key(self, key: SigningKey, where: Key) -> None:
        try:
            size = len(SecretSource(key.secret)().encode())
        except LocalFault:
            return  # said where the reference itself is looked at
        if size < _SHORTEST_KEY:
            self.problems.error(
                (*where, "secret"),
                f"is shorter than {_SHORTEST_KEY} bytes: make one with `openssl rand -base64 32`",
            )

    def _ping(self, ping: Ping, where: Key) -> None:
        try:
            pings.address(SecretSource(ping.url)())
        except LocalFault:
            return  # said where the reference itself is looked at
        except ValueError as error:
            self.problems.error((*where, "url"), str(error))

    def _folder(self, file: Path, where: Key) -> None:
        if not file.parent.is_dir():
            words = f"the folder {file.parent} is not there: it is the node exporter's --collector.textfile.directory"
            self.problems.warning((*where, "file"), words)

    def _extra(self, where: Key) -> None:
        try:
            known = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http")
        except ModuleNotFoundError:  # not even what it stands in
            known = None
        if known is None:
            self.problems.error(
                where,
                "takes the extra [otlp] of relaycanary, which is not installed: deploy/requirements/run.lock has it",
            )

    def _file(self, file: Path, name: str, where: Key) -> None:
        # heavy, and needed only by those who name a certificate
        from agent.config import certificates  # noqa: PLC0415

        try:
            pem = read_file(file, _LARGEST_PEM)
            if name == "ca_file":
                certificates.check_authorities(pem, self.now)
            elif name in _KEY_PAIRS:
                self._expiry(certificates.not_after(pem, self.now), where)
        except LocalFault as fault:
            self.problems.error(where, str(fault))
        except certificates.UnusableCertificate as fault:
            self.problems.error(where, f"the file {file} {fault}")

    def _expiry(self, until: datetime, where: Key) -> None:
        if until - self.now < _SOON:
            self.problems.warning(where, f"the certificate expires on {until:%Y-%m-%d}: renew it before then")


def _walk(value: Any, key: Key, name: str = "") -> Iterator[tuple[Key, str, Any]]:
    """Yield *value* and everything in it, each with its key and the name of its field."""
    yield key, name, value
    if isinstance(value, SecretReference | FileReference | WebTls):
        return
    if isinstance(value, BaseModel):
        for field, inner in value:
            yield from _walk(inner, (*key, field), field)
    elif isinstance(value, dict):
        for field, inner in value.items():
            yield from _walk(inner, (*key, str(field)), name)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _walk(inner, (*key, place), name)
