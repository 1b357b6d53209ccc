"""Makers of values with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from checks.core import token
from checks.core.model import (
    Accepted,
    Attempt,
    Canary,
    Cause,
    Check,
    Expectations,
    Facts,
    Findings,
    Limits,
    MessageRef,
    Refused,
    Reply,
    Sighting,
    Stage,
    TlsFacts,
    Transcript,
    Watching,
)

T0 = 1_700_000_000.0
_numbers = itertools.count(1)


def canary_id(number: int | None = None) -> str:
    return token.canary_id((next(_numbers) if number is None else number).to_bytes(10, "big"))


def a_check(name: str = "relay", **changes: Any) -> Check:
    known: dict[str, Any] = {
        "path": name,
        "method": "relay",
        "mailbox": "inbox",
        "sender": "canary@contoso.example",
        "recipient": "canary@outside.example",
        "limits": Limits(every=60, late_after=60, lost_after=600),
    }
    return Check(name=name, **{**known, **changes})


def a_canary(check: Check | None = None, *, at: float = T0, id: str | None = None) -> Canary:  # noqa: A002
    return Canary(
        id=id or canary_id(),
        check=check or a_check(),
        slot=0,
        started_at=at,
        started=datetime.fromtimestamp(at, UTC).replace(microsecond=0),
    )


def a_transcript(at: float = T0, seconds: float = 1.0, *, tls: str | None = None, connected: bool = True) -> Transcript:
    facts = TlsFacts(version=tls, cipher="TLS_AES_256_GCM_SHA384", chain=()) if tls else None
    return Transcript(
        began_at=at, ended_at=at + seconds, endpoint="mx.contoso.example:25", tls=facts, connected=connected
    )


def accepted(at: float = T0, seconds: float = 1.0, *, tls: str | None = None) -> Accepted:
    reply = Reply(code=250, enhanced="2.6.0", text="Queued mail for delivery")
    return Accepted(reply=reply, transcript=a_transcript(at, seconds, tls=tls))


def refused(
    stage: Stage,
    code: int | None = None,
    enhanced: str | None = None,
    *,
    cause: Cause = Cause.REPLY,
    at: float = T0,
    **more: Any,
) -> Refused:
    reply = None if code is None else Reply(code=code, enhanced=enhanced, text="said the server")
    return Refused(stage=stage, cause=cause, reply=reply, transcript=a_transcript(at), **more)


def a_sighting(
    canary: Canary, seen_at: float, *, after_at: float | None = None, folder: str = "INBOX", **more: Any
) -> Sighting:
    known: dict[str, Any] = {"junk": folder == "Junk Email", "findings": Findings()}
    ref = MessageRef(folder=folder, validity="1", uid=str(next(_numbers)))
    return Sighting(canary=canary.id, ref=ref, seen_at=seen_at, after_at=after_at, **{**known, **more})


def facts(attempt: Attempt | None = None, **changes: Any) -> Facts:
    canary = changes.pop("canary", None) or a_canary(changes.pop("check", None))
    looked = changes.pop("looked_at", None)
    known: dict[str, Any] = {
        "abandoned": False,
        "online": True,
        "sightings": (),
        "bounces": (),
        "watching": Watching(looked_at={"INBOX": looked, "Junk Email": looked}, blind=changes.pop("blind", ())),
    }
    return Facts(canary=canary, attempt=attempt, **{**known, **changes})


def expecting(**changes: Any) -> Expectations:
    return Expectations(**changes)
