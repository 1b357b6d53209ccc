"""TLS as a server: a certificate that is taken anew when its file changes."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from checks.errors import LocalFault

_log = structlog.get_logger("web")
_Stamp = tuple[tuple[int, int, int], ...]


class ServerTls:
    """TLS 1.2 or later with the certificate and key in these files (PEM).

    Both are looked at when a client connects, and read again if one has changed. What cannot be used then, as while
    only one of them has been replaced, leaves the old certificate in force, and the log says so once.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._stamp: _Stamp = ()
        self._context: ssl.SSLContext | None = None
        self.not_after: datetime | None = None
        """When the certificate in force ends."""

    def context(self) -> ssl.SSLContext:
        """Return what a server listens with.

        Raises:
            LocalFault: a file cannot be used; the message names it and says why.
        """
        self._stamp = self._files_as_they_are()
        self._context = self._load()
        listening = self._load()
        listening.sni_callback = self._take_current  # called for every client, also for one that names no host
        return listening

    def _take_current(self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext) -> None:
        stamp = self._files_as_they_are()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._load()
                _log.info("web.certificate_renewed", file=str(self._files[0]))
            except LocalFault as fault:
                _log.error("web.certificate_not_renewed", why=str(fault))
        if self._context is not None:
            connection.context = self._context

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(certificate, key, password="")  # or OpenSSL asks the terminal for a passphrase
            ends = x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise LocalFault(f"web.tls: {certificate} and {key} cannot be used: {str(why).lower()}") from None
        self.not_after = ends
        return context

    def _files_as_they_are(self) -> _Stamp:
        stamps = []
        for file in self._files:
            try:
                found = file.stat()
            except OSError:
                stamps.append((0, 0, 0))
            else:
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)
