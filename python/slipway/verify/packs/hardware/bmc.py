"""The management controller, where there is one.

ipmitool mc info; ipmitool sdr elist
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.hardware._machine import ANY, Machine


def _there(machine: Machine, node: Host) -> None:
    machine.skip_container(declared=node.hardware.bmc)
    if not machine.has("bmc") and not node.hardware.bmc:
        pytest.skip("this machine has no management controller that Linux can talk to")


def test_answers(machine: Machine, node: Host) -> None:
    """The management controller answers, or there is none where the inventory says so."""
    _there(machine, node)
    if node.hardware.bmc is False:
        expect(
            not machine.has("bmc"),
            expected="no management controller: hardware.bmc is false in the inventory",
            found="/dev/ipmi0",
            fix="is it the machine that was ordered? Else take hardware.bmc out of the inventory",
            command="ls /dev/ipmi*",
        )
    answer = machine.answers["bmc"]
    if answer.code == 127:
        raise CannotRun("ipmitool is not installed: slipway.hardware.tools.enable")
    said = answer.said(ANY)
    expect(
        answer.code == 0 and "Device ID" in said,
        expected="an answer to `mc info`",
        found="no /dev/ipmi0" if not machine.has("bmc") else (answer.error or said).strip() or "nothing",
        fix="modprobe ipmi_si ipmi_devintf; a controller that hangs: ipmitool mc reset cold, or pull the power cord",
        command="ipmitool mc info",
    )


def test_its_sensors_are_well(machine: Machine, node: Host) -> None:
    """No sensor of the management controller is critical: power supplies, fans, temperatures."""
    _there(machine, node)
    bad = [f"{each.name}: {each.value}" for each in machine.readings if each.is_bad]
    expect(
        not bad,
        expected="every sensor ok",
        found=listed(bad),
        fix="ipmitool sel list tells since when; exchange the part",
        command="ipmitool sdr elist",
    )
