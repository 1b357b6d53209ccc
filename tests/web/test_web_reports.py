"""The archive of reports over HTTP."""

from __future__ import annotations

import pytest

from agent.report.archive import Archive

pytestmark = pytest.mark.anyio


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path / "reports")
    archive.put("2026-W47", {"html": b"<h1>page</h1>", "pdf": b"%PDF-1.4"})
    archive.note_sent("2026-W47", ["a@b.example"], 1795429800.0)
    return archive


@pytest.mark.usefixtures("archive")
async def test_reports_are_listed_with_links_to_their_forms(serving):
    async with serving() as client:
        answer = await client.get("/reports/")
    assert answer.status == 200
    assert '<a href="/reports/2026-W47/pdf"' in answer.text
    assert ">2026-11-23 10:30:00 UTC</time>" in answer.text


async def test_without_any_report_the_list_says_so(serving):
    async with serving() as client:
        assert "No report has been made yet." in (await client.get("/reports/")).text


@pytest.mark.usefixtures("archive")
async def test_a_report_is_shown_with_its_styles_and_pictures_and_nothing_that_runs(serving):
    async with serving() as client:
        answer = await client.get("/reports/2026-W47/html")
    assert answer.text == "<h1>page</h1>"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "script" not in policy


@pytest.mark.usefixtures("archive")
async def test_what_is_no_page_is_downloaded_under_a_telling_name(serving):
    async with serving() as client:
        answer = await client.get("/reports/2026-W47/pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="relaycanary-2026-W47.pdf"'


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    "where", ["2026-W46/html", "2026-W47/csv", "2026-W47/sent.json", "..%2F..%2Fetc/passwd", "%2e%2e/html"]
)
async def test_what_is_not_there_is_not_found(serving, where):
    async with serving() as client:
        assert (await client.get(f"/reports/{where}")).status == 404
