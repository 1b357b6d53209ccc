"""``relaycanary explain``: what it prints, and how it ends."""

import json
import subprocess
import sys
from datetime import datetime

import pytest

from agent.commands.explain import explain

KEYS = [
    "kind",
    "matched",
    "reply",
    "recipients",
    "final",
    "meaning",
    "fix",
    "source",
    "hops",
    "authentication",
    "antispam",
]
RELAY_DENIED = "550 5.7.64 TenantAttribution; Relay Access Denied [AM5EUR02FT012.eop-EUR02.prod.protection.outlook.com]"
RECEIVED = (
    "Received: from AM0PR01MB2.eurprd01.prod.outlook.com (2603::2) by AM0PR01MB1.eurprd01.prod.outlook.com\r\n"
    " with HTTPS; Mon, 23 Nov 2026 10:00:05 +0000\r\n"
    "Received: from Scanner-01.contoso.example (192.0.2.1) by AM5EUR02FT012.mail.protection.outlook.com with\r\n"
    " Microsoft SMTP Server id 15.20.1 via Frontend Transport; Mon, 23 Nov 2026 10:00:01 +0000\r\n"
)
DELIVERED = (
    f"{RECEIVED}"
    "Authentication-Results: spf=pass smtp.mailfrom=contoso.example; dkim=none; dmarc=bestguesspass action=none"
    " header.from=contoso.example;compauth=pass reason=109\r\n"
    "X-Forefront-Antispam-Report: CIP:192.0.2.1;CTRY:NL;SCL:1;SFV:NSPM;CAT:NONE;DIR:INB;\r\n"
    "From: canary@contoso.example\r\nTo: inbox@contoso.example\r\nSubject: canary \x1b[31mred\r\n\r\nhello\r\n"
)


def notice(action, status, diagnostic, *, header=""):
    """A delivery status notification (RFC 3464)."""
    return (
        f"{RECEIVED}From: postmaster@contoso.example\r\nTo: canary@contoso.example\r\n"
        "Subject: Undeliverable: canary\r\n"
        f"{header}Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nDelivery report.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;mx.contoso.example\r\n\r\n"
        f"Final-Recipient: rfc822;user@fabrikam.example\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp;{diagnostic}\r\n\r\n--b--\r\n"
    )


BOUNCE = notice(
    "failed", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
)


@pytest.fixture
def explained(capsys):
    """The objects that ``explain --json`` prints, and its exit code."""

    def run(*inputs):
        code = explain([str(one) for one in inputs], json=True)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()], code

    return run


@pytest.fixture
def mail(tmp_path):
    """A file with a message in it."""

    def write(content):
        path = tmp_path / "message.eml"
        path.write_bytes(content.encode())
        return path

    return write


def test_a_reply_is_taken_apart_and_explained(explained):
    (one,), code = explained(RELAY_DENIED)
    assert (list(one), code) == (KEYS, 0)
    assert (one["kind"], one["matched"], one["final"]) == ("reply", True, None)
    assert one["reply"] == {"code": 550, "enhanced": "5.7.64", "text": RELAY_DENIED[11:]}
    assert "connector" in one["meaning"]
    assert "accepted domain" in one["fix"]
    assert one["source"].startswith("learn.microsoft.com/")
    assert (one["recipients"], one["hops"], one["authentication"], one["antispam"]) == ([], [], {}, {})


def test_a_code_without_a_row_is_matched_by_its_class(explained):
    (one,), code = explained("550 5.6.99 strange")
    assert (one["matched"], code) == (True, 0)
    assert one["fix"]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (
            "AADSTS7000222: The provided client secret keys are expired.",
            {"code": None, "enhanced": "AADSTS7000222", "text": "The provided client secret keys are expired."},
        ),
        (
            '{"error": {"code": "ErrorSendAsDenied", "message": "No right."}}',
            {"code": None, "enhanced": "ErrorSendAsDenied", "text": "No right."},
        ),
        ("connect to mx.contoso.example[192.0.2.1]:25: Connection refused", None),
    ],
)
def test_what_is_no_smtp_reply_is_an_error(explained, line, reply):
    (one,), code = explained(line)
    assert (one["kind"], one["matched"], one["reply"], code) == ("error", True, reply, 0)


def test_what_is_not_known_is_said_to_be_and_ends_with_1(explained):
    found, code = explained(RELAY_DENIED, "the printer is sad")
    assert [one["matched"] for one in found] == [True, False]
    assert (found[1]["kind"], found[1]["meaning"], found[1]["reply"], code) == ("error", None, None, 1)


def test_a_bounce_is_explained_by_what_the_server_answered(explained, mail):
    (one,), code = explained(mail(BOUNCE))
    assert (list(one), code) == (KEYS, 0)
    assert (one["kind"], one["matched"], one["final"]) == ("bounce", True, True)
    assert one["recipients"] == [
        {"address": "user@fabrikam.example", "action": "failed", "status": "5.1.10", "code": 550}
    ]
    assert one["reply"]["text"].startswith("RESOLVER.ADR.RecipientNotFound")
    assert "no mailbox" in one["meaning"]
    assert len(one["hops"]) == 2


def test_a_delay_is_a_bounce_that_is_not_final(explained, mail):
    (one,), code = explained(mail(notice("delayed", "4.4.7", "400 4.4.7 Message delayed")))
    assert (one["kind"], one["final"], one["matched"], code) == ("bounce", False, True, 0)


def test_a_bounce_whose_reason_nobody_knows_ends_with_1(explained, mail):
    (one,), code = explained(mail(notice("failed", "", "because")))
    assert (one["kind"], one["matched"], one["final"], code) == ("bounce", False, True, 1)


def test_a_delivered_message_shows_its_hops_oldest_first_its_authentication_and_its_filtering(explained, mail):
    (one,), code = explained(mail(DELIVERED))
    assert (list(one), code) == (KEYS, 0)
    assert (one["kind"], one["final"], one["recipients"], one["meaning"]) == ("message", None, [], None)
    assert [hop["from"] for hop in one["hops"]] == [
        "Scanner-01.contoso.example",
        "AM0PR01MB2.eurprd01.prod.outlook.com",
    ]
    assert [hop["delay_seconds"] for hop in one["hops"]] == [None, 4.0]
    assert list(one["hops"][0]) == ["from", "by", "with", "date", "delay_seconds"]
    assert datetime.fromisoformat(one["hops"][0]["date"]).utcoffset() is not None
    assert one["authentication"] == {"spf": "pass", "dkim": "none", "dmarc": "bestguesspass", "compauth": "pass"}
    assert (one["antispam"]["scl"], one["antispam"]["cat"]) == (1, "NONE")


def test_an_automatic_answer_is_a_message(explained, mail):
    answer = (
        f"{RECEIVED}Auto-Submitted: auto-replied\r\nFrom: user@fabrikam.example\r\nSubject: Away\r\n\r\nI am away.\r\n"
    )
    (one,), code = explained(mail(answer))
    assert (one["kind"], one["final"], code) == ("message", None, 0)


def test_a_file_that_is_no_message_is_read_as_a_log(explained, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("".join(f"line {number} says nothing\n" for number in range(60)) + f"said: {RELAY_DENIED}\n")
    (one,), code = explained(log)
    assert (one["kind"], one["reply"]["enhanced"], code) == ("reply", "5.7.64", 0)


DIALOGUE = (
    "220 mx.contoso.example Microsoft ESMTP MAIL Service ready\r\nEHLO scanner\r\n250-mx.contoso.example Hello\r\n"
    "250 SIZE 157286400\r\nMAIL FROM:<scanner@contoso.example>\r\n250 2.1.0 Sender OK\r\n"
    f"RCPT TO:<user@fabrikam.example>\r\n{RELAY_DENIED}\r\nQUIT\r\n221 2.0.0 Service closing transmission channel\r\n"
)
SENT = "postfix/smtp[550]: to=<x@y.example>, status=sent (250 2.0.0 Ok)\n"


def test_of_a_dialogue_the_refusal_is_explained_and_not_what_went_well(explained):
    (one,), code = explained(DIALOGUE)
    assert (one["reply"]["enhanced"], one["reply"]["text"], code) == ("5.7.64", RELAY_DENIED[11:], 0)


def test_of_a_long_log_the_refusal_is_found_however_late_it_comes(explained, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(5000 * SENT + f"said: {RELAY_DENIED}\n")
    (one,), _ = explained(log)
    assert one["reply"]["enhanced"] == "5.7.64"


def test_a_log_in_which_all_went_well_says_so(explained, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(5000 * SENT)
    (one,), code = explained(log)
    assert (one["reply"]["code"], code) == (250, 0)


def test_a_reply_that_was_wrapped_is_explained_as_a_whole(explained):
    (one,), _ = explained("554 5.2.0 STOREDRV.Submission.Exception:\n  SubmissionQuotaExceededException")
    assert "24 hours" in one["meaning"]


OUTLOOK_TEXT = (
    "Your message to user@fabrikam.example couldn't be delivered.\n\nuser wasn't found at fabrikam.example.\n\n"
    "More Info for Email Admins\nStatus code: 550 5.1.10\n\nOriginal Message Details\nSubject: test\n\nError Details\n"
    "Reported error: 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup\n"
    "DSN generated by: AM0PR01MB1.eurprd01.prod.outlook.com\n\nOriginal Message Headers\nFrom: canary@contoso.example\n"
)
OLDER_OUTLOOK_TEXT = (
    "Delivery has failed to these recipients or groups:\n\nuser@fabrikam.example\nThe server did not respond.\n\n"
    "Diagnostic information for administrators:\n\nGenerating server: AM0PR01MB1.eurprd01.prod.outlook.com\n"
    "Total retry attempts: 12\n\nuser@fabrikam.example\n"
    "11/26/2026 2:00:00 AM - Server at AM0PR01MB1.eurprd01.prod.outlook.com returned "
    "'550 5.4.316 Message expired, connection refused(Socket error code 10061)'\n"
)
ONE_LINE_OF_IT = "Remote Server returned '< #5.7.64 smtp;550 5.7.64 TenantAttribution; Relay Access Denied>'"


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [(OUTLOOK_TEXT, 550, "5.1.10"), (OLDER_OUTLOOK_TEXT, 550, "5.4.316"), (ONE_LINE_OF_IT, 550, "5.7.64")],
)
def test_the_text_that_outlook_shows_of_a_bounce_is_explained_by_the_line_that_tells(explained, text, code, enhanced):
    (one,), ended = explained(text)
    assert (one["reply"]["code"], one["reply"]["enhanced"], ended) == (code, enhanced, 0)
    assert len(one["reply"]["text"]) < 120


def test_blanks_that_a_mail_program_put_in_do_not_hide_the_codes(explained):
    (one,), _ = explained(
        "Remote Server returned '550\u00a05.7.64\u00a0Tenant\u200bAttribution;\u00a0Relay Access Denied'"
    )
    assert one["reply"] == {"code": 550, "enhanced": "5.7.64", "text": "TenantAttribution; Relay Access Denied"}


def test_a_file_in_utf_16_is_read_as_what_it_is(explained, tmp_path):
    file = tmp_path / "powershell.txt"
    file.write_text(f"{RELAY_DENIED}\r\n", encoding="utf-16")
    (one,), code = explained(file)
    assert (one["reply"]["enhanced"], code) == ("5.7.64", 0)


def test_an_outlook_file_is_said_to_be_one(capsys, tmp_path):
    file = tmp_path / "bounce.msg"
    file.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    assert explain([str(file)], json=False) == 1
    assert "save the message as .eml" in capsys.readouterr().out


def test_an_empty_input_is_said_to_be_empty(capsys):
    assert explain([" \n"], json=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "(nothing)",
        "  meaning        There is nothing to explain: the input is empty.",
    ]


def test_a_reply_of_several_lines_is_one_reply(explained):
    (one,), _ = explained("550-5.7.64 TenantAttribution;\r\n550 5.7.64 Relay Access Denied")
    assert one["reply"]["text"] == "TenantAttribution; Relay Access Denied"


def test_standard_input_may_be_a_message():
    command = "import sys; from agent.commands.explain import explain; sys.exit(explain(['-'], json=True))"
    done = subprocess.run([sys.executable, "-c", command], input=BOUNCE.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["kind"] == "bounce"


def test_a_directory_cannot_be_explained_and_the_rest_still_is(tmp_path, capsys):
    assert explain([str(tmp_path), RELAY_DENIED], json=True) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert "cannot be read" in printed.err


@pytest.mark.parametrize("one", ["", "\0", "x" * 100_000, "\x1b]0;title\x07", "\udce9 lone surrogate", "550", "5.7.64"])
def test_no_input_is_a_traceback(explained, one):
    (found,), code = explained(one)
    assert list(found) == KEYS
    assert code in (0, 1)


def test_the_text_form_names_meaning_fix_and_source_a_line_each_in_a_pipe(capsys):
    assert explain([RELAY_DENIED], json=False) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == RELAY_DENIED
    assert [line.split()[0] for line in lines] == ["meaning", "fix", "source"]


def test_the_text_form_of_mail_shows_recipients_and_hops_and_nothing_that_controls_a_terminal(capsys, mail):
    explain([str(mail(BOUNCE))], json=False)
    text = capsys.readouterr().out
    assert text.startswith("Bounce: Undeliverable: canary\n")
    assert "user@fabrikam.example: failed 550 5.1.10" in text
    explain([str(mail(DELIVERED))], json=False)
    text = capsys.readouterr().out
    assert "(+4 s) from AM0PR01MB2" in text
    assert "spf pass" in text
    assert "\x1b" not in text
