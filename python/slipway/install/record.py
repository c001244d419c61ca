"""Which steps of an installation are done, in a file of the repository's state: what was killed goes on from there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from slipway import inside
from slipway.result import NO_SENSE

FOLDER = "install"


@dataclass(frozen=True)
class Record:
    """`format` is the script that formatted `devices`, `system` what was installed since, `boot` the installer's boot
    in which that was; empty where it is not so far."""

    node: str
    devices: tuple[str, ...] = ()
    format: str = ""
    system: str = ""
    boot: str = ""

    def formatted(self, script: str, devices: Sequence[str]) -> bool:
        """Whether these disks were formatted by this script already."""
        return self.format == script and self.devices == tuple(devices)


def folder(root: Path) -> Path:
    return inside.state(root, FOLDER)


def load(root: Path, node: str) -> Record:
    """An empty one where there is none, or none that makes sense."""
    file = folder(root) / f"{node}.json"
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        known = {key: said[key] for key in ("format", "system", "boot")}
        if not all(isinstance(value, str) for value in known.values()):
            raise ValueError(known)
        return Record(node, tuple(map(str, said["devices"])), **known)
    except (OSError, *NO_SENSE):
        return Record(node)


def save(root: Path, record: Record, **changes: object) -> Record:
    """Write it, with changes; whole or not at all."""
    changed = replace(record, **changes)  # type: ignore[arg-type]  # (names and types are the fields')
    inside.write(folder(root), f"{record.node}.json", f"{json.dumps(asdict(changed), indent=2)}\n".encode(), 0o600)
    return changed


def forget(root: Path, node: str) -> None:
    for name in (f"{node}.json", f"{node}.known_hosts"):
        (folder(root) / name).unlink(missing_ok=True)
