"""The processor.

lscpu; grep . /sys/devices/system/cpu/vulnerabilities/*
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.hardware._machine import Machine

SHOW = "lscpu"
LEAST = {"x86_64": ("cx16", "popcnt", "sse4_1", "sse4_2", "ssse3")}
"""x86-64-v2, which images of today's distributions are built for (psABI of x86-64, micro-architecture levels)."""


def test_is_of_its_maker(machine: Machine, node: Host) -> None:
    """The processor is of the maker of the inventory."""
    wanted = node.hardware.cpu
    if wanted is None:
        pytest.skip("the inventory names no maker (hardware.cpu)")
    found = machine.hardware.processor.maker
    fix = "another machine, or hardware.cpu in the inventory is wrong; it chooses the microcode"
    expect(found == wanted, expected=wanted, found=found or "another maker", fix=fix, command=SHOW)


def test_has_its_model(machine: Machine, node: Host) -> None:
    """The processor is the model of the inventory."""
    wanted = node.hardware.model
    if wanted is None:
        pytest.skip("the inventory names no model (hardware.model)")
    found = machine.hardware.processor.model or "a processor without a name"
    fix = "another machine than was ordered? else hardware.model in the inventory"
    expect(wanted.lower() in found.lower(), expected=wanted, found=found, fix=fix, command=SHOW)


def test_has_its_cores(machine: Machine, node: Host) -> None:
    """The machine has as many cores as the inventory says, or at least one."""
    found, wanted = machine.hardware.processor.cores, node.hardware.cores or 1
    fix = "is a processor missing, or are cores turned off in the firmware's settings?"
    expect(found >= wanted, expected=f"{wanted} or more cores", found=f"{found} cores", fix=fix, command=SHOW)


def test_has_its_flags(machine: Machine, node: Host) -> None:
    """Every processor has the features of the inventory, or those that today's images need."""
    wanted = node.hardware.flags or LEAST.get(machine.hardware.platform, ())
    if not wanted:
        pytest.skip("the inventory names no features (hardware.flags)")
    kinds = [set(line.split()) for line in machine.answers["flags"].said().splitlines()]
    if not kinds:
        raise CannotRun("/proc/cpuinfo names no features")
    missing = [flag for flag in wanted if any(flag not in kind for kind in kinds)]
    expect(
        not missing,
        expected=listed(wanted),
        found=f"missing: {listed(missing)}",
        fix="turned off in the firmware's settings? on a virtual machine: CPU type `host`",
        command="grep -m 1 ^flags /proc/cpuinfo",
    )


def test_has_microcode(machine: Machine) -> None:
    """The processor runs microcode that its known flaws ask for."""
    machine.skip_virtual(declared=False)
    lines = machine.answers["vulnerabilities"].said().splitlines()
    old = [line.rpartition("/")[2].replace(":", ": ", 1) for line in lines if "no microcode" in line.lower()]
    expect(
        not old,
        expected="no flaw that waits for microcode",
        found=listed(old),
        fix="hardware.cpu in the inventory chooses the microcode; deploy, then reboot; else new firmware of the maker",
        command="grep . /sys/devices/system/cpu/vulnerabilities/*",
    )


def test_is_not_throttled(machine: Machine, node: Host) -> None:
    """The processor was not slowed for heat."""
    machine.skip_virtual(declared=False)
    counts = machine.counts("throttles")
    if not counts:
        pytest.skip("this processor does not count how often it was slowed")
    limit, worst = node.hardware.limits.throttles, max(counts.values())
    expect(
        worst <= limit,
        expected=f"at most {limit} times since the boot",
        found=f"{worst} times",
        fix="fans, dust, the air in the rack; hardware.limits.throttles is the limit",
        command="grep . /sys/devices/system/cpu/cpu*/thermal_throttle/*_count",
    )
