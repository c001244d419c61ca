"""Words of others (nodes, programs, files) as text that is only text.

A node that is broken, or somebody else's, may send what moves a cursor, sets a title, fills a clipboard, turns the
direction of a line or cannot stand in XML. Nothing that is read is changed, since it is data; what is told to people,
logs and reports goes through here: every SlipwayError, every event, every report, and all that the console prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

_COLOUR = re.compile("(?:\x1b\\[|\x9b)[0-9;]*m")
"""Colours alone: programs that take us for a terminal use them, and nothing is lost with them."""

_CONTROLS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # direction of text, and line ends that are none for a shell
    "\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff"  # half characters: bytes that are no UTF-8
    "\U000e0000-\U000e007f"  # invisible copies of ASCII
)
_CONTROL = re.compile(f"[{_CONTROLS}]")


def plain(text: str) -> str:
    """`text` without a character that does more than being read; newlines and tabs stay.

    Controls become visible (`\\x1b`, `\\u202e`), so that one sees what was sent; colours are left out.
    """
    return _CONTROL.sub(_visible, _COLOUR.sub("", text.replace("\r\n", "\n")))


def line(text: str) -> str:
    """The same on one line: newlines and tabs become blanks."""
    return " ".join(plain(text).split())


def counted(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`: for nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_bytes(count: int) -> str:
    """`512 B`, `1.5 GiB`: in the largest unit of which there is one."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def first_of(words: Sequence[str], most: int, between: str = ", ") -> str:
    """`a, b, c and 4 more`: the first ones, and how many are left out."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more


def plain_data(value: Any) -> Any:  # noqa: ANN401 (plain JSON values, whatever they are)
    """`value`, plain data, with every text in it made plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain_data(key): plain_data(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(each) for each in value]
    return value


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON that a terminal can be shown. Nothing is lost: what is not plain is escaped as JSON escapes."""
    text = _indented(value, "\n", " " * indent) if indent else json.dumps(value, ensure_ascii=False, default=str)
    return _CONTROL.sub(_escaped, text)


def _indented(value: object, margin: str, step: str) -> str:
    """What json.dumps(indent=...) makes, which takes its slow way then: seconds for the checks of a hundred nodes."""
    if isinstance(value, str):
        return encode_basestring(value)
    inner = margin + step
    if isinstance(value, dict) and value:
        lines = [f"{_key(key)}: {_indented(each, inner, step)}" for key, each in value.items()]
        return f"{{{inner}{f',{inner}'.join(lines)}{margin}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{inner}{f',{inner}'.join(_indented(each, inner, step) for each in value)}{margin}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _key(key: object) -> str:
    return encode_basestring(key) if isinstance(key, str) else json.dumps({key: 0}, ensure_ascii=False)[1:-4]


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if ord(found[0]) > 0x7F else f"\\u{ord(found[0]):04x}"
