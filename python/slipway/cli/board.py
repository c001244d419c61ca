"""What is under way and what ended, as a table that fits on a screen however many nodes there are.

Nodes that are in the same place are one row; who takes longest comes first, so that one that hangs is never lost among
those that do not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway.events import BEGINNING, Event
from slipway.words import counted, first_of, line

NAMED = 5
"""Nodes of a line that are named one by one."""
MOST_ROWS = 20
LONGEST = 200
"""Characters of the words of what is waited for."""


@dataclass(frozen=True)
class Doing:
    """Something under way, since when (seconds of a monotonic clock), and its newest words."""

    since: float
    text: str

    @property
    def said(self) -> str:
        """Its words behind a colon, cut short; nothing where there are none."""
        words = line(self.text)
        return f": {words[:LONGEST]}{' ...' if words[LONGEST:] else ''}" if words else ""


@dataclass
class Board:
    """Fed with events from one thread, read from another."""

    clock: Callable[[], float] = time.monotonic
    _doing: dict[tuple[str, str | None], Doing] = field(default_factory=dict)
    _ended: dict[str, dict[str, str]] = field(default_factory=dict)
    """Phase to node to how it ended there the last time: one that is asked twice is one node all the same."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, event: Event) -> float | None:
        """Take an event; returns how many seconds what ended with it took, None where nothing did."""
        key = (event.phase, event.node)
        with self._lock:
            before = self._doing.get(key)
            if event.state in BEGINNING:
                self._doing[key] = Doing(before.since if before else self.clock(), event.words)
                return None
            self._doing.pop(key, None)
            if event.node and not event.data.get("quiet"):
                self._ended.setdefault(event.phase, {})[event.node] = event.state
            return self.clock() - before.since if before else None

    def rows(self, width: int, height: int) -> list[str]:
        """The table, at most `height` lines of at most `width` characters: what is under way, then what ended."""
        with self._lock:
            under_way, ended = self._under_way(), [*map(self._summary, self._ended)]
        room = max(1, min(height, MOST_ROWS) - len(ended))
        left_out = len(under_way) - room
        if left_out > 0:
            under_way = [*under_way[: room - 1], f"and {left_out + 1} more that take less long"]
        return [each[:width] for each in (*under_way, *ended)][:height]

    def waited_for(self) -> str:
        """Who or what is waited for, the longest first; empty while there is nothing. Of what concerns all its newest
        words: what is one among many nodes has them in its row."""
        with self._lock:
            found = sorted(self._doing.items(), key=lambda item: item[1].since)
        now = self.clock()
        shown = [
            f"{phase} {line(name or '')}".strip() + f" ({now - doing.since:.0f} s)" + ("" if name else doing.said)
            for (phase, name), doing in found
        ]
        return first_of(shown, NAMED)

    def _under_way(self) -> list[str]:
        """A row for each phase and text; several nodes with the same share one."""
        groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
        for (phase, name), doing in self._doing.items():
            groups.setdefault((phase, line(doing.text)), []).append((doing.since, name or ""))
        now = self.clock()
        ordered = sorted(groups.items(), key=lambda item: min(item[1]))
        return [_row(phase, text, now, members) for (phase, text), members in ordered]

    def _summary(self, phase: str) -> str:
        ended = Counter(self._ended[phase].values())
        return f"{phase:<10} {'':>8}  " + ", ".join(f"{number} {state}" for state, number in ended.items())


def _row(phase: str, text: str, now: float, members: list[tuple[float, str]]) -> str:
    names = [line(name) for _since, name in sorted(members) if name]
    return f"{phase:<10} {now - min(members)[0]:6.1f} s  " + " ".join(filter(None, (_named(names), text)))


def _named(names: list[str]) -> str:
    if len(names) <= 1:
        return "".join(names)
    return f"{counted(len(names), 'node')}: {first_of(names, NAMED, ' ')}"
