"""Folders, quota, clock, attribution: from facts to findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.doctor.finding import Status
from agent.doctor.judge.attribution import judge_attribution
from agent.doctor.judge.clock import judge_clock
from agent.doctor.judge.mailbox import judge_folders, judge_quota, judge_unreadable
from checks.errors import MailboxUnreadable
from checks.wire.survey import FolderEntry, Quota

OK, WARNING, FAILURE, NOT_TESTED = Status.OK, Status.WARNING, Status.FAILURE, Status.NOT_TESTED
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
GIB = 1024**3


def folders(*names, junk=None):
    return [FolderEntry(name, frozenset({"junk"} if name == junk else ())) for name in names]


def test_folders_that_open_are_ok():
    (finding,) = judge_folders(folders("INBOX", "Junk Email"), ["INBOX", "Junk Email"], [], junk="Junk Email")

    assert (finding.status, finding.found) == (OK, "can be read: INBOX, Junk Email")


@pytest.mark.parametrize(
    ("there", "suggestion"),
    [
        (folders("INBOX", "Junk-E-Mail", "Gesendete Elemente"), "Junk-E-Mail"),
        (folders("INBOX", "Courrier indésirable"), "Courrier indésirable"),
        (folders("INBOX", "Ongewenste e-mail"), "Ongewenste e-mail"),
        (folders("INBOX", "迷惑メール"), "迷惑メール"),
        (folders("INBOX", "Bulk", junk="Bulk"), "Bulk"),
        (folders("INBOX", "Junk", "Bulk", junk="Bulk"), "Bulk"),
    ],
)
def test_a_missing_junk_folder_brings_the_name_of_the_real_one(there, suggestion):
    watched = ["INBOX", "Junk Email"]

    findings = judge_folders(there, watched, ["Junk Email"], junk="Junk Email")

    missing = next(one for one in findings if one.status is FAILURE)
    assert f"junk: {suggestion!r}" in missing.fix
    assert "there is no folder 'Junk Email'" in missing.found


def test_a_missing_folder_brings_the_name_that_is_nearest():
    findings = judge_folders(folders("INBOX", "Junk", "Archive"), ["INBOX", "Junk", "Archve"], ["Archve"], junk="Junk")

    assert [one.status for one in findings] == [OK, FAILURE]
    assert "'Archive'" in findings[1].fix


@pytest.mark.parametrize(
    ("there", "fix"),
    [(folders("INBOX", "Posta indesiderata"), "Posta indesiderata"), (folders("INBOX"), "Add the Junk")],
)
def test_a_mailbox_whose_junk_is_not_watched_is_a_warning(there, fix):
    warning = judge_folders(there, ["INBOX"], [], junk=None)[-1]

    assert (warning.id, warning.status) == ("mailbox.junk", WARNING)
    assert fix in warning.fix
    assert "called lost" in warning.meaning


def test_a_watched_junk_folder_is_not_enough_where_the_server_files_junk_in_another():
    there = folders("INBOX", "Junk", "Bulk", junk="Bulk")
    warning = judge_folders(there, ["INBOX", "Junk"], [], junk="Junk")[-1]

    assert (warning.id, warning.status) == ("mailbox.junk", WARNING)
    assert "'Junk' is watched" in warning.found
    assert warning.fix == "Add 'Bulk' to folders."
    assert [one.status for one in judge_folders(there, ["INBOX", "Junk", "Bulk"], [], junk="Junk")] == [OK]


@pytest.mark.parametrize(
    ("quota", "status", "words"),
    [
        (Quota(10 * GIB, 50 * GIB), OK, "20% full: 10.0 GiB of 50.0 GiB"),
        (Quota(46 * GIB, 50 * GIB), WARNING, "92%"),
        (Quota(50 * GIB, 50 * GIB), FAILURE, "100%"),
        (Quota(512 * 1024, 1024 * 1024), OK, "512 KiB of 1 MiB"),
        (None, NOT_TESTED, "no quota told"),
        (Quota(5, 0), NOT_TESTED, "no quota told"),
    ],
)
def test_a_mailbox_that_is_nearly_full_is_told_before_it_is(quota, status, words):
    finding = judge_quota(quota, why_not="no quota told")

    assert finding.status is status
    assert words in finding.found


@pytest.mark.parametrize(
    ("reason", "detail", "name"),
    [
        (
            "connect",
            "could not connect to x, port 993: no TCP connection: 192.0.2.1: Connection refused",
            "mailbox.port",
        ),
        ("tls", "the certificate of x was refused: certificate has expired", "mailbox.tls"),
        ("login", "could not log in as x: refused: AUTHENTICATE failed.", "mailbox.login"),
        ("closed", "User is authenticated but not connected.", "mailbox.access"),
        ("timeout", "no complete answer within 12 s", "mailbox.access"),
    ],
)
def test_a_mailbox_that_cannot_be_read_is_a_failure_with_meaning_and_fix(reason, detail, name):
    finding = judge_unreadable(MailboxUnreadable(reason, detail))

    assert (finding.id, finding.status) == (name, FAILURE)
    assert detail in finding.found
    assert finding.meaning
    assert finding.fix
    assert finding.source


@pytest.mark.parametrize("reason", ["throttled", "unavailable"])
def test_a_mailbox_whose_service_is_busy_is_a_warning(reason):
    assert judge_unreadable(MailboxUnreadable(reason, "could not open: 503 serviceNotAvailable")).status is WARNING


@pytest.mark.parametrize(
    ("offset", "status", "words"),
    [
        (0.0, OK, "agrees"),
        (5.9, OK, "agrees"),
        (-5.9, OK, "agrees"),
        (40.0, WARNING, "40 s ahead of"),
        (-40.0, WARNING, "40 s behind"),
        (-3600.0, FAILURE, "3600 s behind"),
    ],
)
def test_the_clock_may_be_a_little_wrong_but_not_by_minutes(offset, status, words):
    finding = judge_clock(NOW + timedelta(seconds=offset), NOW, by="the greeting of mx", uncertainty=1.0)

    assert finding.status is status
    assert words in finding.found
    assert "± 1 s" in finding.found
    assert "the greeting of mx" in finding.found


@pytest.mark.parametrize(
    ("expected", "seen", "status", "words"),
    [
        (True, 7, OK, "is judged"),
        (None, 7, OK, "can be demanded"),
        (True, 0, NOT_TESTED, "shown, and not judged"),
        (None, 0, NOT_TESTED, "no canary of relay"),
    ],
)
def test_attribution_is_judged_once_the_header_has_been_seen(expected, seen, status, words):
    finding = judge_attribution("relay", expected=expected, seen=seen)

    assert finding.status is status
    assert words in finding.found
