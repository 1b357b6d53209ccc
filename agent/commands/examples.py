"""What ``--help`` of each verb shows as examples: commands that can be pasted, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import typer

SHORT: Mapping[str, str] = MappingProxyType(
    {
        "run": "Run the agent; --lab with a simulated tenant.",
        "init": "Ask a few questions, and write settings.",
        "check-config": "Say what is wrong with the settings.",
        "hash-password": "Make the hash of a reader's password.",
        "config-schema": "Print the JSON Schema of the settings.",
        "doctor": "Find what will break before it does.",
        "probe": "Send one canary now, and watch it.",
        "status": "Say how every check stands.",
        "rules": "Print the Prometheus rules.",
        "report": "Say how the mail did in a week.",
        "explain": "Say what a reply or a bounce means.",
        "alerts": "Prove that alerts reach somebody.",
        "alerts test": "Send a test page by every channel.",
        "ledger": "Look after the durable record.",
        "ledger upgrade": "Bring the tables up to date.",
        "ledger verify": "Hold the books against the rows.",
        "ledger backup": "Copy the ledger while the agent runs.",
        "ledger restore": "Make a backup the ledger again.",
        "ledger prune": "Let go of old canaries now.",
        "ledger export": "Print every canary on record.",
        "lab": "Run the simulated tenant, break it, heal it.",
        "lab break": "Break one path or mailbox of the lab.",
        "lab heal": "Make the lab whole again.",
    }
)
"""What a list of verbs says of each, in one line of a narrow terminal."""

EXAMPLES: Mapping[str, Sequence[tuple[str, str]]] = MappingProxyType(
    {
        "run": (
            ("relaycanary run -c /etc/relaycanary/relaycanary.yaml", "the agent on a real tenant"),
            ("relaycanary run --lab", "with a simulated tenant; nothing else is needed"),
            ("kill -HUP $(pidof relaycanary)", "it reads the settings again; a mistake changes nothing"),
        ),
        "init": (
            ("relaycanary init", "asks, in a terminal"),
            (
                (
                    "relaycanary init -o contoso.yaml --domain contoso.com --recipients outside \\\n"
                    "      --licensed-mailbox --no-static-ip --no-certificate --port-25-open \\\n"
                    "      --sender scanner@contoso.com --read imap \\\n"
                    "      --mailbox canary@outside.example --imap-host imap.outside.example"
                ),
                "asks nothing",
            ),
        ),
        "check-config": (
            ("relaycanary check-config -c relaycanary.yaml", "what is wrong, and what is dubious"),
            ("relaycanary check-config --print", "what the settings amount to, defaults included"),
            ("relaycanary check-config --json | jq .problems", "for a pipeline"),
        ),
        "hash-password": (
            ("relaycanary hash-password > web-prometheus", "asks for the password"),
            ("openssl rand -hex 24 | tee web-password | relaycanary hash-password > web-prometheus", "a random one"),
        ),
        "config-schema": (("relaycanary config-schema > relaycanary.schema.json", "renew it after an upgrade"),),
        "doctor": (
            ("relaycanary doctor -c relaycanary.yaml", "before the first canary, and when something changed"),
            ("relaycanary doctor --json | jq '.findings[] | select(.status == \"failure\")'", "failures only"),
        ),
        "probe": (
            ("relaycanary probe relay", "stage by stage, as it happens"),
            ("relaycanary probe relay --json | jq .stages", "for a program"),
            ("relaycanary probe relay --nagios", "as a monitoring plug-in"),
        ),
        "status": (
            ("relaycanary status", "every check, and how to mend what fails"),
            ("relaycanary status --watch", "the same, renewed every two seconds"),
            ("relaycanary status --json | jq -r '.checks[] | select(.verdict != \"pass\").check'", "what is wrong"),
            ("relaycanary status --nagios relay", "one check, as a monitoring plug-in"),
        ),
        "rules": (
            (
                "relaycanary rules --grafana https://grafana.corp.example \\\n      > /etc/prometheus/relaycanary.yaml",
                "the rules, with links to your Grafana",
            ),
        ),
        "report": (
            ("relaycanary report", "the last complete week, as text"),
            ("relaycanary report --week 2026-W47 -o week.pdf", "one week, in the form that the name says"),
            ("relaycanary report --since 2026-11-01 --format json | jq .overall", "since the first of the month"),
            ("relaycanary report --send", "to whom the settings name, by the path that they name"),
        ),
        "explain": (
            ('relaycanary explain "550 5.7.64 TenantAttribution; Relay Access Denied"', "a reply"),
            ("relaycanary explain bounce.eml", "a bounce, or any message that arrived"),
            ("journalctl -u postfix | relaycanary explain -", "a log"),
        ),
        "alerts test": (
            ("relaycanary alerts test", "by every channel; exits 0 if all took it"),
            ("relaycanary alerts test --channel oncall", "by this one only"),
        ),
        "ledger upgrade": (("relaycanary ledger upgrade", "before a new version of the agent is started"),),
        "ledger verify": (
            ("relaycanary ledger verify", "nothing lost, nothing counted twice"),
            ("relaycanary ledger verify --json | jq .problems", "for a program"),
        ),
        "ledger backup": (("relaycanary ledger backup /var/backups/relaycanary-$(date +%F).db", "beside the agent"),),
        "ledger restore": (("relaycanary ledger restore backup.db", "while no agent runs"),),
        "ledger prune": (("relaycanary ledger prune --keep 90d", "what is older goes now"),),
        "ledger export": (
            (
                (
                    'relaycanary ledger export | jq -r \'select(.verdict == "fail")\n'
                    "      | [.started_at, .check, .outcome] | @csv'"
                ),
                "every failure, as CSV",
            ),
        ),
        "lab": (
            ("relaycanary lab", "the simulated tenant alone"),
            ("relaycanary lab break relay connector_mismatch", "a changed address: 550 5.7.64"),
            ("relaycanary lab heal", "everything works again"),
            ("relaycanary lab --history 35d", "a made-up past, for pages and reports"),
        ),
        "lab break": (
            ("relaycanary lab break", "everything that can go wrong"),
            ("relaycanary lab break entra secret_expired", "AADSTS7000222"),
        ),
        "lab heal": (("relaycanary lab heal", "everything"), ("relaycanary lab heal relay", "one path")),
    }
)


def teach(app: typer.Typer, *groups: typer.Typer) -> None:
    """Give every verb of *app*, and of its *groups* by their order in it, its line in lists and its examples."""
    _teach(app, "")
    for info, group in zip(app.registered_groups, groups, strict=True):
        info.short_help = SHORT.get(info.name or "")
        info.epilog = examples(info.name or "")
        _teach(group, f"{info.name} ")


def _teach(app: typer.Typer, group: str) -> None:
    for command in app.registered_commands:
        verb = f"{group}{command.name}"
        command.short_help = SHORT.get(verb)
        command.epilog = examples(verb)


def examples(verb: str) -> str:
    """Write the examples of *verb* below its help, a command on a line of its own; nothing where there are none."""
    lines = [line for command, remark in EXAMPLES.get(verb, ()) for line in (f"  # {remark}", f"  {command}")]
    return "\n".join(("\b", "Examples:", *lines)) if lines else ""
