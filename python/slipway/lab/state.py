"""Which machines a lab has, as recorded on disk, and whose turn it is to change that."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from slipway.errors import LockedByAnother, UsageError
from slipway.lab.settings import Lab, LabRole, Machine
from slipway.wait import WaitedTooLong, wait_until

LOCK_TIMEOUT = 2.0
"""Seconds. A command that was killed frees its lock when its last child has let go."""


def record(machine: Machine, rootfs: Path) -> None:
    """Note that the machine's disk is whole, and which root file system it stands on."""
    content = {"address": machine.address, "role": machine.role, "rootfs": str(rootfs)}
    making = _file(machine).with_suffix(".making")
    making.write_text(json.dumps(content))
    making.rename(_file(machine))


def is_recorded(machine: Machine) -> bool:
    return _read(_file(machine)) is not None


def rootfs_of(machine: Machine) -> Path:
    """The root file system that the recorded machine's disk was begun on. Raises UsageError."""
    found = _read(_file(machine))
    if found is None:
        raise UsageError(f"{machine.name}: no such machine in the lab", hint="slipway lab up")
    return Path(found["rootfs"])


def recorded(lab: Lab) -> tuple[Machine, ...]:
    """The machines that exist, up or not: controllers first, each in the order of its address."""
    read = ((folder.name, _read(folder / _NAME)) for folder in _folders(lab))
    machines = [Machine(lab, name, found["address"], LabRole(found["role"])) for name, found in read if found]
    return tuple(sorted(machines, key=_place))


def traces(lab: Lab) -> tuple[Machine, ...]:
    """Every machine that left anything on disk; of one that was never finished only the name is known."""
    known = recorded(lab)
    names = {machine.name for machine in known}
    rest = (folder.name for folder in _folders(lab) if folder.name not in names)
    return (*known, *(Machine(lab, name, "", LabRole.WORKER) for name in rest))


def find(lab: Lab, name: str) -> Machine:
    """The machine of that name. Raises UsageError with the names that there are."""
    known = {machine.name: machine for machine in recorded(lab)}
    if name not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"{name}: no such machine in the lab; there are: {there}", hint="slipway lab up")
    return known[name]


@contextmanager
def locked(lab: Lab) -> Iterator[None]:
    """The only command that changes the lab now. Raises LockedByAnother, after a moment for one that just ended."""
    with lab.lock.open("w") as stream:

        def taken() -> tuple[bool | None, str]:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None, "locked"
            return True, ""

        try:
            wait_until(taken, deadline=LOCK_TIMEOUT, describe="the lab's lock", interval=0.1)
        except WaitedTooLong:
            busy = f"another command is at work on {lab.name}"
            raise LockedByAnother(busy, hint="slipway lab status") from None
        yield


_NAME = "machine.json"


def _file(machine: Machine) -> Path:
    return machine.folder / _NAME


def _folders(lab: Lab) -> Iterator[Path]:
    nodes = lab.state / "nodes"
    return nodes.iterdir() if nodes.exists() else iter(())


def _read(path: Path) -> dict[str, Any] | None:
    """The record, or None: a machine without a readable one was never finished."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found


def _place(machine: Machine) -> tuple[int, int]:
    return list(LabRole).index(machine.role), int(ip_address(machine.address))
