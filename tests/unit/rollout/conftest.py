"""An inventory of two controllers and three workers, in a repository of its own."""

from pathlib import Path

import pytest

from slipway.inventory import Inventory, load

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {version: 1.36.3+k0s.2}
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}
  network: {interface: eth0, prefixLength: 24}
deploy: {parallel: 2, timeouts: {ready: 5s, join: 30s}}
hosts:
  w1: {address: 10.0.0.21, role: worker}
  cp1: {address: 10.0.0.11, role: controller}
  cp2: {address: 10.0.0.12, role: controller}
  cp3: {address: 10.0.0.13, role: controller+worker}
  w2: {address: 10.0.0.22, role: worker}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return load(path)
