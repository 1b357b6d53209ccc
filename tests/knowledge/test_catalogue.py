"""The catalogue is complete, its rows can be reached, and what it says can be read."""

import re

import pytest

from checks.core.model import Protocol, Stage
from checks.knowledge import Statement, diagnose_text
from checks.knowledge.catalogue import catalogue, split_enhanced

ROWS = catalogue()
REPLY_ROWS = (*ROWS.smtp, *ROWS.http)
ALL_ROWS = (*REPLY_ROWS, *ROWS.connection, *ROWS.outcomes, *ROWS.classes)
SENTENCES = re.compile(r"[A-Z0-9].*[.)]\Z", re.DOTALL)


def by_id(row):
    return row.id


@pytest.mark.parametrize("row", REPLY_ROWS, ids=by_id)
def test_every_row_of_an_answer_is_reached_by_each_of_its_samples(row, samples):
    """So no row is hidden by one before it."""
    lines = samples["replies"][row.id]
    assert [diagnose_text(line).row for line in lines] == [row.id] * len(lines)


@pytest.mark.parametrize("row", [row for row in REPLY_ROWS if row.text], ids=by_id)
def test_every_row_with_words_is_found_by_them(row, samples):
    assert "text" in {diagnose_text(line).exactness.value for line in samples["replies"][row.id]}


@pytest.mark.parametrize("row", [row for row in ROWS.connection if row.text], ids=by_id)
def test_every_row_of_a_failed_connection_is_reached_by_a_pasted_line(row, samples):
    if row.id in samples["lines"]:
        lines = samples["lines"][row.id]
        assert [diagnose_text(line).row for line in lines] == [row.id] * len(lines)
    else:
        pytest.fail(f"{row.id} has no sample")


@pytest.mark.parametrize("row", [row for row in ROWS.connection if row.text is None or row.words_optional], ids=by_id)
def test_every_row_for_a_kind_of_failure_is_reached_by_one(row):
    kinds = [(cause, stage) for cause in row.causes for stage in row.stages or Stage]
    reached = {
        next(one.id for one in ROWS.connection if one.may_be(*kind) and (one.text is None or one.words_optional))
        for kind in kinds
    }
    assert row.id in reached


@pytest.mark.parametrize("row", ROWS.classes, ids=by_id)
def test_every_general_row_is_reached_by_what_it_names(row):
    digit = row.reply_class or 5
    code = min(row.reply | row.http, default=digit * 100 + 99)
    enhanced = row.detail or (f"{row.subject}.99" if row.subject else None)
    said = Statement(
        code=code,
        enhanced=f"5.{enhanced}" if enhanced else None,
        text="",
        protocol=Protocol.GRAPH if row.http else Protocol.SMTP,
    )
    stage = next(iter(row.stages), None)
    assert next(one.id for one in ROWS.classes if one.matches(said, stage)) == row.id


@pytest.mark.parametrize("row", ROWS.outcomes, ids=by_id)
def test_every_row_of_an_outcome_is_reached_by_each_of_its_outcomes(row):
    reasons = (f"{re.sub(r'[^a-z_]', '', row.text.split('|')[0])}: expected this, found that",) if row.text else ()
    reached = {next(one.id for one in ROWS.outcomes if one.matches(outcome, reasons)) for outcome in row.outcomes}
    assert reached == {row.id}


def test_every_sample_belongs_to_a_row(samples):
    assert set(samples["replies"]) == {row.id for row in REPLY_ROWS}
    assert set(samples["lines"]) <= {row.id for row in ROWS.connection}


def test_every_line_that_a_server_has_written_gets_its_row(known_lines):
    assert len(known_lines) == 44
    wrong = {line["text"]: line["row"] for line in known_lines if diagnose_text(line["text"]).row != line["row"]}
    assert not wrong


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("535 5.7.3 Authentication unsuccessful", "authentication-unsuccessful"),
        ("530 5.7.57 Client was not authenticated to send anonymous mail", "not-authenticated-to-send"),
        ("550 5.7.54 Unable to relay recipient in non-accepted domain", "unable-to-relay"),
        ("550 5.7.64 TenantAttribution; Relay Access Denied", "relay-access-denied"),
        ("454 4.7.0 Temporary authentication failure", "temporary-authentication-failure"),
        ("connect to relay.contoso.example port 25: Connection refused", "port-25-refused"),
    ],
)
def test_the_errors_that_every_administrator_meets_first_are_known(line, row):
    assert diagnose_text(line).row == row


def test_what_exchange_online_really_says_for_5_7_54_is_named():
    assert "5.7.64" in diagnose_text("550 5.7.54 Unable to relay").meaning


def test_no_fix_weakens_tls_for_a_temporary_authentication_failure():
    found = diagnose_text("454 4.7.0 Temporary authentication failure")
    assert "Do not lower TLS" in found.fix


def test_ids_are_used_once():
    ids = [row.id for row in ALL_ROWS]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", one) for one in ids)


def test_meaning_and_fix_are_sentences_and_the_source_is_a_reference():
    prose = [row.id for row in ALL_ROWS if not (SENTENCES.match(row.meaning) and SENTENCES.match(row.fix))]
    uncited = [row.id for row in ALL_ROWS if len(row.source) < 10 or not re.search(r"[. ]", row.source)]
    assert (prose, uncited) == ([], [])


def test_codes_are_codes():
    assert {code // 100 for row in ROWS.smtp for code in row.reply} <= {4, 5}
    codes = [code for row in ROWS.smtp for entry in row.enhanced for code in entry.split("-")]
    assert [code for code in codes if split_enhanced(code) is None] == []


def test_a_range_covers_its_ends_and_nothing_beyond():
    row = next(row for row in ROWS.smtp if row.id == "banned-ip")
    covered = {code: row.has_enhanced(code) for code in ("5.7.605", "5.7.606", "5.7.649", "5.7.650", "4.7.610")}
    assert covered == {"5.7.605": False, "5.7.606": True, "5.7.649": True, "5.7.650": False, "4.7.610": False}


def test_the_catalogue_is_read_once():
    assert catalogue() is ROWS
