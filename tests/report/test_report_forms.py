"""What people get to see: mail, page, PDF, tables. Words of servers are shown as words, whatever they are."""

from __future__ import annotations

import csv
import email
import io
import json
import re
import sqlite3
from email.policy import default
from html.parser import HTMLParser

import pypdf
import pytest

from agent.report import forms
from agent.report.document import Chart
from agent.report.mail import compose_mail
from agent.report.render_html import embedded, html
from agent.report.render_pdf import pdf
from agent.report.render_text import text as as_text

HOSTILE = '<script>alert(1)</script>\r\nBcc: x@y.example\x1b[31m\u202e =HYPERLINK("http://x") ' + "W" * 10_000


@pytest.fixture(scope="module")
def document(figures):
    return forms.document(figures)


@pytest.fixture(scope="module")
def mail(document, kit):
    to = ["a@contoso.example", "b@contoso.example"]
    raw = compose_mail(document, sender="noreply@contoso.example", to=to, now=kit.now, unique="u1")
    return raw, email.message_from_bytes(raw, policy=default)


class Tags(HTMLParser):
    """Collects start tags with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_mail_has_text_and_html_side_by_side_and_each_chart_once(mail, document):
    _, message = mail
    assert message.get_content_type() == "multipart/alternative"
    text, related = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert related.get_content_type() == "multipart/related"
    page, *images = related.iter_parts()
    pictures = {part["Content-ID"].strip("<>"): part.get_content() for part in images}
    shown = [attributes["src"] for tag, attributes in parse(page.get_content()).tags if tag == "img"]
    assert sorted(shown) == sorted(f"cid:{name}" for name in pictures)
    assert sorted(pictures.values()) == sorted(document.pictures.values())


def test_the_mail_asks_for_no_answer_and_fits_the_lines_of_smtp(mail):
    raw, message = mail
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["To"] == "a@contoso.example, b@contoso.example"
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_html_stands_on_its_own(figures, document):
    page = parse(forms.write(figures, ["html"], document)["html"].decode())
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "form", "base", "style"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert attributes["src"].startswith("data:image/png;base64,")
            assert attributes["alt"]
            assert int(attributes["width"]) <= 712


def test_every_chart_is_a_picture_and_says_in_words_what_it_shows(document):
    charts = [block for section in document.sections for block in section.blocks if isinstance(block, Chart)]
    assert [chart.name for chart in charts] == ["outcomes", "incidents", "latency", "heat"]
    assert all(chart.words for chart in charts)
    assert all(document.pictures[chart.name].startswith(b"\x89PNG") for chart in charts)


def test_the_pdf_is_a4_with_numbered_pages_searchable_text_and_an_outline(figures, document):
    reader = pypdf.PdfReader(io.BytesIO(forms.write(figures, ["pdf"], document)["pdf"]))
    pages = [page.extract_text() for page in reader.pages]
    assert {(round(page.mediabox.width), round(page.mediabox.height)) for page in reader.pages} == {(595, 842)}
    assert all(f"page {number} of {len(pages)}" in text for number, text in enumerate(pages, start=1))
    assert "Mail deliverability, 2026-W47" in pages[0]
    assert [entry.title for entry in reader.outline] == [section.title for section in document.sections]


def test_the_same_rows_give_the_same_figures_each_time(past, kit, figures):
    assert kit.report(past, kit.week) == figures


def test_csv_and_json_tell_the_same_figures(figures):
    written = forms.write(figures, ["csv", "json"])
    rows = list(csv.DictReader(io.StringIO(written["csv"].decode())))
    told = json.loads(written["json"])
    by_path = {path["path"] or "(all)": path for path in (*told["paths"], told["overall"])}
    assert {row["path"] for row in rows} == set(by_path)
    for row in rows:
        ends = by_path[row["path"]]["ends"]
        if row["figure"] in ends and row["of"]:
            assert (int(row["value"]), int(row["of"])) == (ends[row["figure"]]["n"], ends[row["figure"]]["of"])
        if row["figure"] == "end_to_end_seconds_p95":
            assert float(row["value"]) == by_path[row["path"]]["latency"]["p95"]


@pytest.fixture(scope="module")
def hostile(kit, tmp_path_factory):
    """The report of a week in which a server and the settings said the worst."""
    url = kit.write_past(tmp_path_factory.mktemp("hostile"), kit.checks, days=11)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        for seq, text in connection.execute(
            "select seq, attempt from canaries where outcome = 'auth_failed'"
        ).fetchall():
            attempt = json.loads(text)
            attempt["reply"]["text"] = HOSTILE
            attempt["reply"]["enhanced"] = None
            row = (json.dumps(attempt), json.dumps([f"535 {HOSTILE}"]), seq)
            connection.execute("update canaries set attempt = ?, reasons = ? where seq = ?", row)
    return forms.document(kit.report(url, kit.week))


def test_words_of_servers_are_shown_as_words_in_the_page(hostile):
    page = html(hostile, embedded(hostile.pictures))
    shown = parse(page)
    assert not [tag for tag, _ in shown.tags if tag == "script"]
    assert "<script>alert(1)</script>" in "".join(shown.text)
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_words_of_servers_add_no_line_to_the_mail_and_no_control_to_the_text(hostile, kit):
    raw = compose_mail(hostile, sender="a@b.example", to=["c@d.example"], now=kit.now, unique="u")
    assert email.message_from_bytes(raw, policy=default)["Bcc"] is None
    text = as_text(hostile)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "Bcc: x@y.example" not in text.splitlines()


def test_words_of_servers_do_not_break_the_pages_of_the_pdf(hostile):
    reader = pypdf.PdfReader(io.BytesIO(pdf(hostile)))
    assert "<script>alert(1)</script>" in re.sub(r"\s", "", "".join(page.extract_text() for page in reader.pages))
    assert len(reader.pages) < 8


def test_a_name_that_looks_like_a_formula_is_none_in_a_spreadsheet(kit, tmp_path):
    url = kit.write_past(tmp_path, kit.checks, days=11)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("""update specs set "check" = replace("check", '"path":"direct"', '"path":"=1+1"')""")
    rows = list(csv.DictReader(io.StringIO(forms.write(kit.report(url, kit.week), ["csv"])["csv"].decode())))
    assert "'=1+1" in {row["path"] for row in rows}
    assert "=1+1" not in {row["path"] for row in rows}


def test_the_mail_is_as_wide_as_its_window_and_only_outlook_is_told_a_width_in_pixels(document):
    page = html(document, embedded(document.pictures))
    tags = parse(page).tags
    assert [attributes["width"] for tag, attributes in tags if tag == "table" and "%" not in attributes["width"]] == []
    assert page.count('<!--[if mso]><table role="presentation" width="760"') == 1
    assert page.count("<!--[if mso]>") == page.count("<![endif]-->") == 2


def test_text_fits_a_terminal_of_80_columns_and_a_mail(document):
    assert max(map(len, as_text(document).splitlines())) <= 78


def test_an_incident_tells_its_cause_and_its_fix_in_every_form_for_people(figures, document):
    told = next(one for one in figures.incidents if one.path == "submission")
    pages = pypdf.PdfReader(io.BytesIO(pdf(document))).pages
    forms_ = {
        "text": as_text(document),
        "html": "".join(parse(html(document, dict.fromkeys(document.pictures, ""))).text),
        "pdf": "".join(page.extract_text() for page in pages),
    }
    for form, said in forms_.items():
        whole = " ".join(said.split())
        assert told.meaning in whole, form
        assert told.fix in whole, form
        assert "-SmtpClientAuthenticationDisabled" in said, form  # unbroken: people copy it


def test_the_words_of_an_incident_are_only_a_servers_where_a_server_spoke(document):
    (section,) = [one for one in document.sections if one.title == "Incidents"]
    table = section.blocks[0]
    labels = {row[3].text: [note.label for note in notes] for row, notes in zip(table.rows, table.notes, strict=True)}
    assert "In the server's words" in labels["auth failed"]
    assert "In the server's words" not in labels["junk"]


def test_a_fix_that_an_incident_names_is_not_said_again_under_the_refusals(document):
    (section,) = [one for one in document.sections if one.title == "What servers refused"]
    assert [note.text for note in section.blocks[0].notes[0]][-1].startswith("see the incident of ")


def test_every_chart_has_a_title_in_the_page_and_in_the_pdf(document):
    charts = [block for section in document.sections for block in section.blocks if isinstance(block, Chart)]
    page = "".join(parse(html(document, dict.fromkeys(document.pictures, ""))).text)
    printed = "".join(one.extract_text() for one in pypdf.PdfReader(io.BytesIO(pdf(document))).pages)
    assert all(chart.title in page and chart.title in printed for chart in charts)


def test_only_words_that_may_not_fit_into_a_column_are_broken(document):
    cells = [
        attributes["style"]
        for tag, attributes in parse(html(document, dict.fromkeys(document.pictures, ""))).tags
        if tag == "td" and "word-break" in (attributes.get("style") or "")
    ]
    assert len(cells) < 20
