"""The folder of one run: `.slipway/runs/ID/` with every event, and the result at the end.

events.jsonl is appended to as things happen, so it is whole up to the moment of a crash. result.json comes last; a
folder without one belongs to a run that did not end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.errors import SlipwayError
from slipway.events import Event, Listener, to_file
from slipway.outcome import NodeResult
from slipway.words import to_json


@dataclass(frozen=True)
class Run:
    """One run. Ids sort by time."""

    id: str
    folder: Path
    command: str
    at: datetime
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, root: Path, command: str) -> Run:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        folder = inside.state(root, "runs") / name
        folder.mkdir()
        return cls(name, folder, command, now)

    @property
    def listener(self) -> Listener:
        return to_file(self.folder / "events.jsonl")

    def finish(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> None:
        """Write down how every node came out. Its event comes after all others of that node: the last one counts."""
        for node in nodes:
            data = {"reason": node.reason, "system": node.new_system}
            self.listener(Event("result", node.outcome.value, node.node, data, run=self.id))
        path = self.folder / "result.json"
        path.write_text(to_json(self._result(nodes, error), indent=2) + "\n", encoding="utf-8")

    def _result(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> dict[str, Any]:
        return {
            "run": self.id,
            "command": self.command,
            "time": self.at.isoformat(timespec="seconds"),
            "duration": round(time.monotonic() - self.began, 3),
            "nodes": [node.to_json() for node in nodes],
            "error": error and {"message": str(error), "hint": error.hint, "exitCode": error.exit_code},
        }
