"""The YAML of an inventory as one tree of nodes, and the place of every value for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from slipway.inventory.problem import Problem

Data: TypeAlias = Any
"""dict, list, str or None, nested; in free-form places also int, float and bool."""
Keys: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists."""

PLAIN: Final = "plain"
QUOTED: Final = "quoted"
"""Tags of scalars: they only say how one was written, since no type is guessed."""

NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
DEEPEST: Final = 60
LARGE: Final = 64
"""Keys of a mapping from which on an index pays."""
TOO_DEEP: Final = f"nested deeper than {DEEPEST} levels, or an alias that contains itself"


@dataclass(frozen=True)
class Place:
    """Line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def problem(self, path: Keys | str, message: str) -> Problem:
        shown = path if isinstance(path, str) else dotted(path)
        return Problem(self.file, self.line, self.column, shown, message)


def dotted(path: Keys) -> str:
    """`hosts.w1.taints[0]`; a key that holds more than letters, digits, '-', '_', '+' and '/' is quoted."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            key = part if re.fullmatch(r"[\w+/-]+", part) else json.dumps(part, ensure_ascii=False)
            shown += f".{key}" if shown else key
    return shown


class Source:
    """The composed files of one inventory, the included ones merged in, section by section."""

    def __init__(self, root: yaml.MappingNode, main: str) -> None:
        self.root = root
        self.main = main
        self._indexes: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}

    def place(self, path: Keys, *, key: bool = False) -> Place:
        """Where the value (or its key) at `path` stands; where it is absent, the nearest thing around it."""
        node: yaml.Node = self.root
        place = Place(self.main, 1, 1)
        for part in path:
            pair = self._child(node, part)
            if pair is None:
                break
            node = pair[1]
            place = place_of(pair[0] if key or not _stands_alone(node) else node)
        return place

    def find(self, path: Keys) -> yaml.Node | None:
        node: yaml.Node = self.root
        for part in path:
            pair = self._child(node, part)
            if pair is None:
                return None
            node = pair[1]
        return node

    def rename(self, path: Keys, name: str, value: str | None = None) -> None:
        """Let the key at `path` have another name, and another text if one is given."""
        mapping = self.find(path[:-1])
        pair = self._child(mapping, path[-1]) if mapping is not None else None
        if pair is not None:
            pair[0].value = name
            pair[1].value = pair[1].value if value is None else value
            self._indexes.pop(id(mapping), None)

    def _child(self, node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
        """As `child`; a large mapping is indexed at first, for thousands of mistakes in thousands of hosts."""
        if len(node.value) < LARGE or not isinstance(node, yaml.MappingNode):
            return child(node, part)
        index = self._indexes.get(id(node))
        if index is None:
            index = {pair[0].value: pair for pair in reversed(node.value) if isinstance(pair[0], yaml.ScalarNode)}
            self._indexes[id(node)] = index
        return index.get(str(part)) or child(yaml.MappingNode(node.tag, _merges(node)), part)


def child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of `part` in a mapping (merge keys looked through), or the item twice in a list."""
    if isinstance(node, yaml.SequenceNode):
        if isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if key.value == part:
            return key, value
    found = (child(merged, part) for merged in _merged_into(node))
    return next((pair for pair in found if pair is not None), None)


def place_of(node: yaml.Node) -> Place:
    mark = node.start_mark
    assert mark is not None
    return Place(mark.name, mark.line + 1, mark.column + 1)


def _stands_alone(node: yaml.Node) -> bool:
    """Whether the value itself is worth pointing at; a block begins at its first child, so its key is shown."""
    return not isinstance(node, yaml.CollectionNode) or bool(node.flow_style)


def is_merge_key(node: yaml.Node) -> bool:
    return bool(node.value == "<<" and node.tag == PLAIN)


def _merges(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return [pair for pair in node.value if is_merge_key(pair[0])]


def _merged_into(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    for key, value in node.value:
        if is_merge_key(key):
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (source for source in sources if isinstance(source, yaml.MappingNode))


def in_file_order(problems: Iterable[Problem], main: str) -> list[Problem]:
    """Without repetitions; the main file first, then the others by name, each by line."""
    return sorted(set(problems), key=lambda problem: (problem.file != main, problem))
