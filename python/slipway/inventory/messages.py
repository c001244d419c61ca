"""pydantic's errors in words for people: the value, what was expected, the likely fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from slipway.inventory.source import Keys

_LONGEST = 60


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a slip of."""
    choices = list(known)
    folded = {choice.lower(): choice for choice in choices}
    if word.lower() in folded:
        return folded[word.lower()]
    found = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    found = nearest(word, known)
    return f"; did you mean {found!r}?" if found else ""


def show(value: object) -> str:
    """A value of the file, short enough for one line."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "an empty value"
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + "...'"


def message_of(error: ErrorDetails, path: Keys, root: type[BaseModel]) -> str:
    """What to say about one pydantic error whose location in the file's own keys is `path`."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            known = keys_at(root, path[:-1])
            return f"unknown key {path[-1]!r}" + (did_you_mean(str(path[-1]), known) or _all_of(known))
        case "missing":
            return f"required key {path[-1]!r} is missing"
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            known = _choices(context["expected"])
            return f"{show(value)} is none of {', '.join(known)}" + (did_you_mean(str(value), known))
        case "too_short":
            return f"needs at least {context['min_length']} {'entry' if context['min_length'] == 1 else 'entries'}"
    return f"{show(value)} is not {_expected(kind, context)}"


def _all_of(known: list[str]) -> str:
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= 8 else ""


def _choices(expected: str) -> list[str]:
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "string_type" | "path_type":
            return "a text"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "a whole number"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "dict_type" | "model_type" | "model_attributes_type" | "mapping_type":
            return "a mapping (key: value)"
        case "tuple_type" | "list_type":
            return "a list (- value)"
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "less_than_equal":
            return f"at most {context['le']}"
    return f"valid ({kind})"


def keys_at(root: type[BaseModel], path: Keys) -> list[str]:
    """The keys that the model knows at `path`; empty where any key is allowed."""
    shape: object = root
    for part in path:
        shape = _step(shape, part)
    return sorted(_aliases(shape)) if _is_model(shape) else []


def _step(shape: object, part: str | int) -> object:
    if _is_model(shape):
        field = _aliases(shape).get(str(part))
        return _inner(field) if field is not None else None
    arguments = get_args(shape)
    return _inner(arguments[-1 if get_origin(shape) is dict else 0]) if arguments else None


def _aliases(model: Any) -> dict[str, Any]:  # noqa: ANN401 (a model class, as _is_model found)
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _is_model(shape: object) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def _inner(shape: Any) -> object:  # noqa: ANN401 (type annotations have no type of their own)
    """The annotation without Annotated and without `| None`."""
    if hasattr(shape, "__metadata__"):
        return _inner(shape.__origin__)
    if get_origin(shape) in (dict, tuple) or _is_model(shape):
        return shape
    choices = [choice for choice in get_args(shape) if choice is not type(None)]
    return _inner(choices[0]) if len(choices) == 1 else shape
