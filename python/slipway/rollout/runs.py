"""The runs that a repository remembers, each told by its folder: also one whose process was killed.

Whatever a folder lacks, or holds in half, is no error: it is what a crash leaves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.errors import Interrupted, UsageError
from slipway.paths import state_dir
from slipway.result import NO_SENSE
from slipway.rollout.process import lives
from slipway.rollout.run import BEGUN, EVENTS, LOGS, RESULT, read

DONE, FAILED, INTERRUPTED, RUNNING = "done", "failed", "interrupted", "running"
DEPLOYS = ("deploy", "rollback")
"""Commands that give nodes another system."""
RESUMES = "resumes"
"""In what was asked of a run: the one that it goes on with."""
BEGINNING = ("started", "progress")
"""States of an event after which it is not known what became of the node."""


@dataclass(frozen=True)
class Known:
    """One run. `state`: done, failed, interrupted (by somebody, or killed) or running; `nodes`: name to how it came
    out, or to what is known of one whose run did not end; `error` in its own words. Times are ISO 8601."""

    id: str
    folder: Path
    command: str
    time: str
    by: str
    state: str
    duration: float | None = None
    error: str = ""
    exit_code: int | None = None
    nodes: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What its caller wanted, where its command writes that down."""

    @property
    def has_logs(self) -> bool:
        return (self.folder / LOGS).is_dir()

    @property
    def summary(self) -> str:
        """`3 ok, 1 rolled-back`."""
        return ", ".join(f"{number} {outcome}" for outcome, number in Counter(self.nodes.values()).items())

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.id,
            "command": self.command,
            "time": self.time,
            "by": self.by or None,
            "state": self.state,
            "duration": self.duration,
            "error": self.error or None,
            "exitCode": self.exit_code,
            "nodes": dict(self.nodes),
            "folder": str(self.folder),
        }


def every(root: Path) -> tuple[Known, ...]:
    """The runs of the repository at `root`, newest first."""
    folders = sorted((state_dir(root) / "runs").glob("*/"), reverse=True)
    return tuple(_known(folder) for folder in folders)


def find(root: Path, name: str) -> Known:
    """The run `name`: an id, or a part of one that no other begins with. Raises UsageError."""
    folders = sorted(folder for folder in (state_dir(root) / "runs").glob("*/") if folder.name.startswith(name))
    if len(folders) != 1 or not name:
        found = f"{len(folders)} runs begin so" if folders else "there is none"
        raise UsageError(f"run {name!r}: {found}", hint="slipway runs list")
    return _known(folders[0])


def to_go_on_with(root: Path, name: str = "") -> Known:
    """The run of this name, or the newest that deploys, if it was interrupted. Raises UsageError."""
    deploys = [known for known in every(root) if known.command in DEPLOYS]
    if not name and not deploys:
        raise UsageError("no run has deployed anything yet", hint="slipway deploy")
    run = find(root, name) if name else deploys[0]
    if run.state != INTERRUPTED or run.command not in DEPLOYS or not run.asked:
        raise UsageError(f"run {run.id} ({run.command}) is {run.state}: nothing to go on with", hint="slipway deploy")
    return run


def systems_before(run: Known) -> dict[str, str]:
    """Host to the system that it ran before this run gave it another one, store paths; empty if it gave nobody one. A
    run that went on with another one and that one are the same here."""
    begun = _gone_on_with(run)
    return _systems(run, "old") | (systems_before(begun) if begun else {})


def _gone_on_with(run: Known) -> Known | None:
    """The run that this one went on with, if it is remembered. Ids sort by time."""
    name = run.asked.get(RESUMES)
    if not isinstance(name, str) or "/" in name or not name < run.id or not (run.folder.parent / name).is_dir():
        return None
    return _known(run.folder.parent / name)


def systems_wanted(run: Known) -> dict[str, str]:
    """The same for the systems that the run gave."""
    return _systems(run, "new")


def _systems(run: Known, which: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in _events(run.folder / EVENTS):
        data = event.get("data")
        if event.get("phase") == "systems" and isinstance(data, dict) and isinstance(data.get(which), dict):
            found = {str(name): str(system) for name, system in data[which].items() if system}
    return found


def _known(folder: Path) -> Known:
    begun, result = read(folder / BEGUN), read(folder / RESULT)
    error = result.get("error")
    error = error if isinstance(error, dict) else {}
    duration, asked = result.get("duration"), begun.get("asked")
    return Known(
        id=folder.name,
        folder=folder,
        command=str(result.get("command") or begun.get("command") or "unknown"),
        time=str(result.get("time") or begun.get("time") or ""),
        by=f"{begun['user']}@{begun['host']}" if {"user", "host"} <= begun.keys() else "",
        state=_state(begun, result, error),
        duration=float(duration) if isinstance(duration, int | float) else None,
        error=str(error.get("message") or ""),
        exit_code=int(error["exitCode"]) if isinstance(error.get("exitCode"), int) else None,
        nodes=_nodes(result) or _last_seen(folder / EVENTS),
        asked=asked if isinstance(asked, dict) else {},
    )


def _state(begun: Mapping[str, Any], result: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    if not result:
        return RUNNING if lives(begun) else INTERRUPTED
    if not error:
        return DONE
    return INTERRUPTED if error.get("exitCode") == Interrupted.exit_code else FAILED


def _nodes(result: Mapping[str, Any]) -> dict[str, str]:
    nodes = result.get("nodes")
    found = [each for each in nodes if isinstance(each, dict)] if isinstance(nodes, list) else []
    return {str(each.get("node")): str(each.get("outcome")) for each in found}


def _last_seen(path: Path) -> dict[str, str]:
    """Of a run without a result: per node the outcome that its events end with, or the phase that they end in."""
    found: dict[str, str] = {}
    for event in _events(path):
        node, phase, state = (str(event.get(key)) for key in ("node", "phase", "state"))
        if event.get("node"):
            found[node] = f"not known: in {phase}" if state in BEGINNING else f"{phase} {state}"
    return found


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Whole events only: a run that was killed may have left half a line."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except NO_SENSE:
            continue
        if isinstance(event, dict):
            yield event
