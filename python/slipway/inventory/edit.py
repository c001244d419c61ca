"""One value of an inventory's file, changed where it stands: comments, order and layout stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from slipway import inside
from slipway.errors import InvalidInput
from slipway.inventory.load import read
from slipway.inventory.problem import Problem
from slipway.inventory.reader import compose
from slipway.inventory.source import Keys, Place, dotted, place_of


def where(path: Path, keys: Keys) -> Place:
    """Place of the value at `keys` in the inventory or in a file that it includes. Raises InvalidInput for none."""
    return place_of(_node(path, keys))


def change(path: Path, keys: Keys, value: str) -> Place:
    """Write `value`, a plain word, in the place of the scalar at `keys`; return where that is.

    Raises InvalidInput, with the place, where the file would say anything else than before besides.
    """
    node = _node(path, keys)
    place, file = place_of(node), Path(place_of(node).file)
    before = file.read_bytes().decode()
    after = _with(before, node, value)
    if not _differ_in_one(before, after, node.value, value, place.file):
        raise InvalidInput(f"{place}: {dotted(keys)} cannot be changed there", hint=f"write {value} there by hand")
    inside.write(file.parent, file.name, after.encode(), file.stat().st_mode & 0o777)
    return place


def _node(path: Path, keys: Keys) -> yaml.ScalarNode:
    source, _ = read(path)
    node = source.find(keys)
    if not isinstance(node, yaml.ScalarNode):
        place = source.place(keys)
        raise InvalidInput(f"{place}: has no {dotted(keys)}", hint=f"write {dotted(keys)} into {place.file}")
    return node


def _with(text: str, node: yaml.ScalarNode, value: str) -> str:
    """Quotes stay as they are. What is written in any other way is left alone: the caller finds nothing changed."""
    start, end = node.start_mark, node.end_mark
    lines = text.splitlines(keepends=True)
    if start is None or end is None or start.line != end.line or start.line >= len(lines):
        return text
    line = lines[start.line]
    stood = line[start.column : end.column]
    quote = stood[:1] if stood[:1] in ("'", '"') else ""
    if stood != f"{quote}{node.value}{quote}":
        return text
    lines[start.line] = f"{line[: start.column]}{quote}{value}{quote}{line[end.column :]}"
    return "".join(lines)


def _differ_in_one(before: str, after: str, old: str, new: str, name: str) -> bool:
    was, becomes = list(_scalars(before, name)), list(_scalars(after, name))
    different = [(a, b) for a, b in zip(was, becomes, strict=False) if a != b]
    return len(was) == len(becomes) and different == [(old, new)]


def _scalars(text: str, name: str) -> Iterator[str]:
    """Every scalar of the file in its order."""
    root = compose(text.encode(), name)
    todo: list[yaml.Node] = [] if root is None or isinstance(root, Problem) else [root]
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.MappingNode):
            todo += [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
        else:
            yield str(node.value)
