"""What a run of packs is about: shared by the process that starts it and those that ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.inventory import Host, Inventory


@dataclass(frozen=True)
class Facts:
    """What a node says about itself before any check is asked.

    `system` and `profile` are store paths of toplevels (what runs, what the system profile points to), empty where
    the link is missing. `clock_offset` is in seconds, the node's clock minus the clock here, `clock_error` how far
    that can be off: half of the time that the question took.
    """

    system: str
    profile: str
    boot_id: str
    machine_id: str
    hostname: str
    macs: tuple[str, ...] = ()
    """Of all its links."""
    addresses: tuple[str, ...] = ()
    """Of all its links, those that others can reach, without prefix lengths."""
    clock_offset: float = 0.0
    clock_error: float = 0.0


@dataclass(frozen=True)
class Question:
    """One node to be asked. `key` is its name, except where a test asks the same node in several states, or by another
    inventory than that of the job."""

    key: str
    node: Host
    inventory: Inventory | None = None


@dataclass(frozen=True)
class Job:
    """What the process that runs the checks has to know. `bound` is in seconds a node, `limit` in nodes at once,
    `burn_in` in seconds for each part of a burn-in, 0 where there is none."""

    inventory: Inventory
    packs: Mapping[str, Path]
    questions: tuple[Question, ...]
    socket: Path
    bound: float
    limit: int
    burn_in: float = 0.0
