"""Plain data from the nodes of an inventory.

Every scalar stays the text that it is in the file (`26.10`, `52:54:00:12:34:56` and `no` keep their meaning) until the
model gives it a type; only an empty value, `~` and `null` become None.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from slipway.inventory.problem import Problem
from slipway.inventory.source import DEEPEST, NULLS, PLAIN, QUOTED, TOO_DEEP, Data, Keys, Source, is_merge_key, place_of

MOST_VALUES: Final = 2_000_000
FREE_FORM: Final[tuple[Keys, ...]] = (("cluster", "k0s", "workerProfiles"),)
"""Places whose values go to other programs as they are, so that numbers and truth values must be such."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""C0 without tab and newline, DEL, C1 without NEL (a line end of YAML 1.1, which is quoted), half characters."""

_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_KNOWN_TAGS = _CORE_TAGS | {PLAIN, QUOTED}


class Builder:
    """Makes plain data of nodes; collects duplicate keys, tags and other things that have no meaning here."""

    def __init__(self, *, typed: bool = False, most: int = MOST_VALUES) -> None:
        self.problems: list[Problem] = []
        self.has_empty = False
        """Whether some key has no value."""
        self._count = 0
        self._depth = 0
        self._typed = typed
        self._most = most

    def build(self, source: Source) -> dict[str, Data]:
        """The plain data of the whole inventory; what cannot be built is left out and told in `problems`."""
        data = self.plain(source.root)
        for path in FREE_FORM:
            _build_typed(source, data, path)
        return data if isinstance(data, dict) else {}

    def plain(self, node: yaml.Node) -> Data:
        """The plain data of one tree, None where it is too deep or too much."""
        try:
            return self.value(node)
        except _TooMuch as error:
            self.problems.append(error.problem)
            return None

    def value(self, node: yaml.Node) -> Data:
        if node.tag not in _KNOWN_TAGS:
            self._odd_tag(node)
        if isinstance(node, yaml.ScalarNode):
            if node.tag != PLAIN:
                self._require_readable(node)
            elif node.value in NULLS:
                self.has_empty = True
                return None
            return _typed(node) if self._typed else node.value
        self._enter(node)
        made = self._mapping(node) if isinstance(node, yaml.MappingNode) else [self.value(item) for item in node.value]
        self._depth -= 1
        return made

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Data]:
        made: dict[str, Data] = {}
        merges = False
        for key, value in node.value:
            name = key.value
            if not isinstance(name, str) or (not name and key.tag == PLAIN):
                self.problems.append(place_of(key).problem("yaml", "a key must be a single word or text"))
            elif is_merge_key(key):
                merges = True
            elif name in made:
                self._duplicate(node, key)
            else:
                if key.tag != PLAIN:
                    self._require_readable(key)
                made[name] = self.value(value)
        return {**self._merged(node), **made} if merges else made

    def _merged(self, node: yaml.MappingNode) -> dict[str, Data]:
        made: dict[str, Data] = {}
        for key, value in node.value:
            if not is_merge_key(key):
                continue
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in reversed(sources):
                if isinstance(source, yaml.MappingNode):
                    made.update(self.value(source))
                else:
                    self.problems.append(place_of(source).problem("yaml", "'<<' merges mappings only, such as *name"))
        return made

    def _duplicate(self, node: yaml.MappingNode, key: yaml.Node) -> None:
        first = next(other for other, _ in node.value if other.value == key.value)
        message = f"duplicate key {key.value!r}, first at {place_of(first)}"
        self.problems.append(place_of(key).problem("yaml", message))

    def _odd_tag(self, node: yaml.Node) -> None:
        shown = node.tag.replace("tag:yaml.org,2002:", "!!")
        self.problems.append(place_of(node).problem("yaml", f"the tag {shown} has no meaning here; remove it"))

    def _require_readable(self, node: yaml.ScalarNode) -> None:
        """No value may hold what ends a word, a line or a file in the formats that are made of it (NUL, ESC, CR).

        Only quotes have escapes; where such a character stands itself, the file is not even read.
        """
        found = _CONTROL.search(node.value)
        if found:
            message = f"has the control character {found[0]!a}; remove it"
            self.problems.append(place_of(node).problem("yaml", message))

    def _enter(self, node: yaml.Node) -> None:
        self._count += len(node.value) + 1
        self._depth += 1
        if self._count > self._most:
            raise _TooMuch(place_of(node).problem("yaml", f"aliases make more than {self._most} values of this file"))
        if self._depth > DEEPEST:
            raise _TooMuch(place_of(node).problem("yaml", TOO_DEEP))


class _TooMuch(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _build_typed(source: Source, data: Data, path: Keys) -> None:
    """Build the value at `path` again, with numbers and truth values as YAML 1.2 has them."""
    *parents, last = path
    for part in parents:
        data = data.get(part) if isinstance(data, dict) else None
    node = source.find(path)
    if isinstance(data, dict) and node is not None:
        data[str(last)] = Builder(typed=True).value(node)


_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def _typed(node: yaml.ScalarNode) -> Data:
    text: str = node.value
    if node.tag != PLAIN:
        return text
    if text in _TRUTH:
        return _TRUTH[text]
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]{1,18}\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", text):
        return float(text)
    return text
