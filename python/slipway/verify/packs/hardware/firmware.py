"""Maker, model and firmware, and how the machine was started.

cat /sys/class/dmi/id/{sys_vendor,product_name,bios_version}
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect
from slipway.verify.packs.hardware._machine import Machine

SHOW = "cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/class/dmi/id/bios_version"


def test_is_its_machine(machine: Machine, node: Host) -> None:
    """The machine is of the make and model of the inventory."""
    wanted = node.hardware.machine
    if wanted is None:
        pytest.skip("the inventory names no model (hardware.machine)")
    found = " ".join(filter(None, (machine.hardware.maker, machine.hardware.model)))
    if not found:
        raise CannotRun("the firmware does not tell maker and model")
    fix = "is its address in the inventory another machine's? else hardware.machine"
    expect(wanted.lower() in found.lower(), expected=wanted, found=found, fix=fix, command=SHOW)


def test_has_its_version(machine: Machine, node: Host) -> None:
    """The firmware is the one of the inventory."""
    wanted = node.hardware.firmware
    if wanted is None:
        pytest.skip("the inventory names no firmware (hardware.firmware)")
    found = machine.hardware.firmware
    if not found:
        raise CannotRun("the firmware does not tell its version")
    fix = "update it (fwupdmgr, or the maker's way), or hardware.firmware in the inventory"
    expect(wanted.lower() in found.lower(), expected=wanted, found=found, fix=fix, command=SHOW)


def test_started_as_configured(machine: Machine, node: Host) -> None:
    """The firmware started the machine in the mode for which its boot loader is made."""
    machine.skip_container(declared=False)
    found, wanted = machine.hardware.boot_mode or "neither uefi nor bios", node.boot.mode
    expect(
        found == wanted,
        expected=wanted,
        found=found,
        fix="boot.mode in the inventory, or the firmware's settings: what is installed now does not start again else",
        command="test -d /sys/firmware/efi && echo uefi || echo bios",
    )
