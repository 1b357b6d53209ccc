"""Read a settings file: YAML as plain values, with the line of every key.

The file may come from anywhere, so everything is bounded: its size, its depth, and how far aliases unfold ("billion
laughs"). Of YAML's types only text, whole and decimal numbers, true, false and null exist, as in the core schema of
YAML 1.2: ``no``, ``12:30`` and ``2026-12-31`` are text, so that an error shows what the user wrote. Nothing is ever
constructed from a tag.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from agent.config.problems import Key, Problems, SettingsError

_LARGEST_FILE = 1024 * 1024
_MOST_VALUES = 50_000
_DEEPEST = 30

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_QUOTED = re.compile(r"\s*'([^']*)'")
_UNPRINTABLE = re.compile(r"[\x00\ud800-\udfff]")


class _TooDeep(yaml.MarkedYAMLError):
    """The file nests deeper than any settings do."""


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the types above, and a bound on depth, which it meets by recursion."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            # peek_event is what the composer itself is about to read; types-PyYAML leaves it untyped
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _TooDeep(problem=f"nested more than {_DEEPEST} levels deep", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


def read(file: Path, problems: Problems) -> dict[str, Any]:
    """Read *file*, noting in *problems* the line of every key and what is wrong with the notation.

    Raises:
        SettingsError: the file cannot be read at all.
    """
    text = _text(file, problems)
    root = None if text is None else _compose(text, problems)
    if root is None and not problems.errors:
        problems.error((), "is empty: see the example in the documentation, or let `relaycanary init` write one")
    elif root is not None and not isinstance(root, yaml.MappingNode):
        problems.error((), "must be a mapping of sections (agent, paths, mailboxes, checks, ...)", line=_line(root))
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError(problems.errors)
    try:
        return _Values(problems).mapping(root, ())
    except _TooDeep as error:
        problems.error((), str(error.problem), line=_mark_line(error))
    raise SettingsError(problems.errors)


def _text(file: Path, problems: Problems) -> str | None:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problems.error((), f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}")
        return None
    if len(content) > _LARGEST_FILE:
        problems.error((), f"is larger than {_LARGEST_FILE // 1024} kB: this is not a settings file")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.error((), f"is not UTF-8 text (byte 0x{content[error.start]:02x})", line=line)
        return None


def _compose(text: str, problems: Problems) -> yaml.Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.error((), "is not valid YAML: it contains a control character", line=line)
    except yaml.MarkedYAMLError as error:
        words = ": ".join(part for part in (error.context, error.problem) if part)
        problems.error((), f"is not valid YAML: {_QUOTED.sub(_harmless, words)}", line=_mark_line(error))
    except (ValueError, OverflowError):  # PyYAML's scanner on numbers without end: "\UFFFFFFFF", %YAML 1.999...
        problems.error((), "is not valid YAML: a number in an escape or a directive is out of range")
    return None


def _harmless(quoted: re.Match[str]) -> str:
    """Drop what PyYAML quotes from the file, which may be a secret in the wrong place; keep signs and token names."""
    return quoted[0] if len(quoted[1]) <= 1 or quoted[1].startswith("<") else ""


class _Values:
    """Turns nodes into plain values; counts them, because an alias repeats all that it refers to."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._count = 0
        self._depth = 0

    def mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        plain = [pair for pair in node.value if pair[0].tag != _MERGE]
        # first, so that the lines of keys that are written here win
        merged = [self._merged(value_node, key) for name_node, value_node in node.value if name_node.tag == _MERGE]
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for name_node, value_node in plain:
            line = _line(name_node)
            if not isinstance(name_node, yaml.ScalarNode):
                self._problems.error(key, "a key must be plain text", line=line)
                continue
            name = self._string(name_node, key)
            if name in first:
                self._problems.error((*key, name), f"stands here twice, first in line {first[name]}", line=line)
                continue
            first[name] = self._problems.lines[(*key, name)] = line
            found[name] = self._value(value_node, (*key, name))
        return {name: value for part in (*reversed(merged), found) for name, value in part.items()}

    def _merged(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        """Read ``<<: *other``: the keys of another mapping, each overridden by a key of the same name."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                result = {**self._value(part, key), **result}
            else:
                self._problems.error(key, "<< takes a mapping, or a list of mappings", line=_line(part))
        return result

    def _value(self, node: yaml.Node, key: Key) -> Any:
        self._count += 1
        self._depth += 1
        # a node that contains itself through an alias ends here too
        if self._count > _MOST_VALUES or self._depth > _DEEPEST:
            raise _TooDeep(problem="holds more, aliases unfolded, than any settings need", problem_mark=node.start_mark)
        self._problems.lines.setdefault(key, _line(node))
        value = self._of(node, key)
        self._depth -= 1
        return value

    def _of(self, node: yaml.Node, key: Key) -> Any:
        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self.mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return [self._value(item, (*key, place)) for place, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, tag, key)
        self._tagged(node, key)
        return None

    def _scalar(self, node: yaml.ScalarNode, tag: str, key: Key) -> Any:
        try:
            match tag:
                case "null":
                    return None
                case "bool":
                    return node.value.lower() == "true"
                case "int":
                    return int(node.value)
                case "float":
                    return float(node.value)
                case "str" | "merge":
                    return self._string(node, key)
                case _:
                    self._tagged(node, key)
        except ValueError:  # more digits than Python reads, or an explicit tag on other text
            self._problems.unreadable(key, "is not a number that can be read", line=_line(node))
        return None

    def _tagged(self, node: yaml.Node, key: Key) -> None:
        words = "carries a YAML tag: settings are plain text, numbers, true and false"
        self._problems.unreadable(key, words, line=_line(node))

    def _string(self, node: yaml.Node, key: Key) -> str:
        value: str = node.value
        if bad := _UNPRINTABLE.search(value):
            name = f"U+{ord(bad[0]):04X}"
            self._problems.error(key, f"contains the character {name}, which no setting can have", line=_line(node))
            return _UNPRINTABLE.sub("?", value)
        return value


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _mark_line(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return None if mark is None else mark.line + 1
