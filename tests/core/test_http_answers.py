import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entra import jwt

from checks.core.http import error_codes, error_reply, retry_after, roles_of
from checks.core.roles import Use, doubt

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
GRAPH = {"error": {"code": "ErrorItemNotFound", "message": "Not found.", "innerError": {"request-id": "1"}}}
NESTED = {"error": {"message": "", "innerError": {"code": "SyncStateNotFound", "message": "Resync.\r\nNow."}}}
ENTRA = {"error": "invalid_client", "error_description": "AADSTS7000222: The keys are expired. Trace ID: 1b2c"}


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (GRAPH, "ErrorItemNotFound", "Not found."),
        (NESTED, "SyncStateNotFound", "Resync. Now."),
        (ENTRA, "AADSTS7000222", "The keys are expired. Trace ID: 1b2c"),
        ({"error": "invalid_request"}, "invalid_request", "invalid_request"),
        ({"error": "no word\x1b[2J"}, None, "no word\\x1b[2J"),
        ({"error": {"code": "with space", "message": 5}}, None, ""),
        ({"error": {"code": ["x"], "message": "m"}}, None, "m"),
        ({"error": 5}, None, '{"error": 5}'),
        ([], None, "[]"),
        ("<html>proxy</html>", None, "<html>proxy</html>"),
        ("", None, ""),
    ],
)
def test_an_error_is_read_in_the_forms_of_graph_and_entra_and_else_kept_as_text(body, code, text):
    reply = error_reply(400, body if isinstance(body, str) else json.dumps(body))
    assert (reply.code, reply.enhanced, reply.text) == (400, code, text)


def test_all_codes_of_a_nested_error_count():
    body = {"error": {"code": "resyncRequired", "innerError": {"code": "SyncStateNotFound"}}}
    assert error_codes(json.dumps(body)) == {"resyncRequired", "SyncStateNotFound"}
    assert error_codes(b"\xff") == frozenset()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        ("1.5", 1.5),
        (" 30 ", 30.0),
        ("999999999", 3600.0),
        ("Thu, 26 Nov 2026 03:00:30 GMT", 30.0),
        ("Thu, 26 Nov 2026 02:59:00 GMT", 0.0),
        ("Thu, 26 Nov 2099 03:00:00 GMT", 3600.0),
        ("Thu, 26 Nov 2026 03:00:30", 30.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("99999999999999", None),
    ],
)
def test_a_wish_to_be_left_alone_is_a_number_of_seconds_or_a_date(value, seconds):
    assert retry_after({"retry-after": value}, NOW) == seconds


def test_without_the_field_there_is_no_wish():
    assert retry_after({}, NOW) is None


def _token(payload):
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("token", "roles"),
    [
        (jwt(["Mail.Send", "Mail.Read"]), {"Mail.Send", "Mail.Read"}),
        (jwt([]), set()),
        (jwt(None), set()),
        (_token(b'{"roles": ["a", 5, null]}'), {"a"}),
        (_token(b'{"roles": "Mail.Send"}'), set()),
        (_token(b"[]"), None),
        (_token(b"\xff"), None),
        ("EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA", None),
        ("a.b", None),
        ("a.!!!.c", None),
        ("..", None),
    ],
)
def test_the_roles_of_a_token_are_read_where_it_is_readable(token, roles):
    assert roles_of(token) == roles


@given(st.text(), st.binary())
def test_nothing_that_a_server_sends_raises(text, raw):
    error_reply(400, text)
    error_reply(400, raw)
    error_codes(raw)
    roles_of(text)
    retry_after({"retry-after": text}, NOW)


@pytest.mark.parametrize(
    ("roles", "use", "lacking"),
    [
        ({"SMTP.SendAsApp"}, Use.SMTP, ""),
        ({"IMAP.AccessAsApp"}, Use.SMTP, "SMTP.SendAsApp"),
        (set(), Use.IMAP, "IMAP.AccessAsApp"),
        ({"Mail.ReadWrite"}, Use.GRAPH_READ, ""),
        ({"Mail.Read"}, Use.GRAPH_READ, ""),
        ({"Mail.Send"}, Use.GRAPH_READ, "Mail.Read or Mail.ReadWrite"),
        ({"Mail.Read"}, Use.GRAPH_DELETE, "Mail.ReadWrite"),
        ({"Mail.ReadWrite"}, Use.GRAPH_SEND, "Mail.Send"),
        (None, Use.GRAPH_SEND, ""),
    ],
)
def test_a_role_that_is_missing_is_named(roles, use, lacking):
    said = doubt(roles, use)
    assert said.startswith(f"the token has no role {lacking}:") if lacking else said == ""
