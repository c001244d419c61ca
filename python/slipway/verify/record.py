"""The record of a node's verification, which the gate reads: `.slipway/records/NODE.json`.

{"node": "w1", "system": "/nix/store/...", "bootId": "...", "inventory": "SHA-256 of what it says of the node",
 "time": "2026-11-23T17:22:09+00:00", "green": true, "packs": {"os": {"passed": 14, "failed": 0, "errors": 0,
 "skipped": 1, "red": [], "time": "...", "content": "SHA-256 of the pack's files"}}, "seal": "HMAC of all this"}

A record holds what is known about one system in one boot under one inventory. Packs that ran at another time stay in it
as long as these are the same; `time` is the oldest of theirs. The seal is this deployer's (seal.py).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.errors import InvalidInput
from slipway.paths import state_dir
from slipway.verify import seal
from slipway.verify.catalog import ON_DEMAND
from slipway.verify.result import Counts, NodeVerification, Verification

_FOLDER = "records"


@dataclass(frozen=True)
class PackRecord:
    """One pack on one node. `red` are ids of checks, `time` is ISO 8601 UTC, `content` is the digest of the pack."""

    counts: Counts
    red: tuple[str, ...]
    time: str
    content: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**self.counts.to_json(), "red": list(self.red), "time": self.time, "content": self.content}


@dataclass(frozen=True)
class Record:
    """What is known about a node that runs `system` in the boot `boot_id`."""

    node: str
    system: str
    boot_id: str
    packs: Mapping[str, PackRecord]
    inventory: str = ""
    """Digest of what the inventory said of the node."""

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
        if older is None or older._about != self._about:
            return self
        return dataclasses.replace(self, packs={**older.packs, **self.packs})

    @property
    def _about(self) -> tuple[str, str, str]:
        return self.system, self.boot_id, self.inventory

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "system": self.system,
            "bootId": self.boot_id,
            "inventory": self.inventory,
            "time": self.time,
            "green": self.green,
            "packs": {name: pack.to_json() for name, pack in self.packs.items()},
        }


def of(result: NodeVerification, verification: Verification) -> Record:
    """The record of one node's result."""
    digests = verification.digests
    packs = {
        name: PackRecord(
            counts,
            tuple(check.id for check in result.red if check.pack == name),
            verification.time,
            digests.packs.get(name, ""),
        )
        for name, counts in result.counts.items()
        if name not in ON_DEMAND
    }
    return Record(result.node, result.system, result.boot_id, packs, digests.nodes.get(result.node, ""))


def keep(root: Path, verification: Verification) -> dict[str, bytes]:
    """Write the records of a verification in the repository at `root`; what was written, by node.

    A node that was asked nothing keeps its record: nothing was learned about it, and the gate asks it anyway.
    """
    known = read_all(root)
    written: dict[str, bytes] = {}
    for result in verification.nodes:
        if result.obstacle is None and any(pack not in ON_DEMAND for pack in result.packs):
            older = known.get(result.node)
            record = of(result, verification).over(older if isinstance(older, Record) else None)
            written[result.node] = write(root, record)
    return written


def write(root: Path, record: Record) -> bytes:
    """Sealed, in the folder of records; returns the file's content."""
    sealed = {**record.to_json(), "seal": seal.of(record.to_json())}
    content = (json.dumps(sealed, indent=2) + "\n").encode()
    inside.write(inside.state(root, _FOLDER), f"{record.node}.json", content)
    return content


def forget(root: Path, node: str) -> None:
    """Take a node's record away: what was verified is so no more, and the gate must not find it."""
    inside.place(inside.state(root, _FOLDER), f"{node}.json").unlink(missing_ok=True)


def read_all(root: Path) -> dict[str, Record | InvalidInput]:
    """Node name to its record, or to what is wrong with the file: a broken one is that node's matter alone."""
    found: dict[str, Record | InvalidInput] = {}
    for path in sorted((state_dir(root) / _FOLDER).glob("*.json")):
        try:
            found[path.stem] = read(path)
        except InvalidInput as error:
            found[path.stem] = error
    return found


def read(path: Path) -> Record:
    """Raises InvalidInput for a file that is no record of that node, or not one that this deployer wrote."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        record, given = _parse(fields), str(fields["seal"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path}: not a verification record ({error!r})", hint=_again(path)) from None
    if record.node != path.stem or not seal.holds(given, record.to_json()):
        raise InvalidInput(f"{path}: not written by a verification of this deployer", hint=_again(path))
    return record


def _again(path: Path) -> str:
    return f"slipway verify {path.stem}"


def _parse(fields: dict[str, Any]) -> Record:
    packs = {
        name: PackRecord(
            Counts(pack["passed"], pack["failed"], pack["errors"], pack["skipped"]),
            tuple(pack["red"]),
            pack["time"],
            pack["content"],
        )
        for name, pack in fields["packs"].items()
    }
    if not packs:
        raise ValueError("no packs")
    return Record(fields["node"], fields["system"], fields["bootId"], packs, fields["inventory"])
