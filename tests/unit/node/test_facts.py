import socket
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.node import facts

SYSTEMCTL = """#!/bin/sh
echo "broken.service loaded failed failed Something is * broken"
echo "other.mount   loaded failed failed Another"
"""


@pytest.fixture
def here(node, remote):
    return facts.read(remote, node.places)


GOOD = {
    **{"hostname": "cp1", "may_be_renamed": False, "has_systemd": True, "has_nix": True, "free": 5000},
    **{"is_member": True, "is_installer": False},
}


def test_facts_are_the_machine_s_own(here, node):
    assert here.hostname == socket.gethostname()
    assert here.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert here.current == here.profile == here.booted == str(node.folder / "old")
    assert here.runs(str(node.folder / "old"))


def test_the_system_is_named_as_it_names_itself(here):
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    assert here.os == release["PRETTY_NAME"].strip('"')
    assert not here.is_installer
    assert here.is_member is Path("/var/lib/k0s/pki").exists()


def test_what_is_not_there_is_none(node, remote):
    for link in (node.places.current, node.places.booted, node.places.profile):
        Path(link).unlink()
    here = facts.read(remote, node.places)
    assert (here.current, here.booted, here.profile) == (None, None, None)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_link_that_leads_to_no_place_is_taken_for_no_other(node, remote, lost):
    """readlink says nothing at all of a link below a folder that is not there."""
    places = (node.places.current, node.places.booted, node.places.profile)
    Path(places[lost]).unlink()
    Path(places[lost]).symlink_to("/nowhere/at/all")
    here = facts.read(remote, node.places)
    old = str(node.folder / "old")
    assert (here.current, here.booted, here.profile) == tuple(None if n == lost else old for n in range(3))


def test_units_that_have_failed_are_named(node, remote, sshd):
    program = sshd.folder / "bin" / "systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    try:
        assert facts.read(remote, node.places).failed_units == ("broken.service", "other.mount")
    finally:
        program.unlink()


@pytest.mark.parametrize("text", ["/nix/store/x abc\ncurrent=/evil\n", "/nix/store/x abc", "x" * 999])
def test_of_a_note_the_first_line_is_read_and_not_all_of_a_long_one(node, remote, text):
    Path(node.places.note).write_text(text)
    here = facts.read(remote, node.places)
    assert here.note == text.split("\n")[0][:300]
    assert here.current == str(node.folder / "old")


def test_room_in_the_store_is_what_df_says(here):
    assert here.free > 0 or not Path("/nix/store").exists()


def test_a_system_that_is_not_the_default_does_not_count_as_run(here, node):
    assert not replace(here, profile=str(node.folder / "other")).runs(str(node.folder / "old"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"hostname": "w1"}, "called w1, the inventory calls it cp1"),
        ({"hostname": "w1", "may_be_renamed": True}, None),
        ({"hostname": "nixos", "is_member": False}, None),
        ({"hostname": "nixos", "is_installer": True, "os": "NixOS 26.05"}, "an installer runs there (NixOS 26.05)"),
        ({"current": None, "os": "Debian GNU/Linux 12"}, "it runs Debian GNU/Linux 12, not NixOS; to make it a node"),
        ({"has_systemd": False}, "systemd does not run"),
        ({"has_nix": False}, "Nix is not installed"),
        ({"free": 3}, "only 3 MiB are free"),
    ],
)
def test_what_stands_in_the_way_is_said(here, change, said):
    obstacles = replace(here, **{**GOOD, **change}).obstacles("cp1")
    assert len(obstacles) == (said is not None)
    assert said is None or said in obstacles[0]
