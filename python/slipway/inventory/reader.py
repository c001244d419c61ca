"""Reading the YAML files of an inventory into one tree of nodes.

The C parser composes nodes, which know where they stand; places are looked up only when there is something to say.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml
from yaml._yaml import CParser

from slipway.inventory.problem import Problem
from slipway.inventory.source import DEEPEST, NULLS, PLAIN, QUOTED, TOO_DEEP, Place, Source, child, place_of

MOST_BYTES: Final = 16 << 20
MOST_FILES: Final = 10_000


class _Stream(io.StringIO):
    name: str


class _Composer(CParser):
    """libyaml's composer. The tag of a scalar only says whether it was plain or quoted: no type is guessed."""

    def __init__(self, stream: _Stream) -> None:
        CParser.__init__(self, stream)

    def resolve(self, _kind: type[yaml.Node], _value: object, implicit: tuple[bool, bool] | bool) -> str:
        return PLAIN if isinstance(implicit, bool) or implicit[0] else QUOTED

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


MANY_BRACKETS: Final = 5000
"""Open at the same time; they make at most twice as many levels, since `[a: b]` holds a mapping without its own."""
_CLOSED = re.compile(r"[\[{][^][{}\"'#!%<\n]*[\]}]")
"""An opening bracket with its own closing one behind it on the line: neither quotes, comments nor tags, where brackets
mean nothing, stand between them, and in a plain text within brackets there is no bracket."""


def _may_be_deep(text: str) -> bool:
    """Cheap test, never false for what could exhaust the stack of the recursive C composer (some 20,000 levels)."""
    return brackets(text, MANY_BRACKETS) > MANY_BRACKETS or re.search(r"^[ ?:\t-]{400}", text, re.MULTILINE) is not None


def brackets(text: str, enough: int) -> int:
    """At least as many as are ever open at the same time; counted the more closely, the more than `enough` they are."""
    inner = 0
    while (found := text.count("[") + text.count("{")) > enough and inner < 4:  # as deep as people nest on one line
        text = _CLOSED.sub("", text)
        inner += 1
    return found + inner


def _too_deep(text: str, name: str) -> Problem | None:
    depth = 0
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line, column = (event.start_mark.line, event.start_mark.column) if event.start_mark else (0, 0)
                return Problem(name, line + 1, column + 1, "yaml", TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    at = lines[line - 1] if line <= len(lines) else ""
    return Problem(name, line, column, "yaml", _in_words(error, at, column))


_WORDS = {
    "mapping values are not allowed in this context": "a ': ' that begins no value; quote the text, or indent the line",
    "could not find expected ':'": "expected `key: value`",
    "found character that cannot start any token": "a text cannot begin with this character; quote it",
    "expected <document start>, but found '<block mapping start>'": "this line is indented less than those before",
}


def _in_words(error: yaml.MarkedYAMLError, at: str, column: int) -> str:
    """libyaml's message, or a better one where the cause is known. `at` is the line of the mistake."""
    problem = error.problem or error.context or "not YAML"
    if "\t" in at[:column] and not at[: column - 1].strip():
        return "a tab cannot indent YAML; use spaces"
    if "expected a single document" in str(error):
        return "a second document begins here ('---'); an inventory is one, use `include` for more files"
    if problem == "found undefined alias":
        alias = re.match(r"\*([^\s,\]}]*)", at[column - 1 :])
        return f"no anchor &{alias[1] if alias else ''} stands above this alias"
    if problem in _WORDS:
        return _WORDS[problem]
    if error.context and error.context_mark:
        return f"{problem} ({error.context}, begun in line {error.context_mark.line + 1})"
    return problem


class Reader:
    """Reads the inventory and what it includes; collects what is wrong on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: dict[Path, Place] = {}
        self._files: list[str] = []

    def read(self, path: Path) -> Source | None:
        """The merged source, or None when there is nothing to build on. OSError of `path` itself passes through."""
        name = str(path)
        root = self._compose(path, name)
        if root is not None and not root.value:
            self.problems.append(_empty(name))
        if root is None or not root.value:
            return None
        self._seen[path.resolve()] = Place(name, 1, 1)
        parts = [root]
        for part in parts:  # grows while it is walked: included files may include
            parts.extend(self._included(part, path if part is root else Path(part.start_mark.name)))
        return Source(_merge(parts), name)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that was read, the inventory first, named as the user wrote it."""
        return tuple(self._files)

    def parse(self, raw: bytes, name: str) -> Source | None:
        """The source of one file that is at hand already; what it includes is not read."""
        root = self._root(raw, name)
        return Source(root, name) if root is not None else None

    def _compose(self, path: Path, name: str) -> yaml.MappingNode | None:
        self._files.append(name)
        return self._root(read_bytes(path), name)

    def _root(self, raw: bytes, name: str) -> yaml.MappingNode | None:
        node = compose(raw, name)
        if isinstance(node, Problem):
            self.problems.append(node)
        elif node is None:
            self.problems.append(_empty(name))
        elif not isinstance(node, yaml.MappingNode):
            self.problems.append(
                place_of(node).problem("yaml", "expected a mapping of sections such as cluster: and hosts:")
            )
        else:
            return node
        return None

    def _included(self, node: yaml.MappingNode, path: Path) -> Iterator[yaml.MappingNode]:
        """Roots of what `include` names; what is no list of texts is left to the model to refuse."""
        pair = child(node, "include")
        if pair is not None and isinstance(pair[1], yaml.SequenceNode):
            for item in pair[1].value:
                if isinstance(item, yaml.ScalarNode):
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


def read_bytes(path: Path) -> bytes:
    """At most one byte more than is allowed, and never from a pipe or a device that does not end."""
    if path.exists() and not path.is_file():
        raise OSError(None, "not a regular file", str(path))
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _empty(name: str) -> Problem:
    return Problem(name, 1, 1, "yaml", "the file is empty")


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files that an entry of `include` names; none where it is no pattern that can name any."""
    try:
        found = sorted(folder.glob(pattern)) if re.search(r"[*?\[]", pattern) else [folder / pattern]
        return [file for file in found if file.is_file()]
    except (OSError, ValueError, NotImplementedError):
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
    elif isinstance(first, yaml.ScalarNode) and first.value in NULLS:
        pairs[index] = (key, value)
    elif not (isinstance(value, yaml.ScalarNode) and value.value in NULLS):
        pairs.append((key, value))
