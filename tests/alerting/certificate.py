"""A client certificate of the lab's authority that ends when a test wants it to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


def write_client_certificate(lab: Path, file: Path, *, seconds: float) -> None:
    """Write key and certificate into *file*, valid for so many seconds from now; all else is as in the lab's own."""
    authority = trustme.CA.from_pem((lab / "ca.pem").read_bytes(), (lab / "ca.key").read_bytes())
    now = datetime.now(UTC)
    made = authority.issue_cert(
        "contoso.example", not_before=now - timedelta(hours=1), not_after=now + timedelta(seconds=seconds)
    )
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(made.private_key_and_cert_chain_pem.bytes())
    new.replace(file)  # in one step: nobody reads half a key
