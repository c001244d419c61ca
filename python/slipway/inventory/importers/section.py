"""A mapping of a file of another tool, of which nothing is passed over in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from slipway.inventory.importers.draft import Draft, items, mapping

LEFT: Final = "is not carried over"


class Section:
    """Keys are taken one by one, by those who know what they mean; what is left in the end is told with its place."""

    def __init__(self, draft: Draft, value: object, where: str) -> None:
        self.draft, self.where = draft, where
        self._left = dict(mapping(value))
        self._inner: list[Section] = []
        if value not in (None, "") and not isinstance(value, dict):
            draft.note(f"a mapping was expected; it {LEFT}", where)

    def take(self, key: str) -> Any:  # noqa: ANN401 (plain data)
        """The value of a key, None where there is none; it counts as carried over from now on."""
        return self._left.pop(key, None)

    @property
    def left(self) -> tuple[str, ...]:
        """The keys that nobody took so far."""
        return tuple(self._left)

    def section(self, key: str) -> Section:
        """The mapping below a key."""
        return self._below(self.take(key), f"{self.where}.{key}")

    def sections(self, key: str) -> list[Section]:
        """The mappings of the list below a key."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            self.draft.note(f"a list was expected; it {LEFT}", f"{self.where}.{key}")
        return [self._below(item, f"{self.where}.{key}[{index}]") for index, item in enumerate(items(value))]

    def words(self, key: str) -> list[str]:
        """The texts of the list below a key; a single text is a list of one."""
        value = self.take(key)
        return [str(value)] if isinstance(value, str | int) else [str(item) for item in items(value)]

    def truth(self, key: str) -> bool:
        """Whether a switch is on, written as a truth value or as a word."""
        return str(self.take(key)).lower() in ("true", "yes", "on")

    def tell_left(self, hints: Mapping[str, str]) -> None:
        """Note every key that nobody took, with what `hints` say of a key of that name."""
        for key, value in self._left.items():
            if value not in (None, "", {}, []):
                self.draft.note(f"{key}: {hints[key]}" if key in hints else f"{key} {LEFT}", self.where)
        for inner in self._inner:
            inner.tell_left(hints)

    def _below(self, value: object, where: str) -> Section:
        made = Section(self.draft, value, where)
        self._inner.append(made)
        return made
