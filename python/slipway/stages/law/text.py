"""YAML in which every scalar is text that knows where it stands: the law reads words, and tells places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from slipway.errors import InvalidInput

Value: TypeAlias = Any
"""dict, list or Text, nested."""


class Text(str):
    """A scalar. `line` and `column` count from 1.

    `block`: its own lines begin on the line after. `quote`: columns before its first character; None where what is
    written and what is meant differ, by folding or by a variable.
    """

    line: int = 1
    column: int = 1
    block: bool = False
    quote: int | None = None

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at `offset`, or of the start of the scalar where that cannot be told."""
        if self.block:
            return self.line + 1 + self.count("\n", 0, offset), 1
        return self.line, self.column + (0 if self.quote is None or not offset else self.quote + offset)


def text(value: str, like: Text) -> Text:
    """Another text in the place of `like`."""
    made = Text(value)
    made.line, made.column, made.block = like.line, like.column, like.block
    return made


def read(path: Path, shown: str) -> tuple[dict[Text, Value], ...]:
    """The mappings among the documents of a file. Raises InvalidInput with the place of what is not YAML."""
    try:
        nodes = list(yaml.compose_all(path.read_text(encoding="utf-8-sig"), Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InvalidInput(f"{shown}{where}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{shown}: not YAML in UTF-8: {error}") from None
    except RecursionError:
        raise InvalidInput(f"{shown}: nested too deeply") from None
    documents = (value_of(node) for node in nodes)
    return tuple(document for document in documents if isinstance(document, dict))


def parse(fragment: Text) -> Value:
    """YAML inside a text, such as an inline patch; its lines count on. "" if it is none."""
    try:
        node = yaml.compose(str(fragment), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return ""
    return value_of(node, fragment.at(0)[0] - 1) if node is not None else ""


def value_of(node: yaml.Node, above: int = 0) -> Value:
    """`above`: lines before the first one."""
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, above))
    if isinstance(node, yaml.SequenceNode):
        return [value_of(item, above) for item in node.value]
    made, mark, style = Text(node.value), node.start_mark, getattr(node, "style", None)
    made.line, made.column = mark.line + 1 + above, mark.column + 1
    made.block = style in ("|", ">")
    made.quote = None if node.end_mark.line != mark.line else 1 if style else 0
    return made


def _pairs(node: yaml.MappingNode, above: int) -> Iterator[tuple[Value, Value]]:
    """With what merge keys bring first, since a mapping's own keys win."""
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(merged, yaml.MappingNode):
                    yield from _pairs(merged, above)
    for key, value in node.value:
        if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
            yield value_of(key, above), value_of(value, above)


def walk(value: Value, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Value]]:
    """Every mapping, list and text below, with the keys that lead to it; a list's items have its keys."""
    yield keys, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*keys, key))
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, keys)


def first(value: Value) -> Text | None:
    """The text in `value` that stands first: where a mapping or a list begins."""
    if isinstance(value, Text):
        return value
    inside = value.keys() if isinstance(value, dict) else value
    return next((found for item in inside if (found := first(item)) is not None), None)


def get(value: Value, *keys: str) -> Value:
    """What `keys` lead to; "" where there is no such thing. Empty things are falsy, as is ""."""
    for key in keys:
        if not isinstance(value, dict):
            return ""
        value = value.get(key, "")
    return value


def items(value: Value, *keys: str) -> list[Value]:
    """The list that `keys` lead to; empty where it is none."""
    found = get(value, *keys)
    return found if isinstance(found, list) else []


def word(value: Value, *keys: str) -> str:
    """The text that `keys` lead to, which is a Text where it is not ""."""
    found = get(value, *keys)
    return found if isinstance(found, Text) and found not in ("null", "~") else ""
