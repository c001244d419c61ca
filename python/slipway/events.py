"""The stream of what happens during a run; progress bars, logs, --json and reports are views of it.

Who listens never holds up, and never ends, what is told about: a terminal that is gone or stopped and a disk that is
full are no reason to leave a machine between two systems.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from slipway.words import plain_data, to_json

State = str
"""`started`, `progress`, `done`, or the outcome of a node (slipway.outcome.Outcome)."""

BEGINNING = ("started", "progress")
"""States of what has not ended."""

WAITING = 10_000
"""Events that may wait for a slow listener; those that come while so many wait are left out for it."""
FLUSHED_WITHIN = 5.0
"""Seconds at the end for what still waits: a terminal that is stopped (Ctrl-S) is not waited for any longer."""


@dataclass(frozen=True)
class Event:
    """One line of the stream. `node` is None for what concerns the whole cluster; `data` must be plain JSON."""

    phase: str
    state: State
    node: str | None = None
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    run: str = ""

    @property
    def words(self) -> str:
        """What it says, or why it came out so."""
        return str(self.data.get("text") or self.data.get("reason") or "")

    def to_json(self) -> str:
        fields = {
            "time": self.time,
            "run": self.run,
            "node": self.node,
            "phase": self.phase,
            "state": self.state,
            "data": dict(self.data),
        }
        return to_json(fields)


Listener = Callable[[Event], None]


class Events:
    """Hands each event to every listener, one at a time, from whichever thread it comes.

    Words of nodes are made plain here. A listener that fails hears nothing more; the others are told why.
    """

    def __init__(self, *listeners: Listener, run: str = "") -> None:
        self._listeners = list(listeners)
        self._lock = threading.Lock()
        self._run = run

    def emit(self, phase: str, state: State, node: str | None = None, **data: Any) -> None:  # noqa: ANN401 (plain JSON values, whatever a phase has to tell)
        event = Event(phase=phase, state=state, node=node, data=plain_data(data), run=self._run)
        with self._lock:
            failures = [failure for listener in list(self._listeners) if (failure := self._hand(listener, event))]
        for failure in failures:
            self.emit("events", "failed", text=f"no longer written down: {failure}")

    def _hand(self, listener: Listener, event: Event) -> str:
        """What went wrong; empty if nothing did."""
        try:
            listener(event)
        except Exception as error:
            self._listeners.remove(listener)
            return f"{type(error).__name__}: {error}"
        return ""


def to_file(path: Path, most: int | None = None) -> Listener:
    """A listener that appends one JSON line an event; after `most` bytes no progress any more, only what began and
    ended."""
    written = 0

    def write(event: Event) -> None:
        nonlocal written
        if event.state == "progress" and most is not None and written > most:
            return
        line = event.to_json() + "\n"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line)
        written += len(line)

    return write


@contextmanager
def in_the_background(
    listener: Listener, idle: Callable[[], None] = lambda: None, every: float | None = None
) -> Iterator[Listener]:
    """`listener`, called in a thread of its own while the block lasts: whoever tells it something goes on at once.

    `idle` is called in the same thread after `every` seconds in which nothing happened.

    At the end what still waits is told, for FLUSHED_WITHIN at most. What `listener` raises is the end of its hearing.
    """
    waiting: queue.Queue[Event | None] = queue.Queue(WAITING)

    def listen() -> None:
        with suppress(Exception):
            while True:
                try:
                    event = waiting.get(timeout=every)
                except queue.Empty:
                    idle()
                    continue
                if event is None:
                    return
                listener(event)

    def put(event: Event) -> None:
        with suppress(queue.Full):
            waiting.put_nowait(event)

    thread = threading.Thread(target=listen, name="slipway-events", daemon=True)
    thread.start()
    try:
        yield put
    finally:
        with suppress(queue.Full):
            waiting.put(None, timeout=FLUSHED_WITHIN if thread.is_alive() else 0)
        thread.join(FLUSHED_WITHIN)
