"""What stands below the fields of a model: what a key means, and an example of it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, get_args

from checks.settings import Section

_MARK = "Example: "


@dataclass(frozen=True, slots=True)
class Words:
    """The meaning of a key in a sentence or two, and an example of it in YAML; empty where there is none."""

    meaning: str
    example: str


def words_of(section: type[Section]) -> Mapping[str, Words]:
    """Read what stands below the fields of *section*, and of those it is made from; by the name of the field."""
    found: dict[str, Words] = {}
    for one in reversed(section.__mro__):
        for name, text in _docstrings(one).items():
            meaning, _, example = text.partition(_MARK)
            found[name] = Words(" ".join(meaning.split()), example.strip().strip("`"))
    return found


def models_in(hint: Any) -> Iterator[type[Section]]:
    """Walk through the models that a type is made of, not through what is inside those."""
    if isinstance(hint, type) and issubclass(hint, Section):
        yield hint
    for part in get_args(hint):
        yield from models_in(part)


def first_words(text: str) -> str:
    """Take the first paragraph of a docstring, as one line."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def _docstrings(cls: type) -> dict[str, str]:
    """Return what stands below the fields of a class, of its own source; nothing where there is no source."""
    if not issubclass(cls, Section) or cls is Section:
        return {}
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, SyntaxError, ValueError):
        return {}
    found = {}
    for field, below in pairwise(tree.body if isinstance(tree, ast.ClassDef) else []):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(words))):
                    found[field.target.id] = words
                case _:
                    pass
    return found
