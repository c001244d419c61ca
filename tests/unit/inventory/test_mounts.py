"""Machines that mount nothing at /: told by check, before NixOS refuses them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.inventory import load
from slipway.inventory.mounts import without_root

INVENTORY = """\
apiVersion: slipway/v1
cluster: {name: c, k0s: {version: 1.36.3+k0s.2}}
defaults: {network: {interface: eno1, prefixLength: 24}}
hosts:
  cp1:
    address: 10.0.0.11
    role: controller+worker
    disks: {system: {device: /dev/disk/by-id/ata-1}}
  w1:
    address: 10.0.0.21
    role: worker
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return tmp_path


def found(root: Path) -> list[tuple[int, str, str]]:
    return [(one.line, one.path, one.message) for one in without_root(load(root))]


def test_a_machine_that_mounts_nothing_is_told_at_its_entry(root):
    message = "no disks and no hosts/w1.nix: nothing mounts /, unless a file of modules/ does"
    assert found(root) == [(9, "hosts.w1", message)]


def test_a_file_of_its_own_may_mount_it(root):
    (root / "hosts").mkdir()
    (root / "hosts/w1.nix").write_text("{ }")
    assert found(root) == []


@pytest.mark.parametrize(("text", "told"), [("inherit (slipway.lib.lab) nixosSystem;", 0), ("root = ./.;", 1)])
def test_the_labs_machines_have_their_root_from_the_lab(root, text, told):
    (root / "flake.nix").write_text(text)
    assert len(found(root)) == told


def test_check_warns_and_goes_on(root):
    command = [sys.executable, "-m", "slipway.cli", "check", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "hosts.w1" in [one["path"] for one in json.loads(done.stdout)["warnings"]]
