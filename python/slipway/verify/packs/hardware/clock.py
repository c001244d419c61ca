"""What the kernel counts time by.

cat /sys/devices/system/clocksource/clocksource0/current_clocksource
"""

from __future__ import annotations

from slipway.verify.check import expect
from slipway.verify.packs.hardware._machine import Machine

SOUND = ("tsc", "tsc-early", "arch_sys_counter", "kvm-clock", "xen", "hyperv_clocksource_tsc_page", "ptp")
"""Steady, and read without leaving the processor. hpet, acpi_pm and jiffies are what the kernel falls back to."""


def test_is_sound(machine: Machine) -> None:
    """The kernel counts time by a source that is steady and fast."""
    found = machine.answers["clocksource"].said().strip()
    expect(
        found in SOUND,
        expected="tsc, or what the hypervisor offers",
        found=found,
        fix="dmesg | grep -i clocksource says why tsc was given up; firmware update; etcd needs a clock",
        command="cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
    )
