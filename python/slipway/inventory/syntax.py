"""What a text of one kind looks like: one expression, by which the loader reads it and the JSON Schema describes it.

Expressions keep to what Python and ECMAScript read alike, since editors check them with the latter: no \\w, \\s or
flags, lookahead but not behind, nothing escaped that need not be (tests/unit/inventory/test_syntax.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import WithJsonSchema

BLANK: Final = "\\x00-\\x20\\x7f-\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
"""What ends a word in one program or another: blanks, line ends and control characters; for use within brackets."""


@dataclass(frozen=True)
class Syntax:
    """`name` is what the reference calls it; the whole text has to match `pattern`."""

    name: str
    pattern: str
    longest: int | None = None
    most: float | None = None
    """The greatest bare number that is such a text, where not any is."""

    def fits(self, text: str) -> bool:
        return (self.longest is None or len(text) <= self.longest) and self._compiled.fullmatch(text) is not None

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @property
    def schema(self) -> WithJsonSchema:
        """For the annotation of a value; nothing is compiled before somebody reads or describes one."""
        return _Described(self)

    @property
    def json_schema(self) -> dict[str, Any]:
        """What editors are told. To them `on: 12` is a number and `on: true` a truth value; to the loader both
        are text, and right where such a text is. Of numbers a schema knows the size only, not the digits."""
        made: dict[str, Any] = {
            "type": ["string", *self._bare()],
            "format": self.name,
            "pattern": f"^({self.pattern})$",
        }
        if self.longest is not None:
            made["maxLength"] = self.longest
        if "number" in made["type"] or "integer" in made["type"]:
            made |= self._bounds()
        return {**made, "type": "string"} if made["type"] == ["string"] else made

    def _bare(self) -> list[str]:
        """Types that editors see where such a text stands without quotes."""
        broken, whole = any(map(self.fits, ("0.5", "26.05"))), self.fits("1") or self.fits("11")
        numbers = ["number"] if broken else ["integer"] if whole else []
        return numbers + ["boolean"] * self.fits("true")

    def _bounds(self) -> dict[str, float]:
        low: dict[str, float] = {} if self.fits("-1") else {"minimum": 0} if self.fits("0") else {"exclusiveMinimum": 0}
        return low if self.most is None else {**low, "maximum": self.most}


class _Described(WithJsonSchema):
    """A schema that is made when it is asked for: expressions are long, and each command has all of them."""

    def __init__(self, syntax: Syntax) -> None:
        self.mode = None
        self._syntax = syntax

    @property
    def json_schema(self) -> dict[str, Any]:  # type: ignore[override]  # (an attribute of pydantic's)
        return self._syntax.json_schema

    __hash__ = WithJsonSchema.__hash__


def one_of(*patterns: str) -> str:
    return f"({'|'.join(patterns)})"


def literally(text: str) -> str:
    """A pattern for nothing but this text."""
    return re.sub(r"[.+*?()|{}^$\\\[\]]", r"\\\g<0>", text)


def between(low: int, high: int) -> str:
    """The numbers from `low` to `high`, both included, as people write them: without leading zeros.

    >>> between(1, 255)
    '([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])'
    """
    parts = []
    while low <= high:
        zeros = _zeros(low, high)
        head, digit = divmod(low // 10**zeros, 10)
        last = min(9, digit + (high - low + 1) // 10**zeros - 1)
        first = f"[{digit}-{last}]" if digit < last else str(digit)
        parts.append(f"{head or ''}{first}" + "[0-9]" * zeros)
        low += (last - digit + 1) * 10**zeros
    return one_of(*parts)


def _zeros(low: int, high: int) -> int:
    """How many digits at the end are free for all numbers that begin as `low` does, none of them above `high`."""
    free = 0
    while low and low % 10 ** (free + 1) == 0 and low + 10 ** (free + 1) - 1 <= high:
        free += 1
    return free
