"""The record of a node's verification, which the gate reads: `.slipway/records/NODE.json`.

{"node": "w1", "system": "/nix/store/...", "bootId": "...", "time": "2026-11-23T17:22:09+00:00", "green": true,
 "packs": {"os": {"passed": 14, "failed": 0, "errors": 0, "skipped": 1, "red": [], "time": "..."}}}

A record holds what is known about one system in one boot. Packs that ran at another time stay in it as long as both are
the same; `time` is the oldest of theirs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import InvalidInput
from slipway.paths import state_dir
from slipway.verify.result import Counts, NodeVerification, Verification


@dataclass(frozen=True)
class PackRecord:
    """One pack on one node. `red` are the ids of the red checks, `time` is ISO 8601 UTC."""

    counts: Counts
    red: tuple[str, ...]
    time: str

    def to_json(self) -> dict[str, Any]:
        return {**self.counts.to_json(), "red": list(self.red), "time": self.time}


@dataclass(frozen=True)
class Record:
    """What is known about a node that runs `system` in the boot `boot_id`."""

    node: str
    system: str
    boot_id: str
    packs: Mapping[str, PackRecord]

    @property
    def time(self) -> str:
        return min(pack.time for pack in self.packs.values())

    @property
    def green(self) -> bool:
        return all(pack.counts.green for pack in self.packs.values())

    @property
    def red(self) -> tuple[str, ...]:
        return tuple(name for pack in self.packs.values() for name in pack.red)

    def over(self, older: Record | None) -> Record:
        """This record together with those packs of an older one that still say something."""
        if older is None or (older.system, older.boot_id) != (self.system, self.boot_id):
            return self
        return dataclasses.replace(self, packs={**older.packs, **self.packs})

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "system": self.system,
            "bootId": self.boot_id,
            "time": self.time,
            "green": self.green,
            "packs": {name: pack.to_json() for name, pack in self.packs.items()},
        }


def of(result: NodeVerification, time: str) -> Record:
    """The record of one node's result."""
    packs = {
        name: PackRecord(counts, tuple(check.id for check in result.red if check.pack == name), time)
        for name, counts in result.counts.items()
    }
    return Record(result.node, result.system, result.boot_id, packs)


def keep(root: Path, verification: Verification) -> None:
    """Write the records of a verification in the repository at `root`.

    A node that could not be reached keeps its record: nothing was learned about it, and the gate asks it anyway.
    """
    known = read_all(root)
    for result in verification.nodes:
        if not result.unreachable:
            write(root, of(result, verification.time).over(known.get(result.node)))


def write(root: Path, record: Record) -> None:
    """Write under a temporary name, then rename: nobody ever reads half a record."""
    path = _folder(root) / f"{record.node}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(record.to_json(), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def read_all(root: Path) -> dict[str, Record]:
    """Node name to its record. Raises InvalidInput for a file that is no record."""
    return {record.node: record for record in map(read, sorted(_folder(root).glob("*.json")))}


def read(path: Path) -> Record:
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"{path}: not a verification record ({error!r})", hint=f"rm {path}; slipway verify"
        ) from None


def _parse(fields: dict[str, Any]) -> Record:
    packs = {
        name: PackRecord(
            Counts(pack["passed"], pack["failed"], pack["errors"], pack["skipped"]), tuple(pack["red"]), pack["time"]
        )
        for name, pack in fields["packs"].items()
    }
    if not packs:
        raise ValueError("no packs")
    return Record(fields["node"], fields["system"], fields["bootId"], packs)


def _folder(root: Path) -> Path:
    return state_dir(root) / "records"
