"""Values as Nix source text: the one place where strings are escaped for Nix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias, Union

Value: TypeAlias = Union[str, int, bool, "Raw", Mapping[str, "Value"], Iterable["Value"], None]

_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_'-]*")
_KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})
_ESCAPED = re.compile(r'[\\"\n\r\t]|\$\{')
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_INDENT = "  "


class Raw(str):
    """Nix source that stands as it is, such as a path relative to the file."""

    __slots__ = ()


@lru_cache(maxsize=16384)
def quoted(text: str) -> str:
    """`text` as a Nix string. Raises ValueError for the NUL character, which Nix cannot hold."""
    if "\0" in text:
        raise ValueError("Nix strings cannot hold the NUL character")
    return '"' + _ESCAPED.sub(lambda found: _ESCAPES.get(found[0], "\\" + found[0]), text) + '"'


def to_nix(value: Value, depth: int = 0) -> str:
    """Nix source of plain data, attribute sets over several lines, `depth` levels deep in the text around it."""
    if isinstance(value, str):
        return str(value) if isinstance(value, Raw) else quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, Mapping):
        return _block("{", [f"{_name(key)} = {to_nix(item, depth + 1)};" for key, item in value.items()], "}", depth)
    return _list([to_nix(item, depth + 1) for item in value], depth)


@lru_cache(maxsize=16384)
def _name(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) and key not in _KEYWORDS else quoted(key)


def _list(items: list[str], depth: int) -> str:
    """One item stays on the line; several get a line each, so that a change touches one line."""
    if len(items) == 1 and "\n" not in items[0]:
        return f"[ {items[0]} ]"
    return _block("[", items, "]", depth)


def _block(opening: str, lines: Iterable[str], closing: str, depth: int) -> str:
    inner = "\n" + _INDENT * (depth + 1)
    body = inner.join(lines)
    return f"{opening}{inner}{body}\n{_INDENT * depth}{closing}" if body else f"{opening} {closing}"
