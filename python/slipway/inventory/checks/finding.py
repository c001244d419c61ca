"""What a cross-check has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from slipway.inventory.model import Document
from slipway.inventory.source import Keys


@dataclass(frozen=True)
class Finding:
    """Something about the value at `path` of the merged inventory.

    `other` is the path of the other party; `{}` in the message stands for its name and place. Findings with the same
    message about one value that many hosts inherit are told once.
    """

    path: Keys
    message: str
    other: Keys | None = None
    warning: bool = False
    about_key: bool = False


Check: TypeAlias = Callable[[Document], Iterator[Finding]]
