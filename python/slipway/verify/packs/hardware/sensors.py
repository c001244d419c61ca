"""Temperatures and fans.

sensors
"""

from __future__ import annotations

import pytest

from slipway.hardware.sensors import Sensor
from slipway.inventory import Host
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.hardware._machine import Machine


def _known(machine: Machine) -> tuple[Sensor, ...]:
    machine.skip_virtual(declared=False)
    if not machine.has("sensors"):
        pytest.skip("the kernel knows no sensor of this machine")
    if not machine.sensors:
        raise CannotRun("the kernel knows sensors, and the program sensors shows none")
    return machine.sensors


def test_none_is_too_hot(machine: Machine, node: Host) -> None:
    """No sensor is at its critical temperature, or above the limit."""
    limit = float(node.hardware.limits.temperature)
    bounds = {each: min(each.critical or limit, limit) for each in _known(machine) if each.kind == "temp"}
    hot = [f"{each.name}: {each.value:g} °C, limit {most:g}" for each, most in bounds.items() if each.value >= most]
    expect(
        not hot,
        expected=f"every sensor below its critical point, and below {limit:g} °C",
        found=listed(hot),
        fix="fans, dust, the air in the rack; hardware.limits.temperature is the limit",
        command="sensors",
    )


def test_none_alarms(machine: Machine) -> None:
    """No fan, voltage or temperature raises an alarm."""
    alarms = [f"{each.name}: {each.value:g}" for each in _known(machine) if each.alarm and each.kind != "in"]
    expect(
        not alarms,
        expected="no alarm",
        found=listed(alarms),
        fix="a fan that stands still or a probe that fell off: look at the machine",
        command="sensors",
    )
