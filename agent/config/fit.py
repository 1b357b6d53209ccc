"""Fit plain values into a pydantic model, and say in our words what does not fit.

No value is quoted from where a secret belongs: what stands there may be the secret itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent.config import habits
from agent.config.problems import Key, Problems, near, shown
from checks.settings import FileReference, SecretReference, Section

_S = TypeVar("_S", bound=Section)

_OF_A_NAME = "[key]"  # how pydantic marks that the name in a mapping is wrong, not what it names
_EXPECTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def fit(model: type[_S], data: Any, key: Key, problems: Problems) -> _S | None:
    """Make a *model* of *data*, found at *key*; None, and all that is wrong in *problems*, where it does not fit."""
    if data is None:  # "web:" with nothing below it
        data = {}
    if not isinstance(data, dict):
        problems.error(key, _not_a_mapping(model, data))
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    except Exception as fault:  # noqa: BLE001 - the model may be a stranger's plug-in; its fault is not a traceback of ours
        problems.error(key, f"cannot be checked: the plug-in failed with {type(fault).__name__}")
        return None
    places = [detail["loc"] for detail in details]
    for detail in details:
        # pydantic leaves wrong entries out, and then finds the list too short, or nothing to work a default out from
        follows = detail["type"] == "too_short" and _holds_another(detail["loc"], places)
        if not follows and detail["type"] != "default_factory_not_called":
            _explain(detail, model, key, problems)
    return None


def _holds_another(place: Key, places: Iterable[Key]) -> bool:
    return any(other[: len(place)] == place and len(other) > len(place) for other in places)


def _explain(detail: ErrorDetails, model: type[BaseModel], key: Key, problems: Problems) -> None:
    inside = _model_at(model, detail["loc"][:-1])
    where = (*key, *(part for part in detail["loc"] if part != _OF_A_NAME))
    of_a_reference = detail["type"] == "extra_forbidden" or where[-1] in SecretReference.model_fields
    if inside is SecretReference and of_a_reference:  # else it is an entry in a mapping of references
        _explain_secret(detail, where, problems)
    elif detail["type"] == "extra_forbidden":
        allowed = sorted(inside.model_fields) if inside else []
        name = str(where[-1])
        known = habits.about_key(name, section=str(key[0]))
        hint = f": {known}" if known else near(name, allowed) or f"; allowed are {', '.join(allowed)}"
        problems.error(where[:-1], f"unknown key {shown(name)}{hint}", line=problems.lines.get(where))
    else:
        words = _words(detail, _model_at(model, detail["loc"]))
        known = habits.about_value(str(where[-1]), detail["input"])
        problems.error(where, f"{words}: {known}" if known else words)


def _explain_secret(detail: ErrorDetails, where: Key, problems: Problems) -> None:
    if detail["type"] == "extra_forbidden":
        hint = near(str(where[-1]), ["env", "file"])
        line = problems.lines.get(where)
        problems.error(
            where[:-1], f"unknown key in a reference to a secret: only env and file are known{hint}", line=line
        )
    else:
        problems.error(where, "must be the plain name of where the secret is kept")


def _words(detail: ErrorDetails, model: type[BaseModel] | None) -> str:
    """Say what was found and what is allowed."""
    kind, found = detail["type"], detail["input"]
    if kind in {"model_type", "model_attributes_type"} and model is not None:
        return _not_a_mapping(model, found)
    words = _WORDS.get(kind)
    return words(found, detail.get("ctx", {})) if words else _as_pydantic_says(detail["msg"])


def _not_a_mapping(model: type[BaseModel], found: Any) -> str:
    if model is FileReference:
        return "must be a reference to a file: {file: PATH}"
    return f"{shown(found)} is not a mapping of {', '.join(sorted(model.model_fields))}"


def _one_of(found: Any, context: Mapping[str, Any]) -> str:
    allowed = _EXPECTED.findall(str(context.get("expected", "")))
    return f"{shown(found)} is not one of {', '.join(allowed)}{near(str(found), allowed)}"


def _as_pydantic_says(message: str) -> str:
    plain = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ")
    return f"{plain[:1].lower()}{plain[1:]}"


def _type(wanted: str) -> Callable[[Any, Mapping[str, Any]], str]:
    return lambda found, _: f"{shown(found)} is not {wanted}"


def _bound(relation: str, limit: str) -> Callable[[Any, Mapping[str, Any]], str]:
    return lambda found, context: f"{shown(found)} must be {relation} {context.get(limit)}"


_WHOLE = _type("a whole number (written without quotes)")
_DATE = _type("a date, like 2027-06-30")

_WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = MappingProxyType(
    {
        "settings": lambda _, context: str(context.get("message", "is wrong")),
        "missing": lambda *_: "is missing",
        "literal_error": _one_of,
        "enum": _one_of,
        "string_type": _type("text: put it in quotes"),
        "string_too_short": lambda *_: "must not be empty",
        "string_too_long": lambda _, context: f"is longer than {context.get('max_length')} characters",
        "int_type": _WHOLE,
        "int_parsing": _WHOLE,
        "int_from_float": _WHOLE,
        "float_type": _type("a number"),
        "float_parsing": _type("a number"),
        "bool_type": _type("true or false"),
        "bool_parsing": _type("true or false"),
        "list_type": _type("a list"),
        "tuple_type": _type("a list"),
        "dict_type": _type("a mapping"),
        "mapping_type": _type("a mapping"),
        "path_type": _type("the name of a file"),
        "date_type": _DATE,
        "date_parsing": _DATE,
        "date_from_datetime_parsing": _DATE,
        "date_from_datetime_inexact": _DATE,
        "greater_than_equal": _bound("at least", "ge"),
        "less_than_equal": _bound("at most", "le"),
        "too_short": lambda *_: "must have at least one entry",
    }
)


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Find the model of the value at *location* inside *model*: places in lists, names in mappings are passed over."""
    found: list[type[BaseModel]] = [model]
    for part in location:
        fields = [one.model_fields[part] for one in found if part in one.model_fields and isinstance(part, str)]
        if fields:
            found = [one for field in fields for one in _models_in(field.annotation)]
    return found[0] if found else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
