"""Lines as people paste them: replies in log lines, exceptions and bounces, errors of Entra and Graph.

Everything is hostile: bounded, cleaned for display, and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from checks.core.model import Protocol, Stage
from checks.core.reply import ENHANCED_CODE, MAX_TEXT, clean_text, read_reply
from checks.knowledge.model import Statement

_MAX_LINE = 16_384
_ENHANCED = r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![\w]|\.[0-9])"
# `550 5.7.64 …`, `550-5.7.64 …`, Python's `(550, b'5.7.64 …')`, Exchange's `550 #5.1.1 …`
_PAIR = re.compile(rf"(?<![\d.\w-])([2-5][0-9]{{2}})[\s,:#('\"b-]{{1,6}}({_ENHANCED})[\s:-]*", re.ASCII)
# A lone reply code is only one where something says so; elsewhere it is a size, a port or a year.
_NAMED_REPLY = re.compile(
    r"\b(?:said|says|response|responded(?: with)?|replied|reply|returned|error|code|smtp;|server)\b"
    r"[\s:=]{1,3}(?:code[\s:=]{1,3})?([245][0-9]{2})(?=[\s,;:-])[\s,;:-]*",
    re.IGNORECASE | re.ASCII,
)
_AADSTS = re.compile(r"\b(AADSTS[0-9]{4,8})\b[\s:]*")
_HTTP_STATUS = re.compile(
    r"\b(?:HTTP(?:/[\d.]{1,3})?|status(?:[ _]?code)?)[\s:=\"']{1,4}([45][0-9]{2})\b(?!\.)"
    r"|\b(400|401|403|404|410|413|429|500|502|503|504|507)(?: Client| Server)?(?: Error)?:? "
    r"(?:Bad Request|Unauthorized|Forbidden|Not Found|Gone|Too Many Requests|Internal Server|Bad Gateway"
    r"|Service Unavailable|Gateway Time)",
    re.IGNORECASE | re.ASCII,
)
_GRAPH_CODE = re.compile(r"\"code\"\s*:\s*\"(\w{3,80})\"")
_GRAPH_MESSAGE = re.compile(r"\"message\"\s*:\s*\"((?:[^\"\\]|\\.){0,2000})\"")
_WORD = re.compile(r"\b\w{8,80}\b", re.ASCII)
_IN_REPLY_TO = re.compile(r"\s*\(in reply to (?P<command>[\w ]{2,40}?)(?: command)?\)\)?\s*\Z", re.IGNORECASE)
# The codes stand within quotes or brackets, which close behind the text.
_OPENED = re.compile(r"[('\"][^)'\"]*\Z")
_NEAR = 200
_COMMANDS = {
    "helo": Stage.EHLO,
    "ehlo": Stage.EHLO,
    "starttls": Stage.STARTTLS,
    "auth": Stage.AUTH,
    "mail from": Stage.MAIL,
    "rcpt to": Stage.RCPT,
    "data": Stage.DATA,
    "end of data": Stage.DATA,
}


def read_line(line: str, error_codes: Collection[str] = ()) -> Statement | None:
    """The first statement of a server in a line, or None where no code of any kind stands.

    Args:
        line: one line, or several that belong together (a multi-line reply, a JSON error).
        error_codes: the error codes of Graph that are known by name, wherever they stand.
    """
    line = line[:_MAX_LINE].strip()
    return _entra(line) or _reply(line) or _graph(line, error_codes) or _lone_code(line)


def quoted_reply(text: str) -> Statement | None:
    """The reply with both codes that a reply's text quotes, or None."""
    return _pair(text)


def stage_in(line: str) -> Stage | None:
    """The command that a log line names as the refused one, as Postfix does: `(in reply to RCPT TO command)`."""
    match = _IN_REPLY_TO.search(line[:_MAX_LINE])
    return _COMMANDS.get(match["command"].lower()) if match else None


def _entra(line: str) -> Statement | None:
    match = _AADSTS.search(line)
    if match is None:
        return None
    return Statement(_http_status(line), match[1], _rest(line, match.end()), Protocol.ENTRA)


def _reply(line: str) -> Statement | None:
    """A reply as it came over the wire, or the first pair of codes within the line."""
    reply = read_reply(line)
    if reply is not None and (reply.enhanced is not None or _http_status(line) is None):
        return Statement(reply.code, reply.enhanced, _without_command(reply.text))
    return _pair(line)


def _pair(line: str) -> Statement | None:
    match = _PAIR.search(line)
    return Statement(int(match[1]), match[2], _rest(line, match.end())) if match else None


def _graph(line: str, error_codes: Collection[str]) -> Statement | None:
    found = _GRAPH_CODE.search(line)
    code = found[1] if found else next((word for word in _WORD.findall(line) if word in error_codes), None)
    status = _http_status(line)
    if code is None and status is None:
        return None
    message = _GRAPH_MESSAGE.search(line)
    return Statement(status, code, clean_text(message[1] if message else line), Protocol.GRAPH)


def _lone_code(line: str) -> Statement | None:
    """An enhanced code without a reply code, or a reply code that is called one."""
    enhanced = ENHANCED_CODE.search(line)
    if enhanced:
        return Statement(None, enhanced[1], _rest(line, enhanced.end()))
    named = _NAMED_REPLY.search(line)
    return Statement(int(named[1]), None, _rest(line, named.end())) if named else None


def _http_status(line: str) -> int | None:
    match = _HTTP_STATUS.search(line)
    return int(match[1] or match[2]) if match else None


def _rest(line: str, start: int) -> str:
    """What follows the codes: the server's words, without the quotes and brackets of whoever logged them."""
    text = _without_command(clean_text(line[start : start + 4 * MAX_TEXT]).lstrip(" :-"))
    return text.rstrip("'\")") if _OPENED.search(line[max(0, start - _NEAR) : start]) else text


def _without_command(text: str) -> str:
    return _IN_REPLY_TO.sub("", text)
