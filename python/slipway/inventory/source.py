"""The YAML files of an inventory as one tree: plain data for the model, and the place of every value for messages.

The C parser composes nodes, which know where they stand; plain data is made from them in one walk, and places are
looked up only when there is something to say. Every scalar stays the text that it is in the file (`26.10`,
`52:54:00:12:34:56` and `no` keep their meaning); only an empty value, `~` and `null` become None.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from yaml._yaml import CParser

from slipway.inventory.problem import Problem

Data: TypeAlias = Any
"""dict, list, str or None, nested; in free-form places also int, float and bool."""
Keys: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists."""

MOST_BYTES: Final = 32 << 20
MOST_FILES: Final = 10_000
MOST_VALUES: Final = 2_000_000
DEEPEST: Final = 60
FREE_FORM: Final[tuple[Keys, ...]] = (("cluster", "k0s", "workerProfiles"),)
"""Places whose values go to other programs as they are, so that numbers and truth values must be such."""

_PLAIN, _QUOTED = "plain", "quoted"
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_KNOWN_TAGS = _CORE_TAGS | {_PLAIN, _QUOTED}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


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
    """`hosts.w1.taints[0]`; a key that holds a dot is quoted."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            key = f'"{part}"' if "." in part else part
            shown += f".{key}" if shown else key
    return shown


class Source:
    """The composed files of one inventory, the included ones merged in, section by section."""

    def __init__(self, root: yaml.MappingNode, main: str) -> None:
        self.root = root
        self.main = main

    def place(self, path: Keys, *, key: bool = False) -> Place:
        """Where the value (or its key) at `path` stands; where it is absent, the nearest thing around it."""
        node: yaml.Node = self.root
        place = Place(self.main, 1, 1)
        for part in path:
            pair = child(node, part)
            if pair is None:
                break
            node = pair[1]
            place = place_of(pair[0] if key or not _stands_alone(node) else node)
        return place

    def find(self, path: Keys) -> yaml.Node | None:
        node: yaml.Node = self.root
        for part in path:
            pair = child(node, part)
            if pair is None:
                return None
            node = pair[1]
        return node


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


def _is_merge_key(node: yaml.Node) -> bool:
    return bool(node.value == "<<" and node.tag == _PLAIN)


def _merged_into(node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
    for key, value in node.value:
        if _is_merge_key(key):
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (source for source in sources if isinstance(source, yaml.MappingNode))


# --- reading ---------------------------------------------------------------------------------------------------------


class _Stream(io.StringIO):
    name: str


class _Composer(CParser):
    """libyaml's composer. The tag of a scalar only says whether it was plain or quoted: no type is guessed."""

    def __init__(self, stream: _Stream) -> None:
        CParser.__init__(self, stream)

    def resolve(self, _kind: type[yaml.Node], _value: object, implicit: tuple[bool, bool] | bool) -> str:
        return _PLAIN if isinstance(implicit, bool) or implicit[0] else _QUOTED

    def descend_resolver(self, *_: object) -> None: ...

    def ascend_resolver(self) -> None: ...


def compose(raw: bytes, name: str) -> yaml.Node | Problem | None:
    """The node tree of one file, None for an empty one, or what is wrong with it as YAML."""
    text = _decode(raw, name)
    if isinstance(text, Problem):
        return text
    try:
        if _may_be_deep(text) and (problem := _too_deep(text, name)):
            return problem
        stream = _Stream(text)
        stream.name = name
        composed: yaml.Node | None = _Composer(stream).get_single_node()
        return composed
    except yaml.MarkedYAMLError as error:
        return _syntax_problem(error, text, name)
    except yaml.YAMLError as error:
        return Problem(name, 1, 1, "yaml", str(error).splitlines()[0])


def _decode(raw: bytes, name: str) -> str | Problem:
    if len(raw) > MOST_BYTES:
        return Problem(name, 1, 1, "yaml", f"the file has {len(raw) >> 20} MiB, at most {MOST_BYTES >> 20} are read")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(name, 1, 1, "yaml", "the file is UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(raw[: error.start].decode("utf-8", "replace"))
        return Problem(
            name, line, column, "yaml", f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        )
    control = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    if control:
        line, column = _line_and_column(text[: control.start()])
        return Problem(name, line, column, "yaml", f"character U+{ord(control[0]):04X} cannot stand in YAML")
    return text


def _line_and_column(before: str) -> tuple[int, int]:
    lines = re.split(r"\r\n|\r|\n", before)
    return len(lines), len(lines[-1]) + 1


def _may_be_deep(text: str) -> bool:
    """Cheap test, never false for what could exhaust the stack of the recursive C composer (some 20,000 levels)."""
    return text.count("[") + text.count("{") > 5000 or re.search(r"^[ ?:\t-]{400}", text, re.MULTILINE) is not None


def _too_deep(text: str, name: str) -> Problem | None:
    depth = 0
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line, column = (event.start_mark.line, event.start_mark.column) if event.start_mark else (0, 0)
                return Problem(name, line + 1, column + 1, "yaml", _DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


_DEEP = f"nested deeper than {DEEPEST} levels, or an alias that contains itself"


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = error.problem or error.context or "not YAML"
    lines = text.splitlines()
    at = lines[line - 1] if line <= len(lines) else ""
    if "\t" in at[:column] and not at[: column - 1].strip():
        message = "a tab cannot indent YAML; use spaces"
    elif "expected a single document" in str(error):
        message = "a second document begins here ('---'); an inventory is one, use `include` for more files"
    elif error.context and error.context_mark:
        message += f" ({error.context}, begun in line {error.context_mark.line + 1})"
    return Problem(name, line, column, "yaml", message)


# --- several files ---------------------------------------------------------------------------------------------------


class Reader:
    """Reads the inventory and what it includes; collects what is wrong on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: dict[Path, Place] = {}

    def read(self, path: Path) -> Source | None:
        """The merged source, or None when there is nothing to build on. OSError of `path` itself passes through."""
        name = str(path)
        root = self._compose(path, name)
        if root is None:
            return None
        self._seen[path.resolve()] = Place(name, 1, 1)
        parts = [root]
        for part in parts:  # grows while it is walked: included files may include
            parts.extend(self._included(part, path if part is root else Path(part.start_mark.name)))
        return Source(_merge(parts), name)

    def _compose(self, path: Path, name: str) -> yaml.MappingNode | None:
        node = compose(_read_bytes(path), name)
        if isinstance(node, Problem):
            self.problems.append(node)
        elif node is None:
            self.problems.append(Problem(name, 1, 1, "yaml", "the file is empty"))
        elif not isinstance(node, yaml.MappingNode):
            self.problems.append(
                place_of(node).problem("yaml", "expected a mapping of sections such as cluster: and hosts:")
            )
        else:
            return node
        return None

    def _included(self, node: yaml.MappingNode, path: Path) -> Iterator[yaml.MappingNode]:
        pair = child(node, "include")
        if pair is None:
            return
        value = pair[1]
        items = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for item in items:
            if not isinstance(item, yaml.ScalarNode) or not isinstance(value, yaml.SequenceNode):
                self.problems.append(place_of(item).problem("include", "expected a list of file names"))
                return
            yield from self._include(item, path.parent)

    def _include(self, item: yaml.ScalarNode, folder: Path) -> Iterator[yaml.MappingNode]:
        place = place_of(item)
        found = _files(folder, item.value)
        if not found:
            self.problems.append(place.problem("include", f"no file {item.value!r} in {str(folder) or '.'}"))
        for file in found:
            first = self._seen.setdefault(file.resolve(), place)
            if first is not place:
                self.problems.append(place.problem("include", f"{str(file)!r} is already read, see {first}"))
            elif len(self._seen) > MOST_FILES:
                self.problems.append(place.problem("include", f"more than {MOST_FILES} files"))
                return
            elif (node := self._try_compose(file, place)) is not None:
                yield node

    def _try_compose(self, file: Path, place: Place) -> yaml.MappingNode | None:
        try:
            return self._compose(file, str(file))
        except OSError as error:
            self.problems.append(place.problem("include", f"cannot read {str(file)!r}: {error.strerror or error}"))
            return None


def _read_bytes(path: Path) -> bytes:
    """At most one byte more than is allowed, and never from a pipe or a device that does not end."""
    if path.exists() and not path.is_file():
        raise OSError(None, "not a regular file", str(path))
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _files(folder: Path, pattern: str) -> list[Path]:
    if re.search(r"[*?\[]", pattern) and not pattern.startswith("/"):
        return sorted(folder.glob(pattern))
    try:
        return [folder / pattern] if (folder / pattern).is_file() else []
    except (OSError, ValueError):
        return []


def _merge(parts: list[yaml.MappingNode]) -> yaml.MappingNode:
    """One tree of all files: sections of the same name are joined; a repeated entry in them stays, as a duplicate."""
    root = parts[0]
    if len(parts) == 1:
        return root
    pairs = list(root.value)
    at = {key.value: index for index, (key, _) in reversed(list(enumerate(pairs)))}
    for key, value in _pairs_of(parts[1:], root):
        index = at.setdefault(key.value, len(pairs))
        if index == len(pairs):
            pairs.append((key, value))
        else:
            _join(pairs, index, key, value)
    return yaml.MappingNode(root.tag, pairs, root.start_mark, root.end_mark)


def _pairs_of(parts: list[yaml.MappingNode], root: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    version = child(root, "apiVersion")
    for part in parts:
        for key, value in part.value:
            same_version = key.value == "apiVersion" and version is not None and version[1].value == value.value
            if key.value != "include" and not same_version:
                yield key, value


def _join(pairs: list[tuple[yaml.Node, yaml.Node]], index: int, key: yaml.Node, value: yaml.Node) -> None:
    first_key, first = pairs[index]
    if isinstance(first, yaml.MappingNode) and isinstance(value, yaml.MappingNode):
        joined = yaml.MappingNode(first.tag, [*first.value, *value.value], first.start_mark, first.end_mark, False)
        pairs[index] = (first_key, joined)
    elif isinstance(first, yaml.ScalarNode) and first.value in _NULLS:
        pairs[index] = (key, value)
    elif not (isinstance(value, yaml.ScalarNode) and value.value in _NULLS):
        pairs.append((key, value))


# --- plain data ------------------------------------------------------------------------------------------------------


class Builder:
    """Makes plain data of nodes; collects duplicate keys, tags and other things that have no meaning here."""

    def __init__(self, *, typed: bool = False) -> None:
        self.problems: list[Problem] = []
        self._count = 0
        self._typed = typed

    def build(self, source: Source) -> dict[str, Data]:
        """The plain data of the whole inventory; what cannot be built is left out and told in `problems`."""
        try:
            data = self.value(source.root)
            for path in FREE_FORM:
                _build_typed(source, data, path)
        except RecursionError:
            self.problems.append(Problem(source.main, 1, 1, "yaml", _DEEP))
        except _TooMuch as error:
            self.problems.append(error.problem)
        else:
            return data if isinstance(data, dict) else {}
        return {}

    def value(self, node: yaml.Node) -> Data:
        if node.tag not in _KNOWN_TAGS:
            self._odd_tag(node)
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _PLAIN and node.value in _NULLS:
                return None
            return _typed(node) if self._typed else node.value
        self._grow(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        return self._mapping(node) if isinstance(node, yaml.MappingNode) else None

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Data]:
        made: dict[str, Data] = {}
        merges = False
        for key, value in node.value:
            name = key.value
            if not isinstance(name, str) or (not name and key.tag == _PLAIN):
                self.problems.append(place_of(key).problem("yaml", "a key must be a single word or text"))
            elif name == "<<" and key.tag == _PLAIN:
                merges = True
            elif name in made:
                self._duplicate(node, key)
            else:
                made[name] = self.value(value)
        return {**self._merged(node), **made} if merges else made

    def _merged(self, node: yaml.MappingNode) -> dict[str, Data]:
        made: dict[str, Data] = {}
        for key, value in node.value:
            if not _is_merge_key(key):
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

    def _grow(self, node: yaml.Node) -> None:
        self._count += len(node.value) + 1
        if self._count > MOST_VALUES:
            raise _TooMuch(place_of(node).problem("yaml", f"aliases make more than {MOST_VALUES} values of this file"))


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
    if node.tag != _PLAIN:
        return text
    if text in _TRUTH:
        return _TRUTH[text]
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]{1,18}\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", text):
        return float(text)
    return text


def in_file_order(problems: Iterable[Problem], main: str) -> list[Problem]:
    """Without repetitions; the main file first, then the others by name, each by line."""
    return sorted(set(problems), key=lambda problem: (problem.file != main, problem))
