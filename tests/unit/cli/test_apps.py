"""`slipway app new` and `slipway stages eject`, as a user types them."""

import json

import pytest

from slipway.cli import apps
from slipway.errors import InvalidInput

INVENTORY = """\
apiVersion: slipway/v1
cluster: {name: small, k0s: {version: 1.36.3+k0s.2}}
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f a@b]}
  network: {interface: eno1, prefixLength: 24}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker}
"""


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    return tmp_path / "inventory.yaml"


def test_a_new_app_is_written_once(inventory, capfd):
    apps.new("shop", "registry.example.org/shop:1", inventory=inventory, json_output=True)
    written = [each["path"] for each in json.loads(capfd.readouterr().out)]
    assert "gitops/cluster-apps/shop/ks.yaml" in written
    assert all((inventory.parent / path).is_file() for path in written)
    with pytest.raises(InvalidInput, match="is there already"):
        apps.new("shop", "registry.example.org/shop:2", inventory=inventory)
    assert "shop:1" in (inventory.parent / "gitops/cluster-apps/shop/app/app.yaml").read_text()


def test_a_name_that_is_no_namespace_is_refused(inventory):
    with pytest.raises(InvalidInput, match="Shop"):
        apps.new("Shop", "image", inventory=inventory)


def test_a_size_that_is_none_is_refused(inventory):
    with pytest.raises(InvalidInput, match="5GB: not a size"):
        apps.new("shop", "image", volume="5GB", inventory=inventory)


def test_what_was_not_generated_cannot_be_taken_over(inventory):
    with pytest.raises(InvalidInput, match="missing"):
        apps.eject("sample", inventory=inventory)
