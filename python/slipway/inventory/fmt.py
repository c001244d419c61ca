"""Formatting an inventory: one layout, every comment kept, no value changed."""

from __future__ import annotations

import io
import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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

    Raises InvalidInput where that would change a value, which would be a mistake of the layout and not of the file.
    """
    before = _data(text, name)
    made = _round_trip(text, name)
    if _data(made, name) != before:
        raise InvalidInput(f"{name}: formatting would change a value; the file is left as it is")
    return made


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
