"""pydantic's errors in words for people: the value, what was expected, the likely fix."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from slipway import slips
from slipway.inventory.elsewhere import MACHINES, is_of_ours, said_elsewhere, said_otherwise, value_elsewhere
from slipway.inventory.source import Keys

_LONGEST = 60
_LISTS = ("tuple_type", "list_type")
_MAPPING = "a mapping (key: value)"


_OTHER_WORDS = {
    "master": "controller",
    "control-plane": "controller",
    "server": "controller",
    "agent": "worker",
    "node": "worker",
    "lacp": "802.3ad",
    "custom": "cilium",
    "amd64": "x86_64-linux",
    "x86_64": "x86_64-linux",
    "arm64": "aarch64-linux",
    "aarch64": "aarch64-linux",
    "armv7l": "armv7l-linux",
    "ext2": "ext4",
    "ext3": "ext4",
    "nodes": "hosts",
    "machines": "hosts",
}
"""Words of other tools for what slipway calls otherwise."""


_OF_OBJECTS = ("kind", "metadata", "spec", "status")
"""Keys of objects of Kubernetes: no hint that some section of ours has one of that name helps anybody."""


_NO_SLIPS = ("zfs", "ntfs", "encryption")
"""Words that are near to others and mean something else."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a slip of, or that says the same."""
    choices = list(known)
    if word.lower() in _NO_SLIPS:
        return None
    if _OTHER_WORDS.get(word.lower()) in choices:
        return _OTHER_WORDS[word.lower()]
    return slips.nearest(word, choices)


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
            return unknown_key(path, root)
        case "missing":
            return f"required key {path[-1]!r} is missing"
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            known = _choices(context["expected"])
            fix = did_you_mean(str(value), known) or value_elsewhere(path, str(value))
            return f"{show(value)} is none of {', '.join(known)}{fix}"
        case "too_short":
            return f"needs at least {context['min_length']} {'entry' if context['min_length'] == 1 else 'entries'}"
        case "greater_than_equal":
            return f"{value} is too low, at least {context['ge']}"
        case "less_than_equal":
            return f"{value} is too high, at most {context['le']}"
    fix = _as_list(value) if kind in _LISTS else ""
    if _expected(kind) == _MAPPING and isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        fix = "; write `NAME: {...}` in place of each `- ...`"
    return f"{show(value)} is not {_expected(kind)}{fix}"


def _as_list(value: object) -> str:
    """One text, where a list of one or more was meant."""
    if (
        not isinstance(value, str)
        or len(value) > _LONGEST
        or not re.fullmatch(r"[\w./:@+=-]+(, *[\w./:@+=-]+)*", value)
    ):
        return ""
    return f"; did you mean [{', '.join(re.split(', *', value))}]?"


def unknown_key(path: Keys, root: type[BaseModel]) -> str:
    """What to say about a key that the model does not have at `path`."""
    key, known = str(path[-1]), keys_at(root, path[:-1])
    word, colon, rest = key.partition(":")
    if colon and word in known:
        return f"unknown key {key!r}; did you mean `{word}: {rest}`?"
    about_machine = len(path) > 1 and path[0] in MACHINES
    near, elsewhere = did_you_mean(key, known) or _belongs(key, path[:-1], root), said_elsewhere(path, known)
    # A word of the table is no slip; outside machines a key of the model is the likelier meaning.
    fix = elsewhere or near if about_machine else near or elsewhere
    if len(path) == 1 and key in _OF_OBJECTS:
        fix = None
    return f"unknown key {key!r}{fix or _all_of(known)}"


def meant(path: Keys, known: Iterable[str]) -> tuple[str, str | None] | None:
    """The one of the `known` keys that the unknown one at `path` is a slip of, as `unknown_key` proposes it, and its
    value where the blank between the two is what is missing."""
    return _meant(str(path[-1]), tuple(known), str(path[0]))


@lru_cache(maxsize=1024)
def _meant(key: str, known: tuple[str, ...], section: str) -> tuple[str, str | None] | None:
    word, colon, rest = key.partition(":")
    if colon and word in known:
        return word, rest
    path = (section, key)
    near = said_otherwise(path, known)
    if near is None and not (section in MACHINES and said_elsewhere(path, known)):
        near = nearest(key, known)
    return (near, None) if near else None


def _belongs(key: str, path: Keys, root: type[BaseModel]) -> str:
    """Where a key that is unknown at `path` does exist: below it, or in another section."""
    here, host = model_at(root, path), model_at(root, ("hosts", "NAME"))
    if here is not None and host is not None and issubclass(host, here) and key in keys_at(root, ("hosts", "NAME")):
        return "; it is a key of hosts.NAME"
    below = _find_key(key, here) if here is not None else None
    if below is not None and len(below) <= 2:
        return f"; did you mean {'.'.join(below)}?"
    found = _find_key(key, root)
    return f"; it is a key of {'.'.join(found[:-1])}" if found and len(found) > 1 else ""


@lru_cache(maxsize=1024)
def _find_key(key: str, shape: type[BaseModel]) -> tuple[str, ...] | None:
    """The shortest way from a section to a key of that name; `NAME` stands for a name that users choose."""
    left: deque[tuple[tuple[str, ...], object]] = deque([((), shape)])
    seen: set[object] = set()
    while left:
        path, current = left.popleft()
        for name, annotation in _aliases(current).items():
            if name == key:
                return (*path, name)
            inner = _inner(annotation)
            step = (*path, name, "NAME") if get_origin(inner) is dict else (*path, name)
            if get_origin(inner) in (dict, tuple):
                inner = _inner(get_args(inner)[-1 if get_origin(inner) is dict else 0])
            if _is_model(inner) and inner not in seen:
                seen.add(inner)
                left.append((step, inner))
    return None


def is_of_another_place(path: Keys, root: type[BaseModel]) -> bool:
    """Whether the unknown key at `path` is one that the model has, or one that it calls otherwise: what is missing
    where it belongs only follows from it."""
    known = keys_at(root, path[:-1])
    return bool(nearest(str(path[-1]), known) or is_of_ours(path) or _belongs(str(path[-1]), path[:-1], root))


def _all_of(known: list[str]) -> str:
    return f"; known: {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""


def _choices(expected: str) -> list[str]:
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _expected(kind: str) -> str:
    match kind:
        case "string_type" | "path_type":
            return "a text"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "a whole number"
        case "bool_type" | "bool_parsing":
            return "true or false"
        case "dict_type" | "model_type" | "model_attributes_type" | "mapping_type":
            return _MAPPING
        case kind if kind in _LISTS:
            return "a list (- value)"
    return f"valid ({kind})"


def keys_at(root: type[BaseModel], path: Keys) -> list[str]:
    """The keys that the model knows at `path`; empty where any key is allowed."""
    return keys_of(model_at(root, path))


def keys_of(shape: object) -> list[str]:
    """The keys of a section; empty for what is none."""
    return sorted(_aliases(shape)) if _is_model(shape) else []


def model_at(root: type[BaseModel], path: Keys) -> type[BaseModel] | None:
    """The section of the model at `path`, None where there is no section."""
    shape: object = root
    for part in path:
        shape = step(shape, part)
    return shape if isinstance(shape, type) and issubclass(shape, BaseModel) else None


def step(shape: object, part: str | int) -> object:
    """What the model has at the key or item `part` of `shape`, a section or the annotation of a field."""
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
