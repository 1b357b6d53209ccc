"""The command line. Each verb is a function in `agent.commands`, imported when it is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from agent import __version__
from agent.commands.examples import teach
from agent.commands.options import Config, Json
from agent.commands.verbs_of_alerts import alerts_app
from agent.commands.verbs_of_lab import LAB, lab_app

# Typer carries its own copy of click; this is the way to its class for wrong usage without a private import.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_WRONG_USAGE = 64  # EX_USAGE of sysexits.h
_INTERRUPTED = 130

app = typer.Typer(
    name="relaycanary",
    help="Watches mail that is sent through Microsoft 365: canaries out, read back, timed and judged.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # plain text: names of options stay whole at 80 columns, and examples as they are
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ledger_app = typer.Typer(help="Look after the ledger, the durable record.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(ledger_app, name="ledger")
app.add_typer(alerts_app, name="alerts")
app.add_typer(lab_app, name="lab")


def _checks(ctx: typer.Context, incomplete: str) -> list[str]:
    from agent.commands.completion import names_of_checks

    return names_of_checks(ctx.params.get("config"), incomplete)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"relaycanary {__version__}")
        raise typer.Exit


@app.command("run")
def _run(
    config: Config = None,
    lab: Annotated[bool, typer.Option("--lab", help="With a simulated tenant on loopback; state in .lab/.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run the agent until SIGTERM. SIGHUP reads the settings again."""
    if lab and config is not None:
        raise typer.BadParameter("--lab brings settings of its own: leave --config out")
    if lab:
        from agent.commands.lab import run_with_lab

        raise typer.Exit(run_with_lab(LAB, verbose=verbose))
    from agent.commands.run import run

    raise typer.Exit(run(config, verbose=verbose))


@app.command("init")
def _init(  # noqa: PLR0913, PLR0917 - one option for each answer
    output: Annotated[Path, typer.Option("--output", "-o", help="The settings file to write.")] = Path(
        "relaycanary.yaml"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it is there; it is kept as FILE.1.")
    ] = False,
    domain: Annotated[str | None, typer.Option(help="The domain that mail is sent from.")] = None,
    recipients: Annotated[Literal["inside", "outside"] | None, typer.Option(help="Who is sent to.")] = None,
    licensed: Annotated[
        bool | None, typer.Option("--licensed-mailbox/--no-licensed-mailbox", help="A mailbox to send as?")
    ] = None,
    static_ip: Annotated[bool | None, typer.Option(help="A static IPv4 address of your own?")] = None,
    certificate: Annotated[bool | None, typer.Option(help="A TLS certificate for the domain?")] = None,
    certificate_file: Annotated[str | None, typer.Option(help="Key, certificate and intermediates, in PEM.")] = None,
    port_25_blocked: Annotated[
        bool | None, typer.Option("--port-25-blocked/--port-25-open", help="Outgoing port 25 blocked?")
    ] = None,
    sender: Annotated[str | None, typer.Option(help="The address canaries are sent from.")] = None,
    read: Annotated[
        Literal["imap", "graph", "imap-tenant"] | None, typer.Option(help="How their mailbox is read.")
    ] = None,
    mailbox: Annotated[str | None, typer.Option(help="The address canaries go to.")] = None,
    imap_host: Annotated[str | None, typer.Option(help="Its IMAP host, for a mailbox elsewhere.")] = None,
    site: Annotated[str | None, typer.Option(help="Where this agent stands.")] = None,
    method: Annotated[
        Literal["submission", "relay", "direct_send"] | None, typer.Option(help="Set up this way of sending.")
    ] = None,
) -> None:
    """Ask a few questions, say which way of sending suits, and write a commented settings file.

    Without a terminal nothing is asked: every answer is an option. Exit code: 0, or 1 if it cannot be written.
    """
    from agent.commands.init import Target, init

    given = {
        "domain": domain,
        "recipients": recipients,
        "licensed": licensed,
        "static_ip": static_ip,
        "certificate": True if certificate is None and certificate_file else certificate,
        "certificate_file": certificate_file,
        "port_25_blocked": port_25_blocked,
        "sender": sender,
        "reading": read,
        "mailbox": mailbox,
        "imap_host": imap_host,
        "site": site,
    }
    raise typer.Exit(init(Target(file=output, force=force), given, method))


@app.command("check-config")
def _check_config(
    config: Config = None,
    print_: Annotated[bool, typer.Option("--print", help="Print the effective settings, without secrets.")] = False,
    json: Json = False,
) -> None:
    """Say whether the settings can be used, and what is dubious about them."""
    from agent.commands.check_config import check_config

    if json and print_:
        raise typer.BadParameter("choose one of --json and --print")
    raise typer.Exit(check_config(config, print_settings=print_, json=json))


@app.command("hash-password")
def _hash_password() -> None:
    """Print the bcrypt hash of a password, for web.users. The password is asked for, or read from standard input."""
    from agent.commands.hash_password import hash_password

    raise typer.Exit(hash_password())


@app.command("config-schema")
def _config_schema() -> None:
    """Print the JSON Schema of a settings file, with every kind of path and mailbox that is installed.

    An editor with a YAML language server completes and checks the settings by it. `init` puts it beside them.
    """
    from agent.commands.config_schema import config_schema

    raise typer.Exit(config_schema())


@app.command("doctor")
def _doctor(config: Config = None, json: Json = False) -> None:
    """Find what will break before it does: DNS, ports, TLS, logins, mailboxes, clock, limits. Nothing is sent.

    Exit code: 0 ok, 1 warnings, 2 failures.
    """
    from agent.commands.doctor import doctor

    raise typer.Exit(doctor(config, json=json))


@app.command("probe")
def _probe(
    check: Annotated[str, typer.Argument(help="The name of a check in the settings.", autocompletion=_checks)],
    config: Config = None,
    json: Json = False,
    nagios: Annotated[bool, typer.Option("--nagios", help="Output of a monitoring plug-in, with perfdata.")] = False,
) -> None:
    """Send one canary now, and watch it stage by stage until it is judged.

    Exit code: 0 pass, 1 warn, 2 fail, 3 unknown.
    """
    from agent.commands.probe import probe

    if json and nagios:
        raise typer.BadParameter("choose one of --json and --nagios")
    raise typer.Exit(probe(check, config, json=json, nagios=nagios))


@app.command("status")
def _status(
    check: Annotated[
        str | None, typer.Argument(help="The name of a check; all of them without it.", autocompletion=_checks)
    ] = None,
    config: Config = None,
    json: Json = False,
    nagios: Annotated[bool, typer.Option("--nagios", help="Output of a monitoring plug-in, with perfdata.")] = False,
    checkmk: Annotated[bool, typer.Option("--checkmk", help="Output of a local check of Checkmk.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Renew it until Ctrl-C, on a terminal.")] = False,
) -> None:
    """Say how every check stands, from the ledger; works whether or not the agent is running. Nothing is sent.

    Exit code: 0 pass, 1 warn, 2 fail, 3 unknown, as the worst check.
    """
    from agent.commands.status import status

    if json + nagios + checkmk + watch > 1:
        raise typer.BadParameter("choose one of --json, --nagios, --checkmk and --watch")
    if watch and not sys.stdout.isatty():
        raise typer.BadParameter("--watch is for a terminal: here it would never end")
    raise typer.Exit(status(config, check=check, json=json, nagios=nagios, checkmk=checkmk, live=watch))


@app.command("rules")
def _rules(
    config: Config = None,
    runbooks: Annotated[str | None, typer.Option(help="Where the runbooks are published.")] = None,
    grafana: Annotated[str | None, typer.Option(help="The address of Grafana.")] = None,
    scale_for: Annotated[
        float, typer.Option(min=0.001, max=1000, help="Multiply every `for`, as for a fire drill with the lab.")
    ] = 1.0,
) -> None:
    """Print the Prometheus rules for these settings."""
    from agent.commands.rules import GRAFANA, RUNBOOKS, rules

    raise typer.Exit(rules(config, runbooks=runbooks or RUNBOOKS, grafana=grafana or GRAFANA, scale_for=scale_for))


@app.command("report")
def _report(
    config: Config = None,
    week: Annotated[str | None, typer.Option("--week", help="An ISO week, like 2026-W47.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="A day or a moment, like 2026-11-16.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="The end, itself not included; now without it.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="html, pdf, csv, json or text.")] = None,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Keep it in the archive and mail it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Report how the mail did: the last complete week, or, in the first week, the one that is running.

    Exit code: 0, or 1 if it could not be made, written or sent.
    """
    from agent.commands.report import report
    from agent.commands.reporting.choice import Choice

    choice = Choice(week=week, since=since, until=until, form="json" if json else form, output=file)
    raise typer.Exit(report(choice, config, send_it=send))


@app.command("explain")
def _explain(
    inputs: Annotated[list[str] | None, typer.Argument(help="A reply, an error, a log line, a FILE, or - .")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")] = False,
) -> None:
    """Say what a server's words, a bounce or a delivered message mean, and how to mend it.

    Exit code: 0, or 1 if something is unknown.
    """
    from agent.commands.explain import explain

    raise typer.Exit(explain(inputs or [], json=json))


@ledger_app.command("upgrade")
def _ledger_upgrade(config: Config = None, json: Json = False) -> None:
    """Bring the tables of the ledger up to date. The agent does so by itself when it starts."""
    from agent.commands.ledger import upgrade

    raise typer.Exit(upgrade(config, json=json))


@ledger_app.command("verify")
def _ledger_verify(config: Config = None, json: Json = False) -> None:
    """Hold the books against the rows: nothing lost, nothing counted twice."""
    from agent.commands.ledger import verify

    raise typer.Exit(verify(config, json=json))


@ledger_app.command("backup")
def _ledger_backup(
    file: Annotated[Path, typer.Argument(help="The copy to make; it must not be there yet.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Copy the ledger while the agent runs, as it is at one moment, and examine the copy."""
    from agent.commands.ledger import backup

    raise typer.Exit(backup(file, config, json=json))


@ledger_app.command("restore")
def _ledger_restore(
    file: Annotated[Path, typer.Argument(help="The backup; it stays as it is.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a backup the ledger, while no agent runs; the ledger that is there is kept under another name.

    The backup is examined, and its books are checked, first.
    """
    from agent.commands.ledger import restore

    raise typer.Exit(restore(file, config, json=json))


@ledger_app.command("prune")
def _ledger_prune(
    config: Config = None,
    keep: Annotated[str | None, typer.Option("--keep", help="How long, like 90d (default: agent.ledger_keep).")] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Make the file smaller; no agent may run.")] = False,
    json: Json = False,
) -> None:
    """Let go of old evidence and canaries now. A running agent does so by itself; this may go on beside it."""
    from agent.commands.ledger import prune

    raise typer.Exit(prune(config, keep=keep, compact=compact, json=json))


@ledger_app.command("export")
def _ledger_export(config: Config = None) -> None:
    """Print every canary on record, one JSON object a line."""
    from agent.commands.ledger import export

    raise typer.Exit(export(config))


teach(app, ledger_app, alerts_app, lab_app)


def main() -> None:
    """Run the command line; nothing leaves it as a traceback."""
    sys.exit(_main_code(sys.argv[1:]))


def _main_code(arguments: list[str]) -> int:
    try:
        result = app(args=arguments, prog_name="relaycanary", standalone_mode=False)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help was shown: that is what was asked for
            return 0
        print(f"relaycanary: {_said(error)} (see relaycanary --help)", file=sys.stderr)
        return _WRONG_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def _said(error: Exception) -> str:
    say = getattr(error, "format_message", None)
    return str(say() if say is not None else error).rstrip(".")


if __name__ == "__main__":
    main()
