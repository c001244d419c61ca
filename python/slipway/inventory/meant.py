"""Slips of keys: told once, and read from then on as what was meant.

Else a section that is called `default` would be told a second time by all that its hosts do not inherit, and would hide
the mistakes within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.inventory import messages
from slipway.inventory.model import File
from slipway.inventory.problem import Problem
from slipway.inventory.source import Data, Keys, Source


@dataclass(frozen=True)
class Slip:
    """`path` leads to the unknown key by the keys of the file, `called` by those that were meant."""

    path: Keys
    called: Keys
    meant: str
    value: str | None
    """Where it stands in the key, since a blank is missing: `{role:worker}`."""


def put_right(source: Source, data: dict[str, Data]) -> list[Problem]:
    """Rename in both what is a slip of a key, and return a problem for each. For files that are refused anyway."""
    slips = list(_slips(data, (), (), File))
    problems = [_problem(source, slip) for slip in slips]
    for slip in slips:
        source.rename(slip.path, slip.meant, slip.value)
        _rename(data, slip)
    return problems


def _problem(source: Source, slip: Slip) -> Problem:
    return source.place(slip.path, key=True).problem(slip.path, messages.unknown_key(slip.called, File))


def _slips(value: Data, path: Keys, called: Keys, shape: object) -> Iterator[Slip]:
    """The slips at and below `path`, the inner ones first; `shape` is what the model has there."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _slips(item, (*path, number), (*called, number), messages.step(shape, number))
    if not isinstance(value, dict):
        return
    known = messages.keys_of(shape)
    taken = {key for key in value if key in known}
    for key, inner in value.items():
        own = key in taken or not known or (not path and key.startswith("x-"))
        meant = None if own else messages.meant((*called, key), known)
        name, text = (key, None) if meant is None or meant[0] in taken else meant
        yield from _slips(inner, (*path, key), (*called, name), messages.step(shape, name))
        if name != key:
            taken.add(name)
            yield Slip((*path, key), (*called, key), name, text)


def _rename(data: Data, slip: Slip) -> None:
    """In place, and in the order of the file."""
    *around, last = slip.path
    for part in around:
        data = data[part]
    items = [(slip.meant, slip.value or inner) if key == last else (key, inner) for key, inner in data.items()]
    data.clear()
    data.update(items)
