"""The machine, read once for all checks of this pack.

Three rules keep a green answer true. What the inventory declares is compared, and is red or an error where it cannot
be read. What it does not declare is held against limits that any node must keep, wherever the machine has such a part.
And only where it has none (a container, a virtual machine, no sensor chip) is a check skipped, with that as its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import pytest

from slipway.hardware import dmi, ethtool, ipmi, probe, sensors, smart
from slipway.hardware.facts import Disk, Hardware, Link
from slipway.verify.check import CannotRun
from slipway.verify.packs._reads import Answers, Read, understood

ABSENT = 3
"""Exit code of our own for a part that the machine does not have."""
ANY = range(256)

READS = (
    Read("probe", probe.SCRIPT.read_text(encoding="utf-8"), 20),
    Read("flags", "sed -n 's/^\\(flags\\|Features\\)[[:space:]]*: //p' /proc/cpuinfo | sort -u"),
    Read("vulnerabilities", "grep -s -H '' /sys/devices/system/cpu/vulnerabilities/*"),
    Read("throttles", "grep -s -H '' /sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count"),
    Read("clocksource", "cat /sys/devices/system/clocksource/clocksource0/current_clocksource"),
    Read("edac", "grep -s -H '' /sys/devices/system/edac/mc/mc*/[cu]e_count"),
    Read("dmi", "[ -e /sys/firmware/dmi/tables/DMI ] || exit 3; dmidecode -t memory"),
    Read(
        "smart",
        "for path in /sys/block/*; do name=${path##*/};"
        ' if [ -e "$path/device" ] && [ -b "/dev/$name" ]; then'
        ' echo "disk $name"; smartctl --json=c -i -H -A "/dev/$name"; echo; fi; done; exit 0',
        60,
    ),
    Read(
        "cables",
        "for path in /sys/class/net/*/device; do name=${path%/device}; name=${name##*/};"
        ' if [ -e "$path" ]; then echo "card $name"; ethtool "$name"; fi; done; exit 0',
        20,
    ),
    Read("sensors", "ls /sys/class/hwmon/hwmon*/temp*_input >/dev/null 2>&1 || exit 3; sensors -j", 20),
    Read("bmc", "ls /dev/ipmi* >/dev/null 2>&1 || exit 3; ipmitool mc info", 30),
    Read("sdr", "ls /dev/ipmi* >/dev/null 2>&1 || exit 3; ipmitool sdr elist", 60),
)
SMART_TRANSPORTS = ("nvme", "sata", "sas")
"""Disks that tell of their health; volumes of a RAID controller, virtual disks and sticks have none of their own."""


class Machine:
    """
    >>> Machine(answers).hardware.processor.cores
    32
    """

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.hardware: Hardware = probe.parse(answers["probe"].said())

    # --- what is not its own ---

    def skip_container(self, declared: object) -> None:
        """Nothing is known of a part that belongs to the machine below, unless somebody insists on it."""
        if self.hardware.is_container and not declared:
            pytest.skip("a container: this part is the machine's below it")

    def skip_virtual(self, declared: object) -> None:
        if self.hardware.virtualization not in (None, "none") and not declared:
            pytest.skip(f"a virtual machine ({self.hardware.virtualization}): this part is the machine's below it")

    def has(self, name: str) -> bool:
        """Whether the machine has the part of that question at all."""
        return self.answers[name].code != ABSENT

    # --- its parts ---

    def disk(self, device: str) -> Disk | None:
        """The disk of a path /dev/disk/by-id/... or by-path/..."""
        name = device.rpartition("/")[2]
        return next((disk for disk in self.hardware.disks if name in (*disk.by_id, *disk.by_path)), None)

    def card(self, mac: str) -> Link | None:
        return next((link for link in self.hardware.links if link.mac == mac and link.kind == "card"), None)

    def cards_below(self, name: str | None) -> Iterator[Link]:
        """The cards that a link is made of, through bonds, bridges and VLANs."""
        link = self.hardware.by_name.get(name or "")
        if link is not None and link.kind == "card":
            yield link
        for part in link.parts if link is not None else ():
            yield from self.cards_below(part)

    @cached_property
    def memory(self) -> dmi.Memory:
        found = dmi.memory(self.answers["dmi"].said())
        if found is None:
            raise CannotRun("the firmware describes no memory: dmidecode -t memory")
        return found

    @cached_property
    def smart(self) -> dict[str, smart.Smart]:
        """Disk to what it says of itself, for those that can."""
        told = self._split("smart", "disk")
        names = [disk.name for disk in self.hardware.disks if disk.transport in SMART_TRANSPORTS]
        found = {name: understood("smartctl", smart.smart, told.get(name, "")) for name in names}
        for name, one in found.items():
            if one.error or one.passed is None:
                raise CannotRun(f"smartctl -H /dev/{name}: {one.error or 'no verdict'}")
        return found

    @cached_property
    def cables(self) -> dict[str, ethtool.Cable]:
        return {name: ethtool.cable(text) for name, text in self._split("cables", "card").items()}

    @cached_property
    def sensors(self) -> tuple[sensors.Sensor, ...]:
        return understood("sensors", sensors.sensors, self.answers["sensors"].said())

    @cached_property
    def readings(self) -> tuple[ipmi.Reading, ...]:
        found = ipmi.readings(self.answers["sdr"].said())
        if not found:
            raise CannotRun("ipmitool sdr elist names no sensor")
        return found

    def counts(self, name: str) -> dict[str, int]:
        """`path:number` a line, as grep prints it."""
        lines = (line.rpartition(":") for line in self.answers[name].said(ANY).splitlines())
        return {path: int(number) for path, _, number in lines if number.isdigit()}

    def _split(self, name: str, mark: str) -> dict[str, str]:
        """What follows each line `MARK NAME`, by that name."""
        answer = self.answers[name]
        _, *parts = re.split(rf"(?m)^{mark} (\S+)$", answer.said())
        if answer.error.strip() and not any(text.strip() for text in parts[1::2]):
            raise CannotRun(answer.error.strip().splitlines()[-1])
        return dict(zip(parts[::2], parts[1::2], strict=True))
