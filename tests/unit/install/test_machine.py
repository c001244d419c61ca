"""What runs on a machine before it is installed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.errors import InvalidInput
from slipway.install import machine
from slipway.install.machine import Kind, Machine


@pytest.fixture
def here(remote):
    return machine.look(remote)


def test_this_machine_is_another_linux(here):
    assert here.kind is Kind.OTHER
    assert "nixos-install" in here.missing
    assert here.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert here.hardware.os in here.runs


def test_nothing_missing_is_read_as_that(remote, sshd):
    """The empty first part of the answer."""
    for tool in machine.TOOLS:
        program = sshd.folder / "bin" / tool
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    try:
        found = machine.look(remote)
    finally:
        for tool in machine.TOOLS:
            (sshd.folder / "bin" / tool).unlink()
    assert found.missing == ()
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize(
    ("is_installer", "missing", "kind"),
    [(True, (), Kind.INSTALLER), (True, ("flock",), Kind.OTHER), (False, (), Kind.OTHER)],
)
def test_an_installer_is_one_by_its_name_and_its_tools(here, is_installer, missing, kind):
    found = replace(here, hardware=replace(here.hardware, is_installer=is_installer), missing=missing)
    assert found.kind is kind
    assert found.runs.endswith("(installer)") is is_installer


def wanted(system: str = "x86_64-linux", mode: str = "uefi") -> Any:
    return SimpleNamespace(name="w1", system=SimpleNamespace(value=system), boot=SimpleNamespace(mode=mode))


def metal(here: Machine, **changes: str) -> Machine:
    facts: dict[str, Any] = {"platform": "x86_64", "boot_mode": "uefi", "virtualization": "none", **changes}
    return replace(here, hardware=replace(here.hardware, **facts))


def test_control_what_fits_is_not_refused(here):
    machine.refuse_unfit(wanted(), metal(here))
    machine.refuse_unfit(wanted(), metal(here, virtualization="systemd-nspawn", boot_mode="bios"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platform": "aarch64"}, "w1: the machine is aarch64-linux, the inventory says x86_64-linux"),
        ({"platform": "riscv64"}, "w1: the machine is riscv64, the inventory says x86_64-linux"),
        ({"boot_mode": "bios"}, "w1: the firmware started the machine by bios, the inventory says boot.mode uefi"),
    ],
)
def test_a_system_that_could_not_start_there_is_not_installed(here, changes, said):
    with pytest.raises(InvalidInput, match=said):
        machine.refuse_unfit(wanted(), metal(here, **changes))
