"""Exports: what other tools make of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import paramiko
import pytest
from ruamel.yaml import YAML
from tests.unit.inventory.test_load import EXAMPLES, INVENTORIES

from slipway.inventory import Inventory, load
from slipway.inventory.export import ansible, hosts_file, ssh_config
from slipway.inventory.importers.ansible import import_ansible


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load(EXAMPLES / "large")


def test_ansible(inventory: Inventory):
    exported = YAML(typ="safe").load(ansible(inventory))["all"]
    assert list(exported["hosts"]) == [host.name for host in inventory.hosts]
    assert exported["hosts"]["cp1"]["ansible_host"] == "10.20.0.11"
    assert exported["hosts"]["cp1"]["ansible_ssh_private_key_file"] == str(Path("~/.ssh/plant").expanduser())
    assert list(exported["children"]["controller"]["hosts"]) == ["cp1", "cp2", "cp3"]
    assert "wa8" in exported["children"]["rack_a"]["hosts"]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", group) for group in exported["children"])


def test_a_host_of_both_roles_is_in_both_groups():
    exported = YAML(typ="safe").load(ansible(load(INVENTORIES / "valid" / "dual-stack.yaml")))["all"]["children"]
    assert list(exported["controller"]["hosts"]) == ["cp1"]
    assert list(exported["worker"]["hosts"]) == ["cp1", "w1"]


def test_ansible_comes_back(inventory: Inventory, tmp_path: Path):
    (tmp_path / "hosts.yaml").write_text(ansible(inventory))
    back = YAML(typ="safe").load(import_ansible(tmp_path / "hosts.yaml").text)
    assert {name: entry["address"] for name, entry in back["hosts"].items()} == {
        host.name: host.address for host in inventory.hosts
    }
    assert {name: entry["role"] for name, entry in back["hosts"].items()} == {
        host.name: host.role.value for host in inventory.hosts
    }


def test_jump_hosts_are_exported(tmp_path: Path):
    text = INVENTORY_WITH_JUMPS
    (tmp_path / "inventory.yaml").write_text(text)
    found = load(tmp_path)
    assert "  ProxyJump ops@b.example.org:2222,[2001:db8::9]\n" in ssh_config(found)
    assert "-o ProxyJump=ops@b.example.org:2222,[2001:db8::9]" in ansible(found)


INVENTORY_WITH_JUMPS = """
apiVersion: slipway/v1
cluster: {name: test, k0s: {version: 1.36.3+k0s.2}}
hosts:
  a:
    address: 10.0.0.11
    role: single
    ssh: {jump: ["ops@b.example.org:2222", "2001:DB8::9"]}
    network: {interface: eth0, prefixLength: 24}
"""


def test_ssh_config_is_what_ssh_reads(tmp_path: Path):
    shutil.copy(INVENTORIES / "valid" / "everything.yaml", tmp_path / "inventory.yaml")
    config = paramiko.SSHConfig.from_text(ssh_config(load(tmp_path)))
    found = config.lookup("w1")
    assert (found["hostname"], found["user"], found["port"]) == ("10.0.0.21", "admin", "2222")
    assert list(found["identityfile"]) == [str(tmp_path / "keys" / "id_ed25519")]
    assert found["userknownhostsfile"] == str(tmp_path / "known_hosts")


def test_paths_with_blanks_are_quoted(tmp_path: Path):
    folder = tmp_path / "my cluster"
    folder.mkdir()
    shutil.copy(INVENTORIES / "valid" / "minimal.yaml", folder / "inventory.yaml")
    assert f'UserKnownHostsFile "{folder}/known_hosts"' in ssh_config(load(folder))


def test_hosts_file(inventory: Inventory):
    lines = hosts_file(inventory).splitlines()
    assert lines[:2] == ["10.20.0.11\tcp1", "fd00:20::11\tcp1"]
    assert lines[-1] == "10.20.0.10\tplant"


def test_other_tools_log_in_where_slipway_does(tmp_path: Path):
    """`ssh.address`; Ansible keeps the node's own as `ip`, as kubespray has it, and both come back."""
    text = (INVENTORIES / "valid" / "dual-stack.yaml").read_text()
    (tmp_path / "inventory.yaml").write_text(text.replace("  w1: {", "  w1: {ssh: {address: bmc.example.org}, ", 1))
    found = load(tmp_path)
    own = found.host("w1").address
    hosts = YAML(typ="safe").load(ansible(found))["all"]["hosts"]
    assert (hosts["w1"]["ansible_host"], hosts["w1"]["ip"]) == ("bmc.example.org", own)
    assert "ip" not in hosts["cp1"]
    assert "HostName bmc.example.org\n" in ssh_config(found)
    (tmp_path / "hosts.yaml").write_text(ansible(found))
    assert "address: bmc.example.org" in import_ansible(tmp_path / "hosts.yaml").text
