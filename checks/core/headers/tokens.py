"""Structured header values cut into words, quoted strings, comments and semicolons.

The lexical layer of RFC 5322 section 3.2, made tolerant: comments nest, an unterminated comment or quoted string runs
to the end, and everything else is a word. One pass, so that the cost is linear whatever was written.
"""

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

# A word may hold a bracketed group with spaces: `[XMail 1.20 ESMTP Server]`, `[IPv6:2001:db8::1]`.
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<semicolon>;)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)(?:"|\\?\Z)'
    r'|(?P<word>(?:[^\s;()"\[]|\[[^\[\]()]{0,200}\])+|.)',
    re.DOTALL,
)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class TokenKind(enum.Enum):
    """What a token is."""

    WORD = enum.auto()
    QUOTED = enum.auto()
    COMMENT = enum.auto()
    SEMICOLON = enum.auto()


class Token(NamedTuple):
    """One token and its offsets: a quoted string without its quotes, a comment without its outer parentheses."""

    kind: TokenKind
    text: str
    start: int
    end: int


def tokenize(value: str) -> Iterator[Token]:
    """The tokens of a header value, in order."""
    position = 0
    while position < len(value):
        token = _comment(value, position) if value[position] == "(" else _plain(value, position)
        if token is None:
            position += 1
            continue
        if token.text or token.kind is not TokenKind.WORD:
            yield token
        position = token.end


def _plain(value: str, start: int) -> Token | None:
    """The word, quoted string, semicolon or (as an empty word) white space that starts here."""
    match = _TOKEN.match(value, start)
    if match is None:
        return None
    if match["semicolon"]:
        return Token(TokenKind.SEMICOLON, ";", start, match.end())
    if match["quoted"] is not None:
        return Token(TokenKind.QUOTED, _QUOTED_PAIR.sub(r"\1", match["quoted"]), start, match.end())
    return Token(TokenKind.WORD, match["word"] or "", start, match.end())


def _comment(value: str, start: int) -> Token:
    """The comment that opens here; comments nest (RFC 5322 section 3.2.2)."""
    depth = 0
    for match in _PARENTHESIS.finditer(value, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return Token(TokenKind.COMMENT, value[start + 1 : match.start()].strip(), start, match.end())
    return Token(TokenKind.COMMENT, value[start + 1 :].strip(), start, len(value))
