"""How an answer or a pasted line finds its row."""

import pytest

from checks.core.model import Protocol, Reply, Stage
from checks.knowledge import (
    Exactness,
    Statement,
    diagnose,
    diagnose_statement,
    diagnose_text,
    read_statement,
)


def said(line):
    statement = read_statement(line)
    return statement.code, statement.enhanced, statement.text


def reply(code, enhanced, text=""):
    return Reply(code=code, enhanced=enhanced, text=text)


def test_words_are_more_exact_than_a_code_and_a_code_more_than_its_class():
    exact = [
        diagnose(reply(550, code, text)).exactness
        for code, text in (
            ("5.7.68", "TenantInboundAttribution; Direct Send not allowed"),
            ("5.7.68", "edited"),
            ("5.4.99", "?"),
        )
    ]
    assert exact == [Exactness.TEXT, Exactness.CODE, Exactness.CLASS]


def test_a_code_of_one_row_is_found_though_the_words_were_edited():
    assert diagnose(reply(550, "5.7.520", "No forwarding, please")).row == "external-forwarding"


def test_a_code_of_several_rows_without_a_default_is_only_a_class():
    """4.7.0 is everybody's code: guessing one of its rows would mislead."""
    found = diagnose(reply(451, "4.7.0", "greylisted"))
    assert (found.row, found.exactness) == ("detail-7.0", Exactness.CLASS)


def test_an_unusual_reply_code_is_forgiven_where_the_enhanced_code_and_the_words_agree():
    assert diagnose(reply(554, "5.7.1", "blocked using Spamhaus")).row == "spamhaus-ip"


def test_words_of_another_code_do_not_count():
    assert diagnose(reply(550, "5.1.1", "blocked using Spamhaus")).row == "user-unknown"


def test_words_decide_where_the_enhanced_code_is_missing():
    assert diagnose(reply(550, None, "Access denied, banned sending IP [192.0.2.1]")).row == "banned-ip"


def test_common_words_without_their_code_decide_nothing():
    assert diagnose(reply(535, None, "Authentication failed")).row == "reply-534-535"


@pytest.mark.parametrize(
    ("code", "enhanced", "row"),
    [
        (550, "5.1.1", "user-unknown"),
        (554, "5.1.1", "detail-1.1"),
        (550, "5.1.99", "subject-1"),
        (451, "4.4.99", "subject-4"),
        (454, "4.7.0", "detail-7.0-reply-454"),
        (552, None, "reply-552"),
        (599, None, "class-5"),
        (499, None, "class-4"),
        (250, "2.1.5", "class-2"),
        (354, None, "class-3"),
    ],
)
def test_a_code_without_a_row_of_its_own_is_explained_by_what_the_standards_say(code, enhanced, row):
    assert diagnose(reply(code, enhanced, "words")).row == row


@pytest.mark.parametrize(("code", "word"), [(451, "temporary"), (550, "permanent")])
def test_a_class_says_whether_trying_again_can_help_as_the_reply_code_has_it(code, word):
    assert word in diagnose(reply(code, "5.7.99", "words")).meaning


def test_the_stage_decides_where_a_code_has_two_meanings():
    assert diagnose(reply(554, None, "no"), stage=Stage.GREETING).row == "reply-421-554-greeting"
    assert diagnose(reply(550, None, "no"), stage=Stage.DATA).row == "reply-550-data"
    assert diagnose(reply(550, None, "no"), stage=Stage.RCPT).row == "reply-550-553"


def test_the_method_decides_between_rows_that_share_a_code():
    """Without a reply code, as in a bounce's Status, 5.1.8 is our own blocked account or a sender refused elsewhere."""
    statement = Statement(None, "5.1.8", "new words")
    rows = {method: diagnose_statement(statement, method=method) for method in (None, "submission")}
    assert rows[None].exactness is Exactness.CLASS
    assert rows["submission"].row == "bad-outbound-sender"


def test_a_quoted_reply_is_explained_too_and_its_fix_is_the_one_that_helps():
    line = (
        "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.139 Authentication unsuccessful, "
        "SmtpClientAuthentication is disabled for the Tenant."
    )
    found, inner = diagnose_text(line), diagnose_text(line[line.index("535") :])
    assert found.row == "not-authenticated-to-send"
    assert inner.meaning in found.meaning
    assert found.fix == inner.fix


def test_the_reply_of_the_next_server_is_explained_within_the_queues_report():
    found = diagnose_text(
        '451 4.4.0 Primary target IP address responded with: "421 4.4.2 Connection dropped due to SocketError"'
    )
    assert found.row == "target-responded-with"
    assert "session was cut" in found.meaning


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "535 5.7.3 Authentication unsuccessful [X.prod.outlook.com]",
            (535, "5.7.3", "Authentication unsuccessful [X.prod.outlook.com]"),
        ),
        ("550-5.4.1 first\n550 5.4.1 second", (550, "5.4.1", "first second")),
        (
            "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful')",
            (535, "5.7.3", "Authentication unsuccessful"),
        ),
        (
            "Error: Invalid login: 535 5.7.139 Authentication unsuccessful, account locked",
            (535, "5.7.139", "Authentication unsuccessful, account locked"),
        ),
        (
            "The server response was: 5.7.57 Client not authenticated to send mail",
            (None, "5.7.57", "Client not authenticated to send mail"),
        ),
        (
            "4F: dsn=5.7.64, status=bounced (host mx[192.0.2.1] said: 550 5.7.64 no (in reply to RCPT TO command))",
            (550, "5.7.64", "no"),
        ),
        ("host mx.example[192.0.2.1] said: 554 go away (in reply to end of DATA command)", (554, None, "go away")),
        ("HTTP 429 from Graph", (429, None, "HTTP 429 from Graph")),
    ],
)
def test_a_reply_is_found_wherever_programs_put_it(line, wanted):
    assert said(line) == wanted


def test_the_refused_command_of_a_postfix_line_counts_as_the_stage():
    found = diagnose_text("host mx.example[192.0.2.1] said: 550 go away (in reply to end of DATA command)")
    assert found.row == "reply-550-data"


def test_addresses_versions_and_sizes_are_no_codes():
    assert read_statement("connect from unknown[4.7.0.25] with TLS 1.2, 550 bytes, Postfix 3.5.6") is None


def test_an_error_of_entra_counts_wherever_it_stands():
    line = (
        '{"error":"invalid_client","error_description":"AADSTS7000222: The keys are expired.","error_codes":[7000222]}'
    )
    assert (read_statement(line).protocol, diagnose_text(line).row) == (Protocol.ENTRA, "entra-secret-expired")


def test_an_http_status_alone_is_explained_in_general():
    assert (
        diagnose_text("503 Server Error: Service Unavailable for url https://graph.microsoft.com").row
        == "http-500-502-503-504"
    )


def test_an_smtp_503_is_not_taken_for_an_http_status():
    assert diagnose(reply(503, None, "what?")).row == "reply-500-501-502-503-504-555"
    assert diagnose(reply(503, None, "what?"), stage=Stage.REQUEST).row == "http-500-502-503-504"


def test_answers_of_graph_and_entra_are_told_by_their_error_code():
    assert diagnose(reply(403, "ErrorSendAsDenied", "no")).row == "graph-send-as-denied"
    assert diagnose(reply(401, "AADSTS7000215", "no"), stage=Stage.TOKEN).row == "entra-secret-invalid"
    assert diagnose(reply(403, "SomethingNew", "no"), method="graph_send").row == "http-403"


@pytest.mark.parametrize("line", ["", " ", "hello", "\x00\x1b[31m", "=" * 5000, "12345", "2026-11-23 10:00:00 started"])
def test_what_says_nothing_is_not_explained(line):
    assert diagnose_text(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "550 5.7.64 " + "A" * 100_000,
        "550 " * 20_000,
        "5.7.1 " * 20_000,
        ":25 " * 30_000,
        "(550, b'" * 10_000,
        "refused " * 20_000,
    ],
)
def test_long_hostile_lines_are_bounded(line):
    statement = read_statement(line)
    assert statement is None or len(statement.text) <= 2000
    diagnose_text(line)


def test_a_statement_is_clean_for_display():
    assert "\x1b" not in read_statement("550 5.7.1 \x1b[31mred").text
