"""Memory.

dmidecode -t memory; grep . /sys/devices/system/edac/mc/mc*/*_count
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.hardware._machine import Machine

MIB = 1 << 20
CONTROLLER, WORKER = 1024 * MIB, 512 * MIB
"""What k0s asks for at least (its documentation, System requirements)."""
KERNELS = 0.9
"""Of what is built in, Linux has more than so much left for itself and others; 1 GiB is sold, 0.95 GiB is found."""
SHOW = "dmidecode -t memory"


def test_has_its_size(machine: Machine, node: Host) -> None:
    """The machine has as much memory as the inventory says, or at least what k0s needs."""
    found = machine.hardware.memory
    if not found:
        raise CannotRun("/proc/meminfo does not tell MemTotal")
    least = int(KERNELS * (CONTROLLER * node.is_controller + WORKER * node.runs_workloads))
    wanted = node.hardware.memory or least
    fix = "is a module missing or loose (dmidecode -t memory)? else hardware.memory in the inventory"
    expect(
        found >= wanted,
        expected=f"{_mib(wanted)} or more",
        found=_mib(found),
        fix=fix,
        command="grep MemTotal /proc/meminfo",
    )


def test_has_its_modules(machine: Machine, node: Host) -> None:
    """As many memory modules are found as the inventory says."""
    wanted = node.hardware.modules
    if wanted is None:
        pytest.skip("the inventory does not count modules (hardware.modules)")
    modules = machine.memory.modules
    expect(
        len(modules) == wanted,
        expected=f"{wanted} modules",
        found=f"{len(modules)} in {machine.memory.slots} slots: {listed(module.slot for module in modules)}",
        fix="a module that is not listed is missing, loose or broken: seat it again, then a memory test",
        command=SHOW,
    )


def test_corrects_errors(machine: Machine, node: Host) -> None:
    """Memory corrects its errors, if the inventory says so."""
    wanted = node.hardware.ecc
    if wanted is None:
        pytest.skip("the inventory does not say (hardware.ecc)")
    correction = machine.memory.correction or "not told"
    expect(
        machine.memory.has_ecc == wanted,
        expected="error correction" if wanted else "none",
        found=f"Error Correction Type: {correction}",
        fix="other modules than were ordered, or ECC is off in the firmware's settings",
        command=SHOW,
    )


def test_has_no_errors(machine: Machine, node: Host) -> None:
    """Memory made no errors since the boot, or few that were corrected."""
    machine.skip_virtual(declared=node.hardware.ecc)
    counts = machine.counts("edac")
    if not counts and node.hardware.ecc:
        raise CannotRun("the kernel counts no errors of memory: no EDAC driver for this machine")
    if not counts:
        pytest.skip("this machine does not count errors of memory")
    limit = node.hardware.limits.memory_errors
    corrected, lost = (sum(n for path, n in counts.items() if path.endswith(kind)) for kind in ("ce_count", "ue_count"))
    expect(
        not lost and corrected <= limit,
        expected=f"at most {limit} corrected, none lost",
        found=f"{corrected} corrected, {lost} lost",
        fix="the module will fail: grep . /sys/devices/system/edac/mc/mc*/dimm*/dimm_*count names it; exchange it",
        command="grep . /sys/devices/system/edac/mc/mc*/*_count",
    )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
