"""The stream of what happens during a run; progress bars, logs, --json and reports are views of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

State = str
"""`started`, `progress`, `done`, or the outcome of a node (slipway.outcome.Outcome)."""


@dataclass(frozen=True)
class Event:
    """One line of the stream. `node` is None for what concerns the whole cluster; `data` must be plain JSON."""

    phase: str
    state: State
    node: str | None = None
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    run: str = ""

    def to_json(self) -> str:
        fields = {
            "time": self.time,
            "run": self.run,
            "node": self.node,
            "phase": self.phase,
            "state": self.state,
            "data": dict(self.data),
        }
        return json.dumps(fields, ensure_ascii=False)


Listener = Callable[[Event], None]


class Events:
    """Hands each event to every listener, one at a time, from whichever thread it comes."""

    def __init__(self, *listeners: Listener, run: str = "") -> None:
        self._listeners = list(listeners)
        self._lock = threading.Lock()
        self._run = run

    def emit(self, phase: str, state: State, node: str | None = None, **data: Any) -> None:  # noqa: ANN401 (plain JSON values, whatever a phase has to tell)
        event = Event(phase=phase, state=state, node=node, data=data, run=self._run)
        with self._lock:
            for listener in self._listeners:
                listener(event)


def to_file(path: Path) -> Listener:
    """A listener that appends one JSON line an event."""

    def write(event: Event) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(event.to_json() + "\n")

    return write
