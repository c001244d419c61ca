"""The section `disks` that a machine's disks propose: one for the system, the others as comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from slipway.hardware.facts import Disk, Hardware
from slipway.hardware.yamltext import remark, scalar, size_of

SMALLEST = 8 << 30
"""Bytes; a NixOS with a few generations does not fit on less."""


def choose(found: Sequence[Disk]) -> Disk | None:
    """The disk for the system: solid before rotating, inside before outside, then the largest."""
    fitting = [disk for disk in found if _unfit(disk) is None]
    return min(fitting, key=lambda disk: (_rank(disk), -disk.size, disk.name), default=None)


def _rank(disk: Disk) -> int:
    """Virtual disks call themselves rotating, most of them, and count as that."""
    outside = {"mmc": 2, "usb": 3, "iscsi": 4}
    return outside.get(disk.transport, int(disk.is_rotating))


def _unfit(disk: Disk) -> str | None:
    if disk.is_removable:
        return "removable"
    if disk.is_read_only:
        return "read-only"
    if disk.size < SMALLEST:
        return "too small"
    return "no name that stays the same" if device_of(disk) is None else None


def device_of(disk: Disk) -> str | None:
    """The path that names the disk for good: by model and serial number, else by number, else by its socket."""
    readable = re.compile(r"(ata|mmc|usb|virtio|scsi-S[A-Z])|nvme-(?!eui|uuid|nvme)")
    names = sorted(disk.by_id, key=lambda name: (readable.match(name) is None, len(name), name))
    paths = [f"by-id/{name}" for name in names] + [f"by-path/{name}" for name in disk.by_path]
    usable = (path for path in paths if re.fullmatch(r"[a-z-]+/[A-Za-z0-9_.:@+=-]+(?<!-part[0-9])", path))
    return next((f"/dev/disk/{path}" for path in usable), None)


def disks(hardware: Hardware) -> Iterator[str]:
    """As comments where NixOS runs already: disko's names for its partitions are hardly those of that system."""
    chosen = choose(hardware.disks)
    kept = hardware.is_nixos and not hardware.is_installer
    if chosen is None:
        yield "# disks: none was found that NixOS could be installed on"
    elif kept:
        yield "# NixOS runs here already, and its own file systems belong into hosts/<name>.nix."
        yield "# Say its disks only if disko made them, by these names:"
    if chosen:
        begin = "# " if kept else ""
        yield f"{begin}disks:" + remark(None if kept else "erased and formatted when NixOS is installed")
        yield f"{begin}  system: {_disk(chosen, '/')}"
    for disk in hardware.disks:
        if disk is not chosen:
            reason = _unfit(disk)
            yield f"  # {disk.name}: {reason}, {_about(disk)}" if reason else f"  # data: {_disk(disk, '/data')}"


def _disk(disk: Disk, mount_point: str) -> str:
    return f"{{device: {scalar(str(device_of(disk)))}, mountPoint: {mount_point}}}{remark(_about(disk))}"


def _about(disk: Disk) -> str:
    mounted = f"mounted now: {' '.join(disk.mounts)}" if disk.mounts else None
    rotating = "rotating" if disk.is_rotating and disk.transport not in ("virtio", "xen") else None
    parts = (f"{size_of(disk.size)} {disk.transport}", rotating, disk.model, mounted)
    return ", ".join(filter(None, parts))
