"""``relaycanary report`` as people run it: on a ledger with a past, and sent through the lab."""

from __future__ import annotations

import contextlib
import email
import imaplib
import json
import ssl
import stat
from datetime import UTC, datetime
from email.policy import default
from pathlib import Path

import pytest

from agent.commands.history import history
from agent.commands.parts import archive_of
from agent.commands.report import report
from agent.commands.reporting.choice import Choice
from agent.config.load import load
from agent.ledger import simulated
from agent.simulated import story

DAYS = 15


@pytest.fixture
def make(settings):
    """Write the lab's settings with a report to these people, and a ledger with a past of *DAYS* days."""

    def write(*to, path="relay"):
        def with_report(content):
            content["report"] = {
                "timezone": "Europe/Amsterdam",
                "to": list(to) or ["canary@outside.example"],
                "path": path,
            }

        file = settings(with_report)
        loaded = load(file)
        checks = list(loaded.checks.values())
        until = datetime.now(UTC).timestamp()
        simulated.fill(loaded.agent.ledger, story.past(checks, site="lab", until=until, days=DAYS, every=7200.0))
        return file

    return write


@contextlib.contextmanager
def outside(lab):
    context = ssl.create_default_context(cafile=lab.info.ca_file)
    with imaplib.IMAP4_SSL("127.0.0.1", lab.info.ports["outside"], ssl_context=context) as client:
        client.login("canary@outside.example", (lab.directory / "password-outside").read_text().strip())
        client.select("INBOX")
        yield client


def last_mail(lab):
    with outside(lab) as client:
        _, (found,) = client.search(None, "SUBJECT", '"Mail deliverability"')
        _, parts = client.fetch(found.split()[-1], "(RFC822)")
    return email.message_from_bytes(parts[0][1], policy=default)


def test_without_wishes_the_last_complete_week_is_told_as_text(make, capfdbinary):
    assert report(Choice(), make()) == 0
    said = capfdbinary.readouterr().out.decode()
    assert said.startswith("Mail deliverability, 20")
    assert "This period is not over" not in said


def test_what_the_name_of_the_file_says_is_written(make, tmp_path, capsys):
    file = make()
    for name, begin in (
        ("r.pdf", b"%PDF-"),
        ("r.html", b"<!DOCTYPE html>"),
        ("r.csv", b"period,path,"),
        ("r.json", b"{"),
    ):
        assert report(Choice(output=tmp_path / name), file) == 0
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{tmp_path}/r.pdf: 20")


def test_a_span_of_days_can_be_named(make, capfdbinary):
    today = datetime.now(UTC).date().isoformat()
    assert report(Choice(since="2020-01-01", until=today, form="json"), make()) == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert told["name"].startswith("2020-01-01 to ")
    assert told["overall"]["ends"]["started"] > 0


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(week="2026-W60"), "there is no week 60 in 2026"),
        (Choice(week="last"), "'last' is not a week: write it like 2026-W47"),
        (Choice(week="2026-W47", since="2026-11-01"), "choose one of --week and --since with --until"),
        (Choice(until="2026-11-01"), "--until needs --since: say where the report is to begin"),
        (Choice(since="2026-11-09", until="2026-11-02"), "the report would end (2026-11-02 00:00) before it begins"),
        (Choice(since="yesterday"), "'yesterday' is not a day or a moment: write 2026-11-16 or 2026-11-16T07:30"),
        (Choice(form="docx"), "'docx' is not one of html, pdf, csv, json, text"),
    ],
)
def test_a_choice_that_makes_no_sense_is_wrong_usage_and_says_why(make, capsys, choice, words):
    assert report(choice, make()) == 64
    assert words in capsys.readouterr().err


def test_what_lies_ahead_has_certificates_secrets_and_what_providers_end(settings, capfdbinary):
    def with_old_ways(content):
        app = content["credentials"]["app"]
        content["credentials"]["undated"] = {**app, "client_secret": app["client_secret"]}
        app["client_secret_expires"] = "2031-05-06"
        old = {"kind": "password", "username": "scanner@contoso.example", "password": app["client_secret"]}
        content["credentials"]["old"] = old
        folder = Path(app["client_secret"]["file"]).parent
        content["paths"]["relay"]["client_certificate"] = {"file": str(folder / "relay-client.pem")}
        hve = {"kind": "smtp", "preset": "hve", "credential": "old", "sender": "scanner@contoso.example"}
        old = {"kind": "submission", "host": "smtp.office365.com", "credential": "old", "sender": "s@contoso.example"}
        content["paths"] |= {"hve": hve, "old": old}

    file = settings(with_old_ways)
    simulated.fill(load(file).agent.ledger, story.past([], site="lab", until=0.0, days=1, every=7200.0))
    assert report(Choice(form="json"), file) == 0
    told = json.loads(capfdbinary.readouterr().out)["ahead"]
    days = {
        one["what"].split(" (")[0]: f"{datetime.fromtimestamp(one['when'], UTC):%Y-%m-%d}"
        for one in told
        if one["when"]
    }
    assert days["path old: Microsoft turns passwords for client submission off by default"] == "2026-12-31"
    assert days["path hve: Microsoft ends passwords for High Volume Email"] == "2028-09-30"
    assert days["the secret or certificate of credential app"] == "2031-05-06"
    assert "our client certificate on path relay" in days
    *dated, unknown = told
    assert (unknown["what"], unknown["when"]) == ("the secret or certificate of credential undated", None)
    assert "credentials.undated.client_secret_expires" in unknown["fix"]
    assert [one["when"] for one in dated] == sorted(one["when"] for one in dated)
    assert all(one["fix"] for one in told)


def test_a_file_that_cannot_be_written_is_one_clear_line(make, tmp_path, capsys):
    assert report(Choice(output=tmp_path / "no" / "r.html"), make()) == 1
    assert (
        capsys.readouterr().err == f"relaycanary: {tmp_path}/no/r.html cannot be written: No such file or directory\n"
    )


def test_without_a_ledger_the_report_says_so(settings, capsys):
    assert report(Choice(), settings()) == 1
    assert "there is no ledger at" in capsys.readouterr().err


def test_a_report_is_sent_by_the_configured_path_and_kept(make, lab, capsys):
    file = make()
    assert report(Choice(), file, send_it=True) == 0
    (issue,) = archive_of(load(file)).issues()
    assert issue.kinds == ["html", "pdf", "csv", "json"]
    assert issue.sent_to == ["canary@outside.example"]
    assert capsys.readouterr().out == f"the report {issue.name} was sent to canary@outside.example\n"
    mail = last_mail(lab)
    assert mail["Subject"] == f"Mail deliverability, {issue.name}"
    assert "Simulated history" in mail.get_body(("html",)).get_content()
    assert [part.get_content_type() for part in mail.walk() if part.get_content_maintype() == "image"]


def test_a_recipient_who_is_refused_is_named_with_the_servers_words_and_the_others_are_served(make, lab, capsys):
    file = make("canary@outside.example", "x@elsewhere.example")
    lab.break_("relay", "connector_mismatch")
    assert report(Choice(), file, send_it=True) == 1
    said = capsys.readouterr().err
    assert "was not sent to x@elsewhere.example: 550 5.7.64 TenantAttribution" in said
    (issue,) = archive_of(load(file)).issues()
    assert issue.sent_at is None


def test_without_a_section_report_there_is_nobody_to_send_it_to(settings, capsys):
    file = settings()
    history(file.parent, "8d")
    capsys.readouterr()
    assert report(Choice(), file, send_it=True) == 1
    (issue,) = archive_of(load(file)).issues()
    wanted = f"kept in the archive as {issue.name}; not sent: the settings have no section report"
    assert wanted in capsys.readouterr().err


def test_the_past_of_a_lab_is_made_up_once(settings, capsys):
    file = settings()
    assert history(file.parent, "1d") == 0
    assert "simulated canaries written; they are marked, and never counted" in capsys.readouterr().out
    assert history(file.parent, "1d") == 0
    assert "has a made-up past already" in capsys.readouterr().out
    assert history(file.parent, "soon") == 64
    assert stat.S_IMODE((file.parent / "ledger.db").stat().st_mode) == 0o600
