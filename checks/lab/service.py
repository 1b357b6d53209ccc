"""The lab as a whole: what is opened in which order, and closed again."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from checks.lab.certificates import load_certificates
from checks.lab.control import ControlServer
from checks.lab.endpoints import Endpoint
from checks.lab.entra import Directory, TokenAuthority, identity_platform, load_app_keys
from checks.lab.errors import LabError
from checks.lab.faults import ENTRA, FaultBoard
from checks.lab.graph import Gate, microsoft_graph
from checks.lab.https import WebEndpoint
from checks.lab.imap import Mailbox
from checks.lab.imap_folders import DurableFolders
from checks.lab.logins import Logins
from checks.lab.post import PostOffice
from checks.lab.settings import has_connector_address, load_secrets, write_settings
from checks.lab.store import MailStore
from checks.lab.tenant import ACCOUNTS, SMTP_PATHS, PathName

DEFAULT_PORTS: Mapping[str, int] = {
    "relay": 9831,
    "direct": 9832,
    "submission": 9833,
    "inbox": 9834,
    "noreply": 9835,
    "outside": 9836,
    "entra": 9837,
    "graph": 9838,
}
"""One block, always the same, so that settings and dashboards stay valid from one start to the next."""
FREE_PORTS: Mapping[str, int] = dict.fromkeys(DEFAULT_PORTS, 0)
"""Any ports that are free, for tests."""


@dataclass(frozen=True, slots=True)
class LabInfo:
    """Where a running lab is."""

    directory: Path
    settings: Path
    """The agent's settings file."""
    ports: Mapping[str, int]
    """By name of path or mailbox."""
    ca_file: Path
    client_certificate: Path


async def serve(
    directory: Path,
    *,
    on_ready: Callable[[LabInfo], None] | None = None,
    ports: Mapping[str, int] = DEFAULT_PORTS,
    transit: float = 0.3,
    messages_per_minute: int = 30,
) -> None:
    """Run the lab until cancelled. All state is below *directory*, and mail in it outlives the lab.

    Args:
        directory: made when missing; everything in it is private.
        on_ready: called once all ports are open and the settings are written.
        ports: by name of path or mailbox, where it is not to be the default one; 0 takes any that is free.
        transit: seconds from the reply to the final dot to the mailbox.
        messages_per_minute: submission rate of a mailbox; what is more than that waits.

    Raises:
        LabError: another lab runs on the directory, the directory cannot be used, or a port is taken.
    """
    with _owned(directory) as home:
        async with AsyncExitStack() as stack:
            info = await _start(stack, home, {**DEFAULT_PORTS, **ports}, transit, messages_per_minute)
            if on_ready is not None:
                on_ready(info)
            await asyncio.Event().wait()


async def _start(
    stack: AsyncExitStack, home: Path, ports: Mapping[str, int], transit: float, messages_per_minute: int
) -> LabInfo:
    faults = FaultBoard()
    certificates = load_certificates(home)
    accounts = load_secrets(home)
    store = MailStore(home / "mail.journal", datetime.now(UTC))
    stack.push_async_callback(store.close)
    await store.save_folders()
    trees = {account: DurableFolders(store, account.mailbox) for account in ACCOUNTS}
    folders = {place: folder for tree in trees.values() for place, folder in tree.by_place.items()}

    office = PostOffice(store, folders, faults, transit=transit, messages_per_minute=messages_per_minute)
    stack.push_async_callback(_cancelled, asyncio.create_task(office.run()))

    directory = Directory(load_app_keys(home, certificates.app_file), faults)
    authority = TokenAuthority(home / "entra.key", directory)
    logins = Logins(accounts, directory, authority)
    entra = identity_platform(directory, authority)
    graph = microsoft_graph(Gate(directory, authority, faults, trees), store, office, faults)

    parts: list[Endpoint | Mailbox | WebEndpoint] = [
        *(Endpoint(path, ports[path], certificates, faults, office, logins) for path in SMTP_PATHS),
        WebEndpoint(ENTRA, ports[ENTRA], entra, certificates.valid, closed=lambda: faults.is_on(ENTRA, "entra_down")),
        WebEndpoint(
            PathName.GRAPH.value,
            ports[PathName.GRAPH],
            graph,
            certificates.valid,
            closed=lambda: faults.is_on(PathName.GRAPH, "graph_down"),
        ),
    ]
    for account, tree in trees.items():
        port = ports[account.mailbox]
        parts.append(Mailbox(account, tree, faults, port=port, tls=certificates.valid, logins=logins))
    for part in parts:
        stack.push_async_callback(part.close)

    async def apply_faults() -> None:
        for part in parts:
            await part.apply_faults()

    await apply_faults()
    opened = {part.listener.name: part.listener.port for part in parts}
    control = ControlServer(home, faults, apply=apply_faults, status=partial(_status, store, opened))
    stack.push_async_callback(control.stop)
    await control.start()
    settings = write_settings(home, opened, certificates, by_address=has_connector_address())
    return LabInfo(home, settings, opened, certificates.ca_file, certificates.client_file)


def _status(store: MailStore, ports: Mapping[str, int]) -> dict[str, Any]:
    mails: dict[str, dict[str, int]] = {}
    for place, state in store.folders.items():
        mails.setdefault(place.mailbox, {})[place.folder] = len(state.mails)
    return {"ports": ports, "on_the_way": len(store.on_the_way), "mails": mails}


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@contextmanager
def _owned(directory: Path) -> Iterator[Path]:
    """Own the directory while the lab runs; the lock goes with the process, however it ends."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / "lab.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(f"the lab cannot use {directory}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError(f"another lab runs in {directory}: stop it, or use another directory") from None
    else:
        yield directory.resolve()
    finally:
        os.close(lock)
