"""The OData query options that Graph takes for messages: $select, $filter, $orderby, $top and $skip. Pure.

Source: "Use query parameters to customize responses", and OData 4.01 URL conventions section 5.1.1 for $filter.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from checks.lab.graph.errors import bad_request
from checks.lab.graph.items import PROPERTIES, Item

PAGE = 10
"""Messages of a page, unless told."""
_LARGEST_PAGE = 1000
_LONGEST_FILTER = 4096  # characters
_DEEPEST = 20  # brackets and negations within each other
_KNOWN = {"$select", "$filter", "$orderby", "$top", "$skip", "$count"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')
    |(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?)
    |(?P<word>[A-Za-z][A-Za-z/]*)
    |(?P<mark>[(),]))""",
    re.VERBOSE,
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
}
_VALUES: Mapping[str, Callable[[Item], Any]] = {
    "receivedDateTime": lambda item: item.received,
    "sentDateTime": lambda item: item.sent,
    "subject": lambda item: item.header("Subject").lower(),
    "internetMessageId": lambda item: item.header("Message-ID").lower(),
    "isRead": lambda item: item.read,
    "from/emailAddress/address": lambda item: item.address("From"),
    "sender/emailAddress/address": lambda item: item.address("Sender") or item.address("From"),
}
"""What can be compared and sorted by; texts without regard to case."""

Predicate = Callable[[Item], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """What a client wants to see."""

    select: tuple[str, ...] | None
    keep: Predicate
    order: tuple[tuple[str, bool], ...]
    """Properties to sort by, each with True for descending."""
    top: int
    skip: int

    def sorted(self, items: list[Item]) -> list[Item]:
        """Return the messages in order, the newest first unless told."""
        for name, descending in reversed(self.order or (("receivedDateTime", True),)):
            items.sort(key=_arrival if name == "receivedDateTime" else _VALUES[name], reverse=descending)
        return items


def _arrival(item: Item) -> tuple[float, int]:
    """Sort by more than the whole seconds that are shown."""
    return item.mail.arrived, item.uid


def read_query(options: Mapping[str, str]) -> Query:
    """Read the options of a request.

    Raises:
        GraphError: one is unknown or makes no sense.
    """
    if odd := [name for name in options if name.startswith("$") and name not in _KNOWN]:
        raise bad_request(f"The query parameter '{odd[0][:40]}' is not simulated by the lab.")
    keep, filtered = read_filter(options.get("$filter", ""))
    order = _order(options.get("$orderby", ""))
    names = [name for name, _ in order]
    if filtered and names and filtered[: len(names)] != names:
        message = "The restriction or sort order is too complex for this operation."
        raise bad_request(message, "InefficientFilter")
    return Query(
        select=read_select(options.get("$select")),
        keep=keep,
        order=order,
        top=_number(options, "$top", PAGE, 1, _LARGEST_PAGE),
        skip=_number(options, "$skip", 0, 0, 10**9),
    )


def read_select(text: str | None) -> tuple[str, ...] | None:
    """Read $select; None means the default properties."""
    if not text:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PROPERTIES:
            raise bad_request(
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{name[:60]}' on type 'microsoft.graph.message'.",
                "RequestBroker--ParseUri",
            )
    return tuple(dict.fromkeys(name for name in names if name != "id"))


def _order(text: str) -> tuple[tuple[str, bool], ...]:
    order = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, direction = part.partition(" ")
        if name not in _VALUES or direction.strip() not in {"", "asc", "desc"}:
            raise bad_request(f"Could not sort by '{part[:60]}'.", "RequestBroker--ParseUri")
        order.append((name, direction.strip() == "desc"))
    return tuple(order)


def _number(options: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = options.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not lowest <= int(text[:12]) <= highest:
        raise bad_request(f"Invalid value '{text[:20]}' for {name} query option found.", "ErrorInvalidUrlQuery")
    return int(text)


def read_filter(text: str) -> tuple[Predicate, list[str]]:
    """Read $filter; return the test, and the properties it looks at in their order.

    Raises:
        GraphError: the filter makes no sense, or is more than the lab knows.
    """
    if not text.strip():
        return (lambda _: True), []
    reader = _FilterReader(_tokens(text))
    test = reader.either()
    if reader.rest:
        raise _invalid(reader.rest[0])
    return test, list(dict.fromkeys(reader.properties))


def _invalid(at: str) -> Exception:
    return bad_request(f"Invalid filter clause: syntax error at '{at[:40]}'.", "ErrorInvalidUrlQueryFilter")


def _tokens(text: str) -> list[str]:
    if len(text) > _LONGEST_FILTER:
        raise bad_request("Invalid filter clause: it is too long.", "ErrorInvalidUrlQueryFilter")
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _invalid(text[at:])
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


class _FilterReader:
    """A recursive descent: or binds less than and, and less than not."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.rest = list(tokens)
        self.properties: list[str] = []
        self._depth = 0

    def either(self) -> Predicate:
        tests = [self._all()]
        while self._next_is("or"):
            self.rest.pop(0)
            tests.append(self._all())
        return lambda item: any(test(item) for test in tests)

    def _all(self) -> Predicate:
        tests = [self._one()]
        while self._next_is("and"):
            self.rest.pop(0)
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Predicate:
        word = self._take()
        if word in {"not", "("}:
            return self._nested(word)
        if word in _FUNCTIONS:
            return self._function(_FUNCTIONS[word])
        value = self._property(word)
        compare = _COMPARE.get(self._take())
        if compare is None:
            raise _invalid(word)
        literal = self._literal(word)
        return lambda item: compare(value(item), literal)

    def _nested(self, word: str) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _invalid(word)
        if word == "not":
            test = self._one()
            self._depth -= 1
            return lambda item: not test(item)
        test = self.either()
        self._expect(")")
        self._depth -= 1
        return test

    def _function(self, function: Callable[[str, str], bool]) -> Predicate:
        self._expect("(")
        name = self._take()
        value = self._property(name)
        self._expect(",")
        literal = self._literal(name)
        self._expect(")")
        if not isinstance(literal, str):
            raise _invalid(name)
        return lambda item: function(value(item), literal)

    def _property(self, name: str) -> Callable[[Item], Any]:
        if name not in _VALUES:
            raise _invalid(name)
        self.properties.append(name)
        return _VALUES[name]

    def _literal(self, name: str) -> Any:
        text = self._take()
        if name.endswith("DateTime"):
            return _time(text)
        if name == "isRead":
            if text not in {"true", "false"}:
                raise _invalid(text)
            return text == "true"
        if not text.startswith("'"):
            raise _invalid(text)
        return text[1:-1].replace("''", "'").lower()

    def _take(self) -> str:
        if not self.rest:
            raise _invalid("end of filter")
        return self.rest.pop(0)

    def _expect(self, mark: str) -> None:
        if (found := self._take()) != mark:
            raise _invalid(found)

    def _next_is(self, word: str) -> bool:
        return bool(self.rest) and self.rest[0] == word


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(text) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
