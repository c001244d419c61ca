"""Control groups: one of its own per machine, in every hierarchy of the host.

Without them all machines of a hybrid host share `name=systemd:/payload`. nspawn takes its place from the cgroup2
hierarchy and mirrors it, so a machine is moved into its group in all of them before nspawn starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.wait import wait_until

ROOT = Path("/sys/fs/cgroup")
END_TIMEOUT = 15.0
_MEMORY_FILES = {
    1: ("memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.current", "inactive_file"),
}
"""Version of the hierarchy -> file with the bytes in use, key of memory.stat with the droppable ones among them."""


@dataclass(frozen=True)
class Hierarchy:
    """A mounted tree of control groups; `options` are its mount options, for v1 its controllers among them."""

    mount: Path
    version: int
    options: frozenset[str]


def hierarchies(mounts: Path = Path("/proc/self/mounts")) -> tuple[Hierarchy, ...]:
    """Every hierarchy below /sys/fs/cgroup (fields of proc(5) mounts: device, place, type, options)."""
    lines = (line.split() for line in mounts.read_text().splitlines())
    return tuple(
        Hierarchy(Path(place), 2 if kind == "cgroup2" else 1, frozenset(options.split(",")))
        for _, place, kind, options, *_ in lines
        if kind in ("cgroup", "cgroup2") and Path(place).is_relative_to(ROOT)
    )


def unified_only() -> bool:
    return all(hierarchy.version == 2 for hierarchy in hierarchies())


def create(group: str) -> tuple[Path, ...]:
    """Make `group` in every hierarchy; return the files that a process writes its id into to join it."""
    return tuple(_create_in(hierarchy, group) for hierarchy in hierarchies())


def _create_in(hierarchy: Hierarchy, group: str) -> Path:
    here = hierarchy.mount
    for part in Path(group).parts:
        if hierarchy.version == 2:
            _delegate(here)
        here /= part
        here.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.options:
            _inherit_cpuset(here)
    return here / "cgroup.procs"


def _delegate(folder: Path) -> None:
    """Give the groups below a cgroup2 folder the controllers that it has itself, as far as it may."""
    for name in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _inherit_cpuset(folder: Path) -> None:
    """A new v1 cpuset is empty and takes no process until it has processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _folders(group: str) -> Iterator[Path]:
    """Each control group of `group`'s trees, the innermost first."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy.mount / group, topdown=False):
            yield Path(folder)


def processes(group: str) -> set[int]:
    """The ids of all processes in `group` and below it, in any hierarchy."""
    found: set[int] = set()
    for folder in _folders(group):
        try:
            found.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue  # it went away while we looked
    return found - {0}


def freeze(group: str) -> None:
    """Stop every process of `group` where it stands, and wait until none runs. Raises WaitedTooLong."""
    _set_frozen(group, True)

    def stopped() -> tuple[bool | None, str]:
        return (True, "") if frozen(group) else (None, "some still run")

    wait_until(stopped, deadline=END_TIMEOUT, describe=f"freezing {group}", interval=0.05)


def thaw(group: str) -> None:
    """Let the processes of `group` go on; nothing happens where they do."""
    _set_frozen(group, False)


def frozen(group: str) -> bool:
    """Does every process of `group` stand still?"""
    for hierarchy in hierarchies():
        state, events = (hierarchy.mount / group / name for name in ("freezer.state", "cgroup.events"))
        if "freezer" in hierarchy.options and state.exists():
            return state.read_text().strip() == "FROZEN"
        if unified_only() and events.exists():
            return "frozen 1" in events.read_text().splitlines()
    return False


def _set_frozen(group: str, on: bool) -> None:
    for hierarchy in hierarchies():
        v1, v2 = (hierarchy.mount / group / name for name in ("freezer.state", "cgroup.freeze"))
        if "freezer" in hierarchy.options and v1.exists():
            v1.write_text("FROZEN" if on else "THAWED")
        elif unified_only() and v2.exists():
            v2.write_text("1" if on else "0")


def limit_memory(group: str, limit: int | None) -> None:
    """Give `group` at most so many bytes; None takes the limit away. Raises OSError where it cannot do with so few."""
    for hierarchy in hierarchies():
        for name, unlimited in (("memory.limit_in_bytes", "-1"), ("memory.max", "max")):
            file = hierarchy.mount / group / name
            if file.exists():
                file.write_text(unlimited if limit is None else str(limit))


def memory_limited(group: str) -> bool:
    for hierarchy in hierarchies():
        for name in ("memory.limit_in_bytes", "memory.max"):
            file = hierarchy.mount / group / name
            if file.exists():
                # Version 1 writes no limit as the largest number of pages.
                text = file.read_text().strip()
                return text != "max" and int(text) < 2**62
    return False


def end_processes(group: str) -> None:
    """Kill whatever runs in `group`, each by its id, and wait until nothing does. Raises WaitedTooLong."""
    for folder in _folders(group):
        thaw(str(folder.relative_to(_mount_of(folder))))  # a frozen process does not die

    def gone() -> tuple[bool | None, str]:
        left = processes(group)
        for pid in left:
            _kill(pid)
        return (None, f"processes {sorted(left)}") if left else (True, "")

    wait_until(gone, deadline=END_TIMEOUT, describe=f"end of the processes of {group}", interval=0.1)


def _mount_of(folder: Path) -> Path:
    return max(
        (each.mount for each in hierarchies() if folder.is_relative_to(each.mount)), key=lambda path: len(path.parts)
    )


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def remove(group: str) -> None:
    """Remove `group` with all below it; no process may be left in it. Raises WaitedTooLong."""

    def removed() -> tuple[bool | None, str]:
        left = [folder for folder in _folders(group) if not _remove_folder(folder)]
        return (None, f"{left[0]} is busy") if left else (True, "")

    wait_until(removed, deadline=END_TIMEOUT, describe=f"removal of the control groups {group}", interval=0.1)


def _remove_folder(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def working_set(group: str) -> int | None:
    """Bytes of memory that `group` needs: used, less file pages that the kernel could drop at once; None if unknown."""
    for hierarchy in hierarchies():
        folder = hierarchy.mount / group
        usage, inactive = _MEMORY_FILES[hierarchy.version]
        if (folder / usage).exists():
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return max(0, int((folder / usage).read_text()) - int(stat.get(inactive, 0)))
    return None
