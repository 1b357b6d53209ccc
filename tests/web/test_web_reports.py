"""The archive of reports over HTTP."""

from __future__ import annotations

import pytest

from agent.report.archive import About, Archive

pytestmark = pytest.mark.anyio


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path / "reports")
    about = About(made=1795421400.0, on_time="98.96 % (13300 of 13440)", simulated=True)
    archive.put("2026-W47", {"html": b"<h1>page</h1>", "pdf": b"%PDF-1.4"}, about)
    archive.put("2026-W46", {"html": b"<h1>older</h1>"})
    archive.note_sent("2026-W47", ["a@b.example"], 1795429800.0)
    return archive


@pytest.mark.usefixtures("archive")
async def test_reports_are_listed_with_links_to_their_forms(serving):
    async with serving() as client:
        answer = await client.get("/reports/")
    assert answer.status == 200
    assert '<a href="/reports/2026-W47/pdf"' in answer.text
    assert ">2026-11-23 10:30:00 UTC</time>" in answer.text


@pytest.mark.usefixtures("archive")
async def test_the_list_says_how_the_mail_did_when_an_issue_was_made_and_what_is_simulated(serving):
    async with serving() as client:
        newest, older = (await client.get("/reports/")).text.split("<tr>")[2:]
    assert '<span class="badge quiet">simulated</span>' in newest
    assert "98.96 % (13300 of 13440)" in newest
    assert ">2026-11-23 08:10:00 UTC</time>" in newest
    assert "2026-W46" in older
    assert "simulated" not in older


async def test_without_any_report_the_list_says_so(serving):
    async with serving() as client:
        assert "No report has been kept yet." in (await client.get("/reports/")).text


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
    "where", ["2026-W45/html", "2026-W47/csv", "2026-W47/sent.json", "..%2F..%2Fetc/passwd", "%2e%2e/html"]
)
async def test_what_is_not_there_is_not_found(serving, where):
    async with serving() as client:
        assert (await client.get(f"/reports/{where}")).status == 404
