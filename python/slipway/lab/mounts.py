"""Mounts of the host that belong to the lab."""

from __future__ import annotations

import re
from pathlib import Path

from slipway.lab.settings import Machine
from slipway.result import CommandFailed
from slipway.tools.run import run
from slipway.wait import wait_until

UNMOUNT_TIMEOUT = 15.0


DISK_SIZE = 16 * 2**30
"""Bytes that a machine may fill; of the host's disk the file takes what is written, and gives back what is deleted."""


def mount_overlay(machine: Machine, rootfs: Path) -> None:
    """The machine's root: its own changes over the common root file system. Nothing happens if it is mounted."""
    if machine.root in below(machine.root):
        return
    _mount_disk(machine)
    upper, work = (machine.disk / name for name in ("upper", "work"))
    for folder in (upper, work, machine.root):
        folder.mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={rootfs},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", machine.cgroup.replace("/", "-"), "-o", layers, machine.root], timeout=20)


def _mount_disk(machine: Machine) -> None:
    """A disk of the machine's own: one that it fills is full for it alone.

    No barriers: what a machine that loses its power has written is in the host's memory, and six machines with etcd on
    one disk wait for each other's flushes.
    """
    if machine.disk in below(machine.disk):
        return
    machine.disk.mkdir(parents=True, exist_ok=True)
    if not machine.image.exists():
        making = machine.image.with_suffix(".making")
        with making.open("wb") as stream:
            stream.truncate(DISK_SIZE)
        run(
            ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", making],
            timeout=60,
        )
        making.rename(machine.image)
    run(["mount", "-o", "loop,discard,nobarrier", machine.image, machine.disk], timeout=20)


def unmount_below(folder: Path) -> None:
    """Unmount whatever is mounted at `folder` and below it, the innermost first. Raises WaitedTooLong."""
    for place in below(folder):
        _unmount(place)


def below(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """Mount points at `folder` and below it, the innermost first (fifth field of proc(5) mountinfo)."""
    places = (Path(_unescape(line.split()[4])) for line in mountinfo.read_text().splitlines())
    return sorted((place for place in places if place.is_relative_to(folder)), reverse=True)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _unmount(place: Path) -> None:
    """A machine that was killed a moment ago may still hold it: try for a while."""

    def gone() -> tuple[bool | None, str]:
        try:
            run(["umount", place], timeout=20)
        except CommandFailed as error:
            return None, error.result.excerpt(1)
        return True, ""

    wait_until(gone, deadline=UNMOUNT_TIMEOUT, describe=f"unmounting {place}", interval=0.2)
