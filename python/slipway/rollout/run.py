"""The folder of one run: `.slipway/runs/ID/` with every event, and the result at the end.

run.json tells who began it. events.jsonl is appended to as things happen, so it is whole up to the moment of a crash.
result.json comes last; a folder without one belongs to a run that did not end.
"""

from __future__ import annotations

import getpass
import json
import re
import secrets
import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.errors import SlipwayError
from slipway.events import Event, Listener, to_file
from slipway.outcome import NodeResult
from slipway.result import NO_SENSE
from slipway.rollout import process
from slipway.words import plain, to_json

Tell = Callable[[str], None]

BEGUN, EVENTS, RESULT, PLAN, LOGS = "run.json", "events.jsonl", "result.json", "plan.json", "logs"
KEPT = 100
"""Runs of a command that are kept where nobody says otherwise (`deploy.keepRuns`)."""
MOST_EVENTS, MOST_LOG = 64 << 20, 1 << 20
"""Bytes of one run's events and of one node's log, after which progress is left out: what ended is always written."""


def _forget_old(runs: Path, command: str, keep: int) -> None:
    """Each command counts apart from the others: a backup every day, or a watch that verifies by the hundred, takes
    nobody the last deploy. So do folders that do not say which they are of."""
    begun = {folder: read(folder / BEGUN) for folder in sorted(runs.glob("*/"))}
    for kind in (command, None):
        alike = [folder for folder, said in begun.items() if said.get("command") == kind]
        for folder in alike[: max(0, len(alike) - keep + 1)]:
            if (folder / RESULT).exists() or not process.lives(begun[folder]):
                shutil.rmtree(folder, ignore_errors=True)


def read(path: Path) -> dict[str, Any]:
    """A file of a run; empty where it is not there, or holds half of what it should."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, *NO_SENSE):
        return {}
    return found if isinstance(found, dict) else {}


def _on_standard_error(text: str) -> None:
    sys.stderr.write(f"{plain(text)}\n")


class _Logs:
    """A file per node that reads as a log does: time, phase, state, words."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LOGS
        self._written: Counter[str] = Counter()

    def write(self, event: Event) -> None:
        if event.node is None or (event.state == "progress" and self._written[event.node] > MOST_LOG):
            return
        text = str(event.data.get("text") or event.data.get("reason") or "")
        line = f"{event.time} {event.phase} {event.state} {text}".rstrip().replace("\n", "\n    ") + "\n"
        if event.node not in self._written:
            self._folder.mkdir(exist_ok=True)
        # Names of hosts are DNS labels; whatever else an event calls a node is made one.
        name = re.sub(r"[^A-Za-z0-9.@_-]", "_", event.node).lstrip(".") or "_"
        with (self._folder / f"{name}.log").open("a", encoding="utf-8") as stream:
            stream.write(line)
        self._written[event.node] += len(line)


@dataclass(frozen=True)
class Run:
    """One run. Ids sort by time."""

    id: str
    folder: Path
    command: str
    at: datetime
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, root: Path, command: str, asked: Mapping[str, Any] | None = None, *, keep: int = KEPT) -> Run:
        """`asked`, plain data: what somebody needs to know who goes on with it. Of earlier runs of its command the
        newest `keep` stay, with it, and those that are under way."""
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        runs = inside.state(root, "runs")
        _forget_old(runs, command, keep)
        folder = runs / name
        folder.mkdir()
        begun: dict[str, Any] = {"run": name, "command": command, "time": now.isoformat(timespec="seconds")}
        begun |= {**process.own(), "user": getpass.getuser(), "host": socket.gethostname()}
        begun |= {"asked": asked} if asked else {}
        (folder / BEGUN).write_text(to_json(begun, indent=2) + "\n", encoding="utf-8")
        return cls(name, folder, command, now)

    @cached_property
    def listener(self) -> Listener:
        """Writes down every event, those of a node in its log too, and what is planned as a file of its own."""
        every, of_node = to_file(self.folder / EVENTS, MOST_EVENTS), _Logs(self.folder)

        def write(event: Event) -> None:
            every(event)
            of_node.write(event)
            if event.phase == "systems":
                plan = to_json(dict(event.data), indent=2) + "\n"
                (self.folder / PLAN).write_text(plan, encoding="utf-8")

        return write

    def finish(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> None:
        """Write down how every node came out. Its event comes after all others of that node: the last one counts."""
        for node in nodes:
            data = {"reason": node.reason, "system": node.new_system}
            self.listener(Event("result", node.outcome.value, node.node, data, run=self.id))
        path = self.folder / RESULT
        path.write_text(to_json(self._result(nodes, error), indent=2) + "\n", encoding="utf-8")

    def write_down(self, nodes: Sequence[NodeResult], error: SlipwayError | None, tell: Tell) -> None:
        """`finish`, for whoever goes on after it: a disk that is full takes nobody what became of the nodes, and no
        error its place. `tell` gets a line that says so."""
        try:
            self.finish(nodes, error)
        except OSError as full:
            tell(f"warning: the result is not written down in {self.folder}: {full}")

    @contextmanager
    def recorded(self, tell: Tell = _on_standard_error) -> Iterator[list[NodeResult]]:
        """How the block ended becomes the result, with the nodes that it puts into the list; see `write_down`."""
        nodes: list[NodeResult] = []
        try:
            yield nodes
        except SlipwayError as error:
            self.write_down(nodes, error, tell)
            raise
        self.write_down(nodes, None, tell)

    def _result(self, nodes: Sequence[NodeResult], error: SlipwayError | None) -> dict[str, Any]:
        return {
            "run": self.id,
            "command": self.command,
            "time": self.at.isoformat(timespec="seconds"),
            "duration": round(time.monotonic() - self.began, 3),
            "nodes": [node.to_json() for node in nodes],
            "error": error and {"message": str(error), "hint": error.hint, "exitCode": error.exit_code},
        }
