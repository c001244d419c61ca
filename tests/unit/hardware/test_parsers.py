"""What programs say of a machine's parts: recorded outputs, and outputs that are none."""

from pathlib import Path

import pytest

from slipway.hardware import dmi, ethtool, ipmi, sensors, smart

RECORDED = Path(__file__).parents[1] / "verify" / "recorded"


def said(name: str) -> str:
    return (RECORDED / name).read_text()


def test_memory_modules_are_counted_without_empty_slots():
    memory = dmi.memory(said("dmidecode.txt"))
    assert memory is not None
    assert [(module.slot, module.size >> 30) for module in memory.modules] == [("A1", 64), ("A2", 64), ("B1", 64)]
    assert (memory.slots, memory.has_ecc, memory.correction) == (4, True, "Multi-bit ECC")


def test_a_firmware_that_describes_no_memory_says_nothing():
    assert dmi.memory("# dmidecode 3.6\nNo SMBIOS nor DMI entry point found, sorry.\n") is None


@pytest.mark.parametrize("correction", ["None", "Unknown", "Parity"])
def test_what_corrects_nothing_is_no_ecc(correction):
    memory = dmi.memory(said("dmidecode.txt").replace("Multi-bit ECC", correction))
    assert memory is not None
    assert not memory.has_ecc


def test_disks_tell_their_health():
    nvme, sata = (smart.smart(line) for line in said("smartctl.txt").splitlines() if line.startswith("{"))
    assert (nvme.passed, nvme.wear, nvme.critical, nvme.spare_short, nvme.bad) == (True, 12, False, False, 0)
    assert (sata.passed, sata.wear, sata.bad) == (True, None, 0)


def test_a_sata_disk_tells_its_wear_by_its_statistics():
    assert smart.smart('{"smartctl": {}, "endurance_used": {"current_percent": 7}}').wear == 7


def test_a_disk_that_cannot_be_asked_gives_no_verdict():
    text = '{"smartctl": {"messages": [{"string": "requires option -d megaraid,N", "severity": "error"}]}}'
    assert smart.smart(text).passed is None
    assert "megaraid" in smart.smart(text).error


@pytest.mark.parametrize("text", ["", "[]", "{}", "smartctl: not found"])
def test_what_smartctl_does_not_say_is_no_health(text):
    with pytest.raises(ValueError):
        smart.smart(text)


def test_sensors_have_a_value_a_critical_point_and_an_alarm():
    found = {each.name: each for each in sensors.sensors(said("sensors.json"))}
    package = found["coretemp-isa-0000 Package id 0"]
    assert (package.kind, package.value, package.critical, package.alarm) == ("temp", 52.0, 98.0, False)
    assert found["board-isa-0290 fan1"].kind == "fan"
    assert not any("intrusion" in name for name in found)


def test_a_controllers_readings():
    found = ipmi.readings(said("ipmitool-sdr.txt"))
    assert (found[0].name, found[0].state, found[0].value) == ("Inlet Temp", "ok", "24 degrees C")
    assert not any(each.is_bad for each in found)
    assert ipmi.readings("Get Device ID command failed\n") == ()


def test_a_cable():
    cable = ethtool.cable(said("ethtool.txt").split("card eno2")[0])
    assert (cable.speed, cable.full, cable.has_link) == (10000, True, True)


def test_a_cable_that_is_out():
    text = "Settings for eno3:\n\tSpeed: Unknown!\n\tDuplex: Unknown! (255)\n\tLink detected: no\n"
    assert ethtool.cable(text) == ethtool.Cable(None, None, False)
