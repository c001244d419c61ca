"""A Secret as a person edits it: names and values in YAML, in a file of memory that nobody else can read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.generate.gitops.secrets import Wanted
from slipway.secret import Secret
from slipway.secrets import forms
from slipway.secrets.manifest import Values

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of its own in it, for its owner alone)
"""An editor wants a folder that it can write beside the file; this one is memory (shm_overview(7))."""
OWNERS_ALONE = 0o600
MOST_WRITTEN = 1 << 20
"""Bytes: what Kubernetes takes for a Secret."""
_MOUNTS = Path("/proc/self/mounts")


class WrongValues(InvalidInput):
    """What a person wrote is not what the Secret must be; nothing was changed."""


def text(wanted: Wanted, values: Values) -> Secret:
    """What the person sees: what each value must be, and the values."""
    known = {key.name: key.form for key in wanted.keys}
    lines = [f"# {wanted}: {wanted.reader}. One line a value; an empty file, or no change, changes nothing."]
    for name, value in values.items():
        lines += [f"# {known[name]}"] if name in known else []
        lines.append(_line(name, value.reveal()))
    return Secret("\n".join(lines) + "\n")


def _line(name: str, value: bytes) -> str:
    try:
        plain: str | bytes = value.decode()
    except UnicodeDecodeError:
        plain = value
    return yaml.safe_dump({name: plain}, width=10_000, default_style='"' if isinstance(plain, str) else None).strip()


def values_of(written: Secret, place: str) -> dict[str, Secret]:
    """What the person wrote. Raises InvalidInput without quoting any of it."""
    try:
        found = yaml.safe_load(written.reveal())
    except (yaml.YAMLError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise WrongValues(f"{place}: not `name: value` in YAML, a line each; nothing was changed")
    return {str(name): Secret(_bytes(str(name), value, place)) for name, value in found.items()}


def _bytes(name: str, value: Any, place: str) -> bytes:  # noqa: ANN401 (whatever YAML holds)
    if isinstance(value, str | bytes):
        return value.encode() if isinstance(value, str) else value
    raise WrongValues(f"{place}: {name}: not a text; put it in quotes")


def require_right(wanted: Wanted, values: Values) -> None:
    """Raises WrongValues with everything that is wrong, value for value."""
    wrong = faults(wanted, values)
    if wrong:
        raise WrongValues(f"{wanted}: {'; '.join(wrong)}; nothing was changed")


def faults(wanted: Wanted, values: Values) -> tuple[str, ...]:
    """What is wrong with the values of a Secret, in words for people that quote none of them."""
    if wanted.open:
        empty = [f"{name}: it is empty" for name, value in values.items() if not value.reveal()]
        return tuple(empty) if values else ("it has no value at all",)
    found = []
    for key in wanted.keys:
        if key.name not in values:
            found.append(f"{key.name}: missing")
        elif wrong := forms.fault(key, values[key.name]):
            found.append(f"{key.name}: {wrong}")
    return tuple(found)


@contextmanager
def in_memory(content: Secret, name: str) -> Iterator[Path]:
    """A file `name` for its owner alone, in a folder of its own in memory; both are gone after the block."""
    if not _is_memory(MEMORY):
        raise PrerequisiteMissing(f"{MEMORY}: not in memory (tmpfs) here", hint="use --stdin, which needs no file")
    # What an editor left beside it goes with the folder: copies, swap files, folders.
    with tempfile.TemporaryDirectory(prefix="slipway-", dir=MEMORY) as folder:
        file = Path(folder) / name
        file.touch(OWNERS_ALONE, exist_ok=False)
        file.write_bytes(content.reveal())
        yield file


def _is_memory(folder: Path) -> bool:
    mounts = (line.split() for line in _MOUNTS.read_text().splitlines())
    return any(words[1] == str(folder) and words[2] in ("tmpfs", "ramfs") for words in mounts)
