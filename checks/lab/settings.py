"""What the lab writes for its users: the agent's settings file, and the secrets it refers to."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from checks.lab.certificates import Certificates, kept_secret, write_private
from checks.lab.listener import HOST
from checks.lab.tenant import ACCOUNTS, CLIENT_ID, CONNECTOR_ADDRESS, INBOX, JUNK, TENANT_DOMAIN, Account, Secrets

SETTINGS_FILE = "relaycanary.yaml"
_APP = "app"
_BY_GRAPH = "noreply"
"""The mailbox that is read over Graph; the others over IMAP."""
_CHECKS = (("relay", "outside"), ("submission", "inbox"), ("direct", "inbox"), ("graph", "noreply"))
_HEAD = "# Written by the lab at each start: the simulated tenant contoso.example. Changes are lost.\n"


def load_secrets(directory: Path) -> dict[str, Secrets]:
    """Return the password of each mailbox; made once, then kept."""
    return {account.mailbox: Secrets(kept_secret(directory / f"password-{account.mailbox}")) for account in ACCOUNTS}


def has_connector_address() -> bool:
    """Tell whether this machine can send from the connector's address; macOS has only 127.0.0.1."""
    with socket.socket() as probe:
        try:
            probe.bind((CONNECTOR_ADDRESS, 0))
        except OSError:
            return False
    return True


def write_settings(directory: Path, ports: Mapping[str, int], certificates: Certificates, *, by_address: bool) -> Path:
    """Write settings with which the agent finds the lab.

    Args:
        directory: where to, and where the secrets are.
        ports: by name of path or mailbox.
        certificates: for the authority and the client certificate.
        by_address: the relay path proves itself by its source address, otherwise by its client certificate.
    """
    key = directory / "k1"
    kept_secret(key)
    settings = {
        "agent": {
            "site": "lab",
            "ledger": f"sqlite:///{directory / 'ledger.db'}",
            "signing_keys": [{"id": "k1", "secret": {"file": str(key)}}],
        },
        "web": {"listen": f"{HOST}:9825"},
        "credentials": _credentials(directory, ports, certificates),
        "paths": _paths(ports, certificates, by_address=by_address),
        "mailboxes": {account.mailbox: _mailbox(account, ports, certificates) for account in ACCOUNTS},
        "checks": {
            path: {"path": path, "mailbox": mailbox, "every": "10s", "late_after": "5s", "lost_after": "30s"}
            for path, mailbox in _CHECKS
        },
    }
    file = directory / SETTINGS_FILE
    write_private(file, (_HEAD + yaml.safe_dump(settings, sort_keys=False, width=110)).encode())
    return file


def _credentials(directory: Path, ports: Mapping[str, int], certificates: Certificates) -> dict[str, Any]:
    """The app for the tenant, where passwords are on their way out; a password for the other provider."""
    passwords = {
        account.mailbox: {
            "kind": "password",
            "username": account.address,
            "password": {"file": str(directory / f"password-{account.mailbox}")},
        }
        for account in ACCOUNTS
        if not account.hosted
    }
    app = {
        "kind": "entra",
        "tenant": TENANT_DOMAIN,
        "client_id": CLIENT_ID,
        "client_secret": {"file": str(directory / "client-secret")},
        "authority": f"https://{HOST}:{ports['entra']}",
        "graph_url": f"https://{HOST}:{ports['graph']}",
        "ca_file": str(certificates.ca_file),
    }
    return {_APP: app, **passwords}


def _mailbox(account: Account, ports: Mapping[str, int], certificates: Certificates) -> dict[str, Any]:
    known = {"credential": _APP if account.hosted else account.mailbox, "address": account.address}
    if account.mailbox == _BY_GRAPH:
        # Sent Items too: client submission leaves its copies there
        return {"kind": "graph", **known, "folders": ["inbox", "junkemail", "sentitems"]}
    server = {"host": HOST, "port": ports[account.mailbox], "ca_file": str(certificates.ca_file)}
    return {"kind": "imap", **server, **known, "folders": [INBOX, JUNK]}


def _paths(ports: Mapping[str, int], certificates: Certificates, *, by_address: bool) -> dict[str, Any]:
    proof = (
        {"source_address": CONNECTOR_ADDRESS}
        if by_address
        else {"client_certificate": {"file": str(certificates.client_file)}}
    )
    common = {"host": HOST, "tls": "required", "ca_file": str(certificates.ca_file)}
    canary = f"canary@{TENANT_DOMAIN}"
    return {
        "relay": {"kind": "relay", **common, "port": ports["relay"], "sender": canary, **proof},
        "submission": {
            "kind": "submission",
            **common,
            "port": ports["submission"],
            "credential": _APP,
            "sender": f"noreply@{TENANT_DOMAIN}",
            "bounces": _BY_GRAPH,
            "sent_items": _BY_GRAPH,
        },
        "direct": {"kind": "direct_send", **common, "port": ports["direct"], "sender": canary},
        "graph": {"kind": "graph_send", "credential": _APP, "sender": canary},
    }
