"""`slipway discover` of real machines: what it reads is what the lab made, and what it proposes is an inventory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.lab.harness import Home, Repository

from slipway.inventory import load
from slipway.lab import state
from slipway.lab.settings import Lab, Machine

pytestmark = pytest.mark.lab

HEAD = """\
apiVersion: slipway/v1
cluster: {name: found, k0s: {version: 1.36.3+k0s.2}}
include: [new.yaml]
hosts:
  founder: {address: 198.51.100.9, role: controller, network: {interface: eno1, prefixLength: 24}}
"""


@pytest.fixture
def machines(lab: Lab) -> tuple[Machine, ...]:
    return state.recorded(lab)


@pytest.fixture
def folder(lab: Lab, home: Home, tmp_path: Path) -> Repository:
    """A folder with the keys of the lab's machines and nothing else: none of them is in an inventory."""
    shutil.copy(lab.known_hosts, tmp_path / "known_hosts")
    return Repository(tmp_path, home)


def discover(folder: Repository, lab: Lab, *words: str):
    return folder.slipway("discover", "--identity", str(lab.identity), *words)


def test_machines_are_what_the_lab_made(folder, lab, machines):
    ran = discover(folder, lab, "--json", *(machine.address for machine in machines)).ended(0)
    assert [told["hardware"]["hostname"] for told in ran.json] == [machine.name for machine in machines]
    for told, machine in zip(ran.json, machines, strict=True):
        hardware = told["hardware"]
        assert hardware["virtualization"] == "systemd-nspawn"
        assert hardware["kernel"] == os.uname().release
        assert hardware["processor"]["threads"] == os.sysconf("SC_NPROCESSORS_ONLN")
        assert hardware["connection"] == machine.address
        assert hardware["disks"] == []
        addresses = {address: link["name"] for link in hardware["links"] for address in link["addresses"]}
        assert addresses[f"{machine.address}/{lab.subnet.prefixlen}"] == "host0"


def test_what_is_printed_is_an_inventory_of_them(folder, lab, machines):
    ran = discover(folder, lab, *(f"root@{machine.address}" for machine in machines)).ended(0)
    (folder.root / "new.yaml").write_text(ran.out)
    (folder.root / "inventory.yaml").write_text(HEAD)
    found = {host.name: host for host in load(folder.root).hosts}
    assert found.keys() == {"founder", *(machine.name for machine in machines)}
    for machine in machines:
        host = found[machine.name]
        assert host.address == machine.address
        assert (host.network.interface, host.network.prefix_length) == ("host0", lab.subnet.prefixlen)
        assert (host.hardware.memory or 0) > 0


def test_a_machine_that_is_not_there_is_named_beside_the_others(folder, lab, machines):
    nobody = f"root@{lab.subnet[250]}"
    ran = discover(folder, lab, nobody, machines[0].address).ended(5)
    assert f"{machines[0].name}:" in ran.out
    assert nobody in ran.err


def test_a_machine_whose_key_nobody_pinned_is_refused_until_it_is(folder, lab, machines):
    (folder.root / "known_hosts").unlink()
    target = f"root@{machines[-1].address}"
    assert f"slipway trust {target}" in discover(folder, lab, target).ended(5).err
    folder.slipway("trust", target, "--yes").ended(0)
    discover(folder, lab, target).ended(0)
