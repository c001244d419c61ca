"""What probe.sh prints on this machine, and what is made of what it printed on others."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.hardware.machines import ENDPOINTS, machine, said_by

from slipway.hardware import probe

SHELLS = [words for words in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(words[0])]


def test_this_machine_is_read_over_ssh(remote):
    here = probe.read(remote)
    assert here.hostname == Path("/proc/sys/kernel/hostname").read_text().strip()
    assert here.kernel == os.uname().release
    assert here.platform == os.uname().machine
    assert here.connection == "127.0.0.1"
    assert here.processor.threads == os.sysconf("SC_NPROCESSORS_ONLN")
    assert 1 <= here.processor.sockets <= here.processor.cores <= here.processor.threads
    assert here.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert {link.name for link in here.links} <= {path.name for path in Path("/sys/class/net").iterdir()}
    assert "lo" not in here.by_name


def run(shell: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*shell, "-c", probe.SCRIPT.read_text()]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_any_shell_reads_the_same_and_complains_about_nothing(shell):
    """busybox with its own sed, ls and ip as well."""
    told = run(shell)
    assert told.stderr == ""
    # Links come and go with the machines of a lab beside us.
    found, expected = (replace(probe.parse(one.stdout), links=()) for one in (told, run(["sh"])))
    assert found == expected


def test_a_machine_without_the_programs_says_what_it_could_not_read(tmp_path):
    for name in ("cat", "grep", "sort", "sed", "readlink", "uname", "tr", "ls"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    here = probe.parse(run(["/bin/sh"], {"PATH": str(tmp_path)}).stdout)
    assert here.processor.threads == os.sysconf("SC_NPROCESSORS_ONLN")
    assert "addresses and routes: the machine has no program `ip`" in here.unread
    assert "whether it is a virtual machine: it has no program `systemd-detect-virt`" in here.unread


# --- machines of other kinds -----------------------------------------------------------------------------------------


def test_firmware_and_processor_of_a_server():
    server = machine("server")
    assert (server.maker, server.model) == ("Example Computer Inc.", "Rackserver 640 G2")
    assert server.firmware == "Example Firmware 2.10.2 02/24/2025"
    assert (server.boot_mode, server.secure_boot) == ("uefi", True)
    processor = server.processor
    assert (processor.maker, processor.sockets, processor.cores, processor.threads) == ("intel", 2, 32, 64)
    assert server.memory == 196512344 * 1024
    assert server.unread == ()


def test_disks_of_a_server():
    disks = {disk.name: disk for disk in machine("server").disks}
    assert {name: disk.transport for name, disk in disks.items()} == {
        "nvme0n1": "nvme", "nvme1n1": "nvme", "sda": "sata", "sdb": "usb", "sdc": "scsi",
    }  # fmt: skip
    assert disks["sda"].size == 468862128 * 512
    assert disks["sda"].model == "Bootdisk S4510"
    assert disks["sda"].by_id == ("ata-Bootdisk_S4510_PHYF1234", "wwn-0x55cd2e414f2a1234")
    assert disks["sdb"].is_removable
    assert disks["sdc"].is_rotating
    assert disks["nvme0n1"].modules == ("nvme", "vmd")


def test_what_is_mounted_through_a_volume_is_on_its_disk_and_bind_mounts_are_not():
    disks = {disk.name: disk.mounts for disk in machine("server").disks}
    assert disks.pop("sda") == ("/", "/boot/efi")
    assert set(disks.values()) == {()}


def test_a_subvolume_of_btrfs_is_mounted_from_its_disk():
    assert [disk.mounts for disk in machine("cloud").disks] == [("/",)]


def test_links_of_a_server():
    links = machine("server").by_name
    assert set(links) == {"bond0", "bond0.20", "docker0", "eno1", "eno2", "enp59s0"}
    assert (links["bond0"].parts, links["bond0"].bond_mode) == (("eno1", "eno2"), "802.3ad")
    vlan = links["bond0.20"]
    assert (vlan.kind, vlan.vlan_id, vlan.parts, vlan.mac) == ("vlan", 20, ("bond0",), None)
    assert vlan.addresses == ("10.20.0.7/16", "fd00:20::7/64", "fd00:20::aa:7/64")
    assert vlan.leased == ("fd00:20::aa:7/64",)


def test_a_card_in_a_bond_keeps_the_mac_that_is_printed_on_it():
    assert machine("server").by_name["eno2"].mac == "52:54:00:aa:00:02"


def test_a_machine_without_uefi_is_a_bios_machine_unless_it_is_a_board():
    assert machine("vm").boot_mode == "bios"
    assert machine("board").boot_mode is None
    assert machine("board").model == "Raspberry Pi 4 Model B Rev 1.4"


def test_the_boot_areas_of_emmc_and_optical_drives_are_no_disks():
    assert [disk.name for disk in machine("board").disks] == ["mmcblk0", "sda"]
    assert [disk.name for disk in machine("vm").disks] == ["vda", "vdb"]


def test_a_container_has_no_disks_and_no_mac():
    container = machine("container")
    assert container.is_container
    assert container.disks == ()
    assert [(link.name, link.mac) for link in container.links] == [("host0", None)]


def test_own_name_servers_are_left_out():
    assert machine("server").nameservers == ("10.20.0.1", "10.20.0.2")


def test_the_route_with_the_least_metric_is_first():
    text = "route\tdefault via 10.0.0.9 dev b metric 200\nroute\tdefault via 10.0.0.1 dev a metric 100\n"
    assert [route.gateway for route in probe.parse(text).routes] == ["10.0.0.1", "10.0.0.9"]


def test_json_is_plain_and_in_camel_case():
    told = machine("server").to_json()
    assert told["processor"]["cores"] == 32
    assert told["disks"][0]["byId"][0].startswith("nvme-")
    assert told["isNixos"] is False


# --- any text --------------------------------------------------------------------------------------------------------

KINDS = sorted({line.split("\t")[0] for name in ENDPOINTS for line in said_by(name).splitlines()})
LINES = st.one_of(
    st.builds(lambda kind, parts: "\t".join([kind, *parts]), st.sampled_from(KINDS), st.lists(st.text(max_size=12))),
    st.builds(
        lambda line, cut, more: line[:cut] + more,
        st.sampled_from([line for name in ENDPOINTS for line in said_by(name).splitlines()]),
        st.integers(0, 80),
        st.text(max_size=6),
    ),
)


@given(st.lists(LINES, max_size=30))
def test_whatever_a_machine_prints_is_read(lines):
    hardware = probe.parse("\n".join(lines))
    assert hardware.processor.cores >= 1
    for text in (hardware.hostname, hardware.os, *hardware.unread):
        assert text.isprintable()
