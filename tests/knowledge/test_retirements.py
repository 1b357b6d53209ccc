"""What providers end on a known day, and whom it concerns."""

from __future__ import annotations

from datetime import date

import pytest

from checks.knowledge.retirements import retirements_of


@pytest.mark.parametrize("host", ["smtp.office365.com", "SMTP.Office365.US.", "smtp-legacy.office365.com"])
def test_passwords_for_client_submission_end_in_every_cloud(host: str) -> None:
    (found,) = retirements_of(host, "password")
    assert found.day == date(2026, 12, 31)
    assert "OAuth" in found.fix
    assert "2026-01-27" in found.source


@pytest.mark.parametrize(
    ("host", "login"),
    [("smtp.office365.com", "entra"), ("smtp.office365.com", ""), ("smtp.provider.example", "password"), ("", "")],
)
def test_what_does_not_end_is_not_told(host: str, login: str) -> None:
    assert list(retirements_of(host, login)) == []


def test_a_source_of_several_rows_is_written_out() -> None:
    (found,) = retirements_of("smtp.hve.mx.microsoft", "password")
    assert "High Volume Email" in found.source
