"""A cluster that comes back from what it saved: what its inventory must say then, and how far a rebuild has come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from slipway import inside
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.inventory import Inventory
from slipway.inventory.source import Keys
from slipway.paths import state_dir
from slipway.result import NO_SENSE

FILE = "rebuild.json"
MODE: Keys = ("stages", "mode")
VERIFIED: Keys = ("stages", "backup", "verified")


def settings(inventory: Inventory) -> Sequence[tuple[Keys, str]]:
    """What has to change in the inventory, so that volumes come back, and nothing is saved over what they came from
    until somebody has looked. Empty where nothing is saved, or nothing has to change."""
    stages, changes = inventory.stages, list[tuple[Keys, str]]()
    if stages.until == BOOTSTRAP or stages.mode not in ("install", "restore"):
        return ()
    if stages.mode == "install":
        changes.append((MODE, "restore"))
    if stages.backup.verified:
        changes.append((VERIFIED, "false"))
    return changes


def restores(inventory: Inventory) -> bool:
    """Whether volumes come back at all."""
    return inventory.stages.until != BOOTSTRAP and inventory.stages.mode != "none"


@dataclass(frozen=True)
class Progress:
    """A rebuild under way: when it began (ISO 8601), and which of its steps need not, or must not, be done again."""

    began: str
    done: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"began": self.began, "done": list(self.done)}


def begun() -> Progress:
    return Progress(datetime.now(UTC).isoformat(timespec="seconds"))


def under_way(root: Path) -> Progress | None:
    """The rebuild that did not come to its end, if there is one; a file that makes no sense is none."""
    try:
        said = json.loads((state_dir(root) / FILE).read_text(encoding="utf-8"))
        return Progress(str(said["began"]), tuple(str(each) for each in said["done"]))
    except (FileNotFoundError, *NO_SENSE):
        return None


def note(root: Path, progress: Progress, step: str) -> Progress:
    """Remember that a step is done."""
    after = replace(progress, done=(*progress.done, step))
    inside.write(inside.state(root), FILE, json.dumps(after.to_json()).encode(), 0o600)
    return after


def forget(root: Path) -> None:
    (state_dir(root) / FILE).unlink(missing_ok=True)
