"""The archive of issues: whole files or none, and nothing outside of it."""

from __future__ import annotations

import stat

import pytest

from agent.report.archive import Archive, ArchiveError


def test_an_issue_that_was_put_is_listed_with_its_forms_and_read_back(tmp_path):
    archive = Archive(tmp_path / "reports")
    archive.put("2026-W46", {"html": b"old"})
    archive.put("2026-W47", {"html": b"page", "pdf": b"%PDF"})
    archive.note_sent("2026-W47", ["a@b.example"], 1000.0)
    newest, older = archive.issues()
    assert (newest.name, newest.kinds) == ("2026-W47", ["html", "pdf"])
    assert (newest.sent_to, newest.sent_at) == (["a@b.example"], 1000.0)
    assert (older.name, older.sent_at) == ("2026-W46", None)
    assert archive.read("2026-W47", "pdf") == b"%PDF"


def test_reports_are_for_their_owner_only(tmp_path):
    Archive(tmp_path / "reports").put("2026-W47", {"html": b"page"})
    (file,) = (tmp_path / "reports").rglob("report.html")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["..", "../2026-W47", "2026-W47/..", "", ".", "2026-W47\x00", "2026-W471"])
@pytest.mark.parametrize("kind", ["html", "sent.json", "../report.html", ""])
def test_nothing_outside_of_the_archive_can_be_read(tmp_path, name, kind):
    archive = Archive(tmp_path / "reports")
    archive.put("2026-W47", {"html": b"page"})
    archive.note_sent("2026-W47", ["a@b.example"], 1.0)
    (tmp_path / "report.html").write_text("outside")
    assert archive.read(name, kind) is None
    assert archive.issue(name) is None


def test_an_archive_that_is_not_there_or_holds_other_things_is_empty(tmp_path):
    assert Archive(tmp_path / "nothing").issues() == []
    (tmp_path / "2026-W47").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "2026-W46").write_text("a file")
    assert Archive(tmp_path).issues() == []


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ArchiveError, match=r"the report cannot be kept in .*reports/2026-W47: Not a directory"):
        Archive(tmp_path / "reports").put("2026-W47", {"html": b""})


def test_a_note_that_was_damaged_counts_as_not_sent(tmp_path):
    archive = Archive(tmp_path)
    archive.put("2026-W47", {"html": b"page"})
    (tmp_path / "2026-W47" / "sent.json").write_text("{half")
    assert archive.issue("2026-W47").sent_at is None
