"""Inventories for the generators: a small one, and the same with changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.inventory import Inventory, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example"

SMALL: dict[str, Any] = {
    "apiVersion": "slipway/v1",
    "cluster": {"name": "small", "k0s": {"version": "1.36.3+k0s.2"}, "network": {"provider": "cilium"}},
    "defaults": {
        "ssh": {"authorizedKeys": [KEY]},
        "network": {"interface": "eno1", "prefixLength": 24, "gateway": "10.0.0.1"},
    },
    "hosts": {
        "cp1": {"address": "10.0.0.11", "role": "controller"},
        "w1": {"address": "10.0.0.21", "role": "worker"},
    },
}

Make = Callable[..., Inventory]


def merged(base: Any, changes: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return {**base, **{key: merged(base.get(key), value) for key, value in changes.items()}}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make({...})`: the small inventory with these changes merged into it, loaded as the tool loads it."""

    def load_merged(changes: dict[str, Any] | None = None) -> Inventory:
        file = tmp_path / "inventory.yaml"
        file.write_text(yaml.safe_dump(merged(SMALL, changes or {}), sort_keys=False))
        return load(file)

    return load_merged


@pytest.fixture
def high_availability(make: Make) -> Inventory:
    """Three controllers with a virtual address, on links of different names."""
    controllers = {
        f"cp{n}": {"address": f"10.0.0.1{n}", "role": "controller", "network": {"interface": f"eno{n}"}}
        for n in (1, 2, 3)
    }
    return make({"cluster": {"network": {"vip": {"address": "10.0.0.10/24"}}}, "hosts": controllers})
