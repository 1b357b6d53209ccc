"""`relaycanary doctor` on the lab: each breakage, what is found, and the exit code."""

from __future__ import annotations

import json

import pytest

from agent.commands.doctor import doctor
from checks.lab import Lab

SECRETS = ("password-outside", "client-secret", "k1")


def examined(config, capsys):
    code = doctor(config, json=True)
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def worst_of(report, subject):
    found = {}
    for finding in report["findings"]:
        if finding["subject"] == subject:
            found.setdefault(finding["id"], finding["status"])
    return found


def test_a_lab_in_order_has_no_failure_and_exits_0(settings, capsys):
    code, report = examined(settings(), capsys)

    assert (code, report["status"], report["counts"]["failure"], report["counts"]["warning"]) == (0, "ok", 0, 0)
    assert worst_of(report, "path relay")["smtp.envelope"] == "ok"
    assert worst_of(report, "path submission")["smtp.login"] == "ok"
    assert worst_of(report, "mailbox outside") == {
        "mailbox.login": "ok",
        "mailbox.folders": "ok",
        "mailbox.certificate": "ok",
        "mailbox.quota": "not_tested",
    }
    assert worst_of(report, "domain contoso.example") == {"dns": "not_tested"}


def test_nothing_is_said_twice(settings, capsys):
    """A role that a mailbox of Graph needs both to read and to delete is one role."""
    _, report = examined(settings(), capsys)

    said = [(finding["subject"], finding["id"], finding["found"]) for finding in report["findings"]]
    assert len(said) == len(set(said))


def test_every_finding_has_the_same_keys_and_what_needs_doing_says_what(settings, capsys, lab: Lab):
    lab.break_("relay", "connector_mismatch")

    _, report = examined(settings(), capsys)

    for finding in report["findings"]:
        assert list(finding) == ["id", "subject", "status", "found", "meaning", "fix", "source"]
        assert finding["found"]
        if finding["status"] in {"failure", "warning"}:
            assert finding["meaning"]
            assert finding["fix"]
            assert finding["source"]


BREAKAGES = [
    ("relay", "port_closed", "smtp.port", "failure", 2),
    ("relay", "refuse_greeting", "smtp.session", "failure", 2),
    ("relay", "defer_greeting", "smtp.session", "warning", 1),
    ("relay", "refuse_ehlo", "smtp.session", "failure", 2),
    ("relay", "drop_ehlo", "smtp.session", "failure", 2),
    ("relay", "drop_greeting", "smtp.port", "failure", 2),
    ("relay", "tls_not_offered", "smtp.tls", "failure", 2),
    ("relay", "tls_broken", "smtp.tls", "failure", 2),
    ("relay", "tls_expired", "smtp.tls", "failure", 2),
    ("relay", "tls_wrong_name", "smtp.tls", "failure", 2),
    ("relay", "refuse_starttls", "smtp.tls", "failure", 2),
    ("relay", "connector_mismatch", "smtp.envelope", "failure", 2),
    ("relay", "refuse_mail", "smtp.envelope", "failure", 2),
    ("relay", "drop_rcpt", "smtp.envelope", "failure", 2),
    ("direct", "direct_send_rejected", "smtp.envelope", "failure", 2),
    ("direct", "defer_rcpt", "smtp.envelope", "warning", 1),
    ("submission", "smtp_auth_disabled", "smtp.login", "failure", 2),
    ("submission", "oauth_challenge", "smtp.login", "failure", 2),
    ("submission", "defer_auth", "smtp.login", "warning", 1),
    ("inbox", "imap_down", "mailbox.port", "failure", 2),
    ("inbox", "imap_login_refused", "mailbox.login", "failure", 2),
    ("inbox", "imap_bye", "mailbox.access", "failure", 2),
]


@pytest.mark.parametrize(("where", "fault", "name", "status", "code"), BREAKAGES)
def test_a_breakage_is_found_where_it_is_and_sets_the_exit_code(
    where, fault, name, status, code, settings, capsys, lab
):
    lab.break_(where, fault)

    got, report = examined(settings(), capsys)

    kind = "mailbox" if where == "inbox" else "path"
    assert worst_of(report, f"{kind} {where}").get(name) == status, report
    assert got == code
    others = {one["subject"] for one in report["findings"] if one["status"] in {"failure", "warning"}}
    assert others == {f"{kind} {where}"}


def test_a_folder_that_is_not_there_is_named_with_the_one_that_is_meant(settings, capsys):
    def edit(content):
        content["mailboxes"]["inbox"]["folders"] = ["INBOX", "Junk E-mail"]

    code, report = examined(settings(edit), capsys)

    (missing,) = (one for one in report["findings"] if one["status"] == "failure")
    assert (code, missing["subject"], missing["id"]) == (2, "mailbox inbox", "mailbox.folders")
    assert "'Junk Email'" in missing["fix"]


def _over_graph(content):
    content["mailboxes"]["over-graph"] = {"kind": "graph", "credential": "app", "address": "canary@contoso.example"}
    content["paths"]["by-graph"] = {"kind": "graph_send", "credential": "app", "sender": "noreply@contoso.example"}
    content["checks"]["by-graph"] = {"path": "by-graph", "mailbox": "over-graph", "every": "1m"}


def test_graph_is_reached_and_what_it_cannot_try_is_said(settings, capsys):
    code, report = examined(settings(_over_graph), capsys)

    assert code == 0, [one for one in report["findings"] if one["status"] in {"failure", "warning"}]
    mailbox = worst_of(report, "mailbox over-graph")
    assert (mailbox["mailbox.login"], mailbox["mailbox.folders"], mailbox["clock.offset"]) == ("ok", "ok", "ok")
    assert worst_of(report, "path by-graph") == {"path": "not_tested"}
    roles = [one["found"] for one in report["findings"] if one["id"] == "token.roles"]
    assert any("Mail.Send" in words and "path by-graph" in words for words in roles)


OF_THE_APP = [
    ("entra", "secret_wrong", ("credential app", "token", "failure", "AADSTS7000215")),
    ("entra", "secret_expired", ("credential app", "token", "failure", "AADSTS7000222")),
    ("entra", "app_unknown", ("credential app", "token", "failure", "AADSTS700016")),
    ("entra", "wrong_cloud", ("credential app", "token", "failure", "AADSTS900382")),
    ("entra", "entra_unavailable", ("credential app", "token", "warning", "AADSTS90033")),
    ("entra", "entra_down", ("credential app", "token", "failure", "refused")),
    ("submission", "role_missing", ("credential app", "token.roles", "warning", "no SMTP.SendAsApp")),
    ("submission", "role_missing", ("path submission", "smtp.login", "failure", "535 5.7.3")),
    ("inbox", "role_missing", ("credential app", "token.roles", "warning", "IMAP.AccessAsApp")),
    ("graph", "role_missing", ("credential app", "token.roles", "warning", "no Mail.Send")),
    ("inbox", "mailbox_not_permitted", ("mailbox over-graph", "mailbox.login", "failure", "ErrorAccessDenied")),
    ("inbox", "throttled", ("mailbox over-graph", "mailbox.access", "warning", "429")),
    ("inbox", "graph_unavailable", ("mailbox over-graph", "mailbox.access", "warning", "503")),
    ("graph", "graph_down", ("mailbox over-graph", "mailbox.port", "failure", "refused")),
]


@pytest.mark.parametrize(("where", "fault", "expected"), OF_THE_APP)
def test_what_entra_and_graph_refuse_is_found_with_a_fix(where, fault, expected, settings, capsys, lab):
    lab.break_(where, fault)
    subject, name, status, words = expected

    code, report = examined(settings(_over_graph), capsys)

    found = [one for one in report["findings"] if (one["subject"], one["id"], one["status"]) == (subject, name, status)]
    assert any(words in one["found"] for one in found), [one for one in report["findings"] if one["status"] != "ok"]
    assert all(one["fix"] and one["meaning"] for one in found)
    assert code == (2 if status == "failure" or report["counts"]["failure"] else 1)


def test_warnings_of_the_settings_are_findings_of_what_they_are_about(settings, capsys):
    def edit(content):
        content["checks"]["submission"]["every"] = "1s"

    code, report = examined(settings(edit), capsys)

    assert code == 1
    assert worst_of(report, "path submission")["settings"] == "warning"
    assert "limits.rate" not in worst_of(report, "path submission")


def test_text_has_the_worst_first_and_no_secret(settings, capsys, lab):
    lab.break_("submission", "refuse_auth")

    assert doctor(settings()) == 2
    shown = capsys.readouterr()

    lines = shown.out.splitlines()
    assert lines[0] == "path submission"
    assert lines[1].startswith("  failure")
    assert "do: " in shown.out
    assert lines[-1].startswith("1 failure, no warnings, ")
    assert not any(line.endswith(" ") for line in lines)
    assert shown.err == ""
    for name in SECRETS:
        assert (lab.directory / name).read_text().strip() not in shown.out


def test_settings_that_cannot_be_used_are_a_failure_in_one_line(tmp_path, capsys):
    (tmp_path / "relaycanary.yaml").write_text("nonsense: true\n")

    assert doctor(tmp_path / "relaycanary.yaml") == 2
    assert "nonsense" in capsys.readouterr().err


def test_an_examination_that_breaks_is_one_finding_and_the_others_go_on(settings, capsys, monkeypatch):
    async def broken(*_):
        raise KeyError("a secret that nobody may see")

    monkeypatch.setattr("agent.doctor.examinations.registry.of_credential", broken)

    code, report = examined(settings(), capsys)

    assert code == 1
    assert worst_of(report, "credential app") == {"doctor.defect": "warning"}
    assert worst_of(report, "path relay")["smtp.envelope"] == "ok"
    assert "nobody may see" not in json.dumps(report)


def test_an_examination_that_hangs_is_cut_off_and_the_others_are_told(settings, capsys, monkeypatch, lab):
    monkeypatch.setattr("agent.doctor.run.LIMIT", 2.0)
    lab.break_("relay", "hang_rcpt")

    code, report = examined(settings(), capsys)

    assert code == 1
    assert worst_of(report, "path relay")["doctor.unfinished"] == "warning"
    assert worst_of(report, "path submission")["smtp.login"] == "ok"
