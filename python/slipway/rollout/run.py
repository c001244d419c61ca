"""The folder of one run: `.slipway/runs/ID/` with every event, and the result at the end.

run.json tells who began it. events.jsonl is appended to as things happen, so it is whole up to the moment of a crash.
result.json comes last; a folder without one belongs to a run that did not end.
"""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.errors import SlipwayError
from slipway.events import Event, Listener, to_file
from slipway.outcome import NodeResult
from slipway.rollout import process
from slipway.words import to_json

BEGUN, EVENTS, RESULT = "run.json", "events.jsonl", "result.json"


@dataclass(frozen=True)
class Run:
    """One run. Ids sort by time."""

    id: str
    folder: Path
    command: str
    at: datetime
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, root: Path, command: str, asked: Mapping[str, Any] | None = None) -> Run:
        """`asked`, plain data: what somebody needs to know who goes on with it."""
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        folder = inside.state(root, "runs") / name
        folder.mkdir()
        begun: dict[str, Any] = {"run": name, "command": command, "time": now.isoformat(timespec="seconds")}
        begun |= {**process.own(), "user": getpass.getuser(), "host": socket.gethostname()}
        begun |= {"asked": asked} if asked else {}
        (folder / BEGUN).write_text(to_json(begun, indent=2) + "\n", encoding="utf-8")
        return cls(name, folder, command, now)

    @property
    def listener(self) -> Listener:
        return to_file(self.folder / EVENTS)

    def finish(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> None:
        """Write down how every node came out. Its event comes after all others of that node: the last one counts."""
        for node in nodes:
            data = {"reason": node.reason, "system": node.new_system}
            self.listener(Event("result", node.outcome.value, node.node, data, run=self.id))
        path = self.folder / RESULT
        path.write_text(to_json(self._result(nodes, error), indent=2) + "\n", encoding="utf-8")

    @contextmanager
    def recorded(self) -> Iterator[list[NodeResult]]:
        """How the block ended becomes the result, with the nodes that it puts into the list."""
        nodes: list[NodeResult] = []
        try:
            yield nodes
        except SlipwayError as error:
            self.finish(nodes, error)
            raise
        self.finish(nodes, None)

    def _result(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> dict[str, Any]:
        return {
            "run": self.id,
            "command": self.command,
            "time": self.at.isoformat(timespec="seconds"),
            "duration": round(time.monotonic() - self.began, 3),
            "nodes": [node.to_json() for node in nodes],
            "error": error and {"message": str(error), "hint": error.hint, "exitCode": error.exit_code},
        }
