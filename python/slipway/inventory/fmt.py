"""Formatting an inventory: one layout, every comment kept, no value changed."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import ScalarToken

from slipway.errors import InvalidInput
from slipway.inventory.builder import Builder
from slipway.inventory.load import FILE_NAME, read
from slipway.inventory.problem import InvalidInventory
from slipway.inventory.reader import Reader
from slipway.inventory.source import Data, in_file_order

LONGEST_LINE = 120


def files_of(path: Path) -> tuple[Path, ...]:
    """The inventory and the files that it includes. Raises InvalidInventory when one of them is no YAML."""
    file = path / FILE_NAME if path.is_dir() else path
    read(file)
    reader = Reader()
    reader.read(file)
    return tuple(Path(name) for name in reader.files)


def format_text(text: str, name: str) -> str:
    """`text` in the one layout: two blanks a level, list items indented, one blank line at most, no trailing blanks.

    Raises InvalidInput where that would change a value, which would be a mistake of the layout and not of the file, and
    where a comment has no place in the one layout, as within a list of several lines in brackets.
    """
    before = _data(text, name)
    made = _round_trip(text, name)
    if _data(made, name) != before:
        raise InvalidInput(f"{name}: formatting would change a value; the file is left as it is")
    kept = Counter(comment for _, comment in _comments(made))
    for line, comment in _comments(text):
        kept[comment] -= 1
        if kept[comment] < 0:
            raise InvalidInput(
                f"{name}:{line}: formatting would lose the comment {comment!r}; the file is left as it is",
                hint="write that list or mapping without brackets, one entry a line (`- value  # comment`), or put the "
                "comment on a line above it",
            )
    return made


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Line, from 1, and text of every comment; a # within a value is none."""
    masked, end = [], 0
    for token in YAML(typ="safe", pure=True).scan(text):
        if isinstance(token, ScalarToken):
            begin = token.start_mark.index
            if token.style in ("|", ">"):
                # Such a value begins on the line after its sign, where a comment may stand.
                begin = text.index("\n", begin) if text[begin] in "|>" else begin
            masked += [text[end:begin], re.sub(r"[^\n]", "x", text[begin : token.end_mark.index])]
            end = token.end_mark.index
    for number, line in enumerate("".join([*masked, text[end:]]).split("\n"), 1):
        if found := re.search(r"(?:^|\s)(#.*)", line):
            yield number, found[1].rstrip()


def _round_trip(text: str, name: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1 << 20
    stream = io.StringIO()
    try:
        yaml.dump(yaml.load(text), stream)
    except (YAMLError, ValueError, AttributeError, NotImplementedError) as error:
        raise InvalidInput(f"{name}: cannot be formatted: {error}") from error
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def _data(text: str, name: str) -> Data:
    """What the text says, for comparison."""
    reader = Reader()
    source = reader.parse(text.encode(), name)
    builder = Builder()
    data = builder.build(source) if source else None
    if reader.problems or builder.problems:
        raise InvalidInventory(in_file_order([*reader.problems, *builder.problems], name))
    return data
