"""What several checks of this pack ask once."""

from __future__ import annotations

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.packs.k0s._status import K0sStatus


@pytest.fixture(scope="session")
def status(host: NodeHost) -> K0sStatus:
    return K0sStatus(host)


@pytest.fixture(scope="session")
def wanted_version(node: Host, inventory: Inventory) -> str:
    """The k0s release that this node shall run."""
    return node.k0s.version or inventory.cluster.k0s.version
