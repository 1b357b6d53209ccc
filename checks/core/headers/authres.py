"""Authentication-Results: what the receiving organisation found for SPF, DKIM, DMARC and Microsoft's compauth.

RFC 8601, ARC-Authentication-Results (RFC 8617), and what Exchange Online writes instead: no authserv-id at all, the
recipient's domain in front of a result, `action=` beside the properties. Anybody can put such a header into a mail, so
`authentication` takes only those that the receiver stamped.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from checks.core.headers.fields import Headers
from checks.core.headers.tokens import Token, TokenKind, tokenize

MAX_RESULTS = 50
_MAX_LENGTH = 8192
_MAX_TOTAL = 16_384
_MAX_TOKENS = 1000
_MAX_VALUE = 255
_METHOD = re.compile(r"([A-Za-z][\w.-]{0,60})(?:/(\d{1,4}))?\Z", re.ASCII)
_RESULT = re.compile(r"[A-Za-z][\w-]{0,40}", re.ASCII)
_INSTANCE = re.compile(r"i=(\d{1,3})\Z", re.ASCII)
_VERSION = re.compile(r"\d{1,4}\Z", re.ASCII)
_PROPERTY = re.compile(r"[A-Za-z][\w-]{0,60}(?:\.[\w-]{1,60})?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One `method=result` (RFC 8601 section 2.2): method and result in lower case, comment and values as written.

    `properties` are (ptype.property, value) pairs in order. `action` is Microsoft's word for what it did about DMARC,
    `authserv_id` the identifier that Microsoft may repeat in front of a single result.
    """

    method: str
    result: str
    reason: str | None = None
    comment: str | None = None
    action: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    authserv_id: str | None = None

    def property(self, name: str) -> str | None:
        """The value of the first property of this name (`header.d`), or None."""
        return next((value for key, value in self.properties if key == name.lower()), None)


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One header: who says so (None where Exchange Online leaves it out), and the results in order.

    `instance` is the ARC instance number of an ARC-Authentication-Results header.
    """

    authserv_id: str | None = None
    instance: int | None = None
    results: tuple[MethodResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the receiving organisation found. A method that it did not report is None, or empty for DKIM.

    `compauth` is Microsoft's composite authentication; its `reason` is the three-digit code.
    """

    authserv_id: str | None = None
    spf: MethodResult | None = None
    dkim: tuple[MethodResult, ...] = ()
    dmarc: MethodResult | None = None
    compauth: MethodResult | None = None

    def results(self) -> dict[str, str]:
        """The result by method; DKIM passes when any of its signatures does (RFC 6376 section 6.1)."""
        found = {method.method: method.result for method in (self.spf, self.dmarc, self.compauth) if method is not None}
        if self.dkim:
            passed = any(signature.result == "pass" for signature in self.dkim)
            found["dkim"] = "pass" if passed else self.dkim[0].result
        return found


def authentication(headers: Headers, authserv_ids: Collection[str] | None = None) -> Authentication:
    """The results that the receiving organisation stamped on a message.

    With `authserv_ids` the headers with these identifiers count (case aside; an empty string stands for Exchange
    Online's headers without one), and the topmost of them that reports a method decides about it: a header further
    down cannot add to what the receiver said. RFC 8601 section 5 has the receiver remove forged ones of its own name.
    Without `authserv_ids` only the topmost header counts, since every server adds above what it was given. Where the
    receiver stamps none, that header is the sender's: name the identifiers where forgery matters.
    """
    values = headers.all("Authentication-Results")
    if authserv_ids is None:
        stamped = _parsed(values[:1])
    else:
        accepted = {name.lower() for name in authserv_ids}
        stamped = [one for one in _parsed(values) if (one.authserv_id or "").lower() in accepted]
    return Authentication(
        authserv_id=stamped[0].authserv_id if stamped else None,
        spf=_only(stamped, "spf"),
        dkim=_all(stamped, "dkim"),
        dmarc=_only(stamped, "dmarc"),
        compauth=_only(stamped, "compauth"),
    )


def arc_authentication_results(headers: Headers) -> tuple[AuthenticationResults, ...]:
    """The ARC-Authentication-Results of a message, highest instance first: what earlier hosts claim to have found.

    The ARC chain's seals are not verified here; Exchange Online's own view of them is the `arc` method.
    """
    parsed = _parsed(headers.all("ARC-Authentication-Results"))
    return tuple(sorted(parsed, key=lambda one: -(one.instance or 0)))


def parse_authentication_results(value: str) -> AuthenticationResults:
    """One Authentication-Results or ARC-Authentication-Results value; what is malformed in it is left out."""
    authserv_id: str | None = None
    instance: int | None = None
    label: str | None = None
    results: list[MethodResult] = []
    for number, tokens in enumerate(_segments(value[:_MAX_LENGTH])):
        words = [token.text for token in tokens if token.kind is not TokenKind.COMMENT]
        if number == 0 and len(words) == 1 and words[0].startswith("i="):
            instance = _instance(words[0])
        elif not any("=" in word for word in words):
            name = _identifier(words)
            if number <= (instance is not None):
                authserv_id = name
            else:
                label = name
        elif len(results) < MAX_RESULTS:
            result = _result(tokens, label)
            results += [result] if result else []
            label = None
    return AuthenticationResults(authserv_id, instance, tuple(results))


def _parsed(values: Sequence[str]) -> list[AuthenticationResults]:
    """These headers, topmost first, as far as they are read: a sender may have put in thousands."""
    parsed: list[AuthenticationResults] = []
    room = _MAX_TOTAL
    for value in values:
        if room <= 0:
            break
        parsed.append(parse_authentication_results(value))
        room -= min(len(value), _MAX_LENGTH)
    return parsed


def _segments(value: str) -> Iterator[list[Token]]:
    """The tokens between semicolons."""
    for separator, tokens in groupby(
        islice(tokenize(value), _MAX_TOKENS), key=lambda token: token.kind is TokenKind.SEMICOLON
    ):
        if not separator:
            yield list(tokens)


def _instance(word: str) -> int | None:
    match = _INSTANCE.match(word)
    return int(match[1]) if match else None


def _identifier(words: list[str]) -> str | None:
    """The authserv-id of a segment without results, its optional version checked and dropped; `none` is no name."""
    if not words or len(words) > 2 or words[0].lower() == "none":  # noqa: PLR2004 -- an identifier and its version
        return None
    return words[0][:_MAX_VALUE] if len(words) == 1 or _VERSION.match(words[1]) else None


def _result(tokens: list[Token], label: str | None) -> MethodResult | None:
    pairs, comment = _pairs(tokens)
    if not pairs:
        return None
    (method, result), rest = pairs[0], pairs[1:]
    named, resulted = _METHOD.match(method), _RESULT.match(result)
    if named is None or resulted is None:
        return None
    values = {key.lower(): value[:_MAX_VALUE] for key, value in reversed(rest)}
    return MethodResult(
        method=named[1].lower(),
        result=resulted[0].lower(),
        reason=values.get("reason"),
        comment=comment[:_MAX_VALUE] if comment else None,
        action=values.get("action"),
        properties=tuple(
            (key.lower(), value[:_MAX_VALUE])
            for key, value in rest
            if _PROPERTY.match(key) and key.lower() not in ("reason", "action")
        ),
        authserv_id=label,
    )


def _pairs(tokens: list[Token]) -> tuple[list[tuple[str, str]], str | None]:
    """The `key=value` pairs of a segment, and the comment right behind the first of them.

    White space and comments may stand on both sides of `=`, and a value may be part quoted, part not.
    """
    pairs: list[tuple[str, str]] = []
    comment: str | None = None
    key, before, end = "", "", -1
    for token in tokens:
        if token.kind is TokenKind.COMMENT:
            if len(pairs) == 1 and comment is None and not key:
                comment = token.text
            continue
        name, equals, value = token.text.partition("=") if token.kind is TokenKind.WORD else ("", "", token.text)
        if token.start == end and pairs and not key:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + token.text)
        elif key:
            pairs.append((key, token.text))
            key = ""
        elif equals and value:
            pairs.append((name or before, value))
        elif equals:
            key = name or before
            continue
        before = token.text
        end = token.end if pairs else -1
    return pairs, comment


def _only(stamped: list[AuthenticationResults], method: str) -> MethodResult | None:
    found = _all(stamped, method)
    return found[0] if found else None


def _all(stamped: list[AuthenticationResults], method: str) -> tuple[MethodResult, ...]:
    """This method's results in the topmost header that has any."""
    for header in stamped:
        found = tuple(result for result in header.results if result.method == method)
        if found:
            return found
    return ()
