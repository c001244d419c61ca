"""Where a host's values come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.inventory.test_load import HEAD

from slipway.inventory import load
from slipway.inventory.origins import Origin, origins

HOSTS = """\
groups:
  rack-a:
    labels: {example.org/rack: a, example.org/row: "1"}
    ssh: {port: 2222}
  fast:
    labels: {example.org/row: "2"}
    journald: {maxUse: 2Gi}
hosts:
  one:
    address: 10.0.0.11
    role: single
    groups: [rack-a, fast]
    labels: {example.org/own: "yes"}
"""


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Origin]:
    (tmp_path / "inventory.yaml").write_text(HEAD + HOSTS)
    monkeypatch.chdir(tmp_path)
    inventory = load(Path("inventory.yaml"))
    return {origin.key: origin for origin in origins(inventory, "one")}


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("address", "10.0.0.11", "hosts.one at inventory.yaml:15"),
        ('labels."example.org/own"', "yes", "hosts.one at inventory.yaml:18"),
        ('labels."example.org/rack"', "a", "groups.rack-a at inventory.yaml:8"),
        ('labels."example.org/row"', "2", "groups.fast at inventory.yaml:11"),
        ("ssh.port", "2222", "groups.rack-a at inventory.yaml:9"),
        ("journald.maxUse", "2Gi", "groups.fast at inventory.yaml:12"),
        ("network.interface", "eno1", "defaults at inventory.yaml:5"),
        ("ssh.user", "root", "default of slipway"),
        ("nix.gc.olderThan", "30d", "default of slipway"),
    ],
)
def test_origin(found: dict[str, Origin], key: str, value: str, origin: str):
    assert (found[key].value, str(found[key])) == (value, origin)


def test_later_group_wins(found: dict[str, Origin]):
    assert found['labels."example.org/row"'].layer == "groups.fast"


def test_what_is_not_set_is_not_shown(found: dict[str, Origin]):
    assert "network.gateway" not in found
    assert "taints" not in found
