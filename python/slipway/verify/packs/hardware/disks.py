"""Disks.

lsblk -o NAME,SIZE,MODEL,SERIAL; smartctl -H -A /dev/DISK
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slipway.hardware.facts import Disk
from slipway.hardware.smart import Smart
from slipway.inventory import Host
from slipway.verify.check import expect, listed
from slipway.verify.packs.hardware._machine import Machine

GIB = 1 << 30
EXCHANGE = "back up what is on it, drain the node, exchange the disk"


def _wanted(node: Host) -> dict[str, int]:
    """Device to the bytes that it must have: disks of disko, and those that are only expected."""
    formatted = dict.fromkeys((disk.device for disk in node.disks.values()), 0)
    return formatted | {device: disk.size or 0 for device, disk in node.hardware.disks.items()}


def test_are_there(machine: Machine, node: Host) -> None:
    """Every disk of the inventory is there, and as large as it says."""
    wanted = _wanted(node)
    if not wanted:
        pytest.skip("the inventory names no disk")
    found = {device: machine.disk(device) for device in wanted}
    wrong = [text for device, disk in found.items() for text in _wrong(device, disk, wanted[device])]
    expect(
        not wrong,
        expected=listed(f"{device} {_gib(size)}".strip() for device, size in wanted.items()),
        found=listed(wrong),
        fix="is it plugged in, and does the firmware see it? else its name in the inventory",
        command="ls -l /dev/disk/by-id; lsblk",
    )


def _wrong(device: str, disk: Disk | None, least: int) -> Iterator[str]:
    if disk is None:
        yield f"{device}: not there"
    elif disk.size < least:
        yield f"{device}: {_gib(disk.size)}"


def _gib(size: int) -> str:
    return f"{size // GIB} GiB" if size else ""


def _asked(machine: Machine, node: Host) -> dict[str, Smart]:
    machine.skip_virtual(declared=node.hardware.disks)
    found = machine.smart
    if not found:
        pytest.skip("this machine has no disk of its own that tells of its health")
    return found


def test_are_healthy(machine: Machine, node: Host) -> None:
    """No disk says of itself that it fails."""
    bad = [name for name, disk in _asked(machine, node).items() if not disk.passed or disk.critical]
    expect(
        not bad,
        expected="SMART: passed, no critical warning",
        found=f"failing: {listed(bad)}",
        fix=EXCHANGE,
        command=f"smartctl -H -A /dev/{bad[0] if bad else 'DISK'}",
    )


def test_are_not_worn(machine: Machine, node: Host) -> None:
    """No solid disk is near the end of its life."""
    limit = node.hardware.limits.wear
    told = {name: disk for name, disk in _asked(machine, node).items() if disk.wear is not None or disk.spare_short}
    if not told:
        pytest.skip("no disk of this machine tells its wear")
    worn = [f"{name}: {_wear(disk)}" for name, disk in told.items() if disk.spare_short or (disk.wear or 0) > limit]
    expect(
        not worn,
        expected=f"at most {limit} % of its life used, and spare blocks left",
        found=listed(worn),
        fix=f"order a new one; {EXCHANGE}; hardware.limits.wear is the limit",
        command="smartctl -A /dev/DISK",
    )


def _wear(disk: Smart) -> str:
    return "too few spare blocks" if disk.spare_short else f"{disk.wear} %"


def test_have_no_bad_sectors(machine: Machine, node: Host) -> None:
    """No disk has lost sectors."""
    limit = node.hardware.limits.bad_sectors
    bad = [f"{name}: {disk.bad}" for name, disk in _asked(machine, node).items() if disk.bad > limit]
    expect(
        not bad,
        expected=f"at most {limit}",
        found=listed(bad),
        fix=f"smartctl -t long on it, and look again; {EXCHANGE}",
        command="smartctl -A /dev/DISK",
    )
