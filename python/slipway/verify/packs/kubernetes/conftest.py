"""What several checks of this pack ask once."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.packs.k0s._api import KubeletApi


@pytest.fixture(scope="session")
def api(host: NodeHost) -> KubeletApi:
    return KubeletApi(host)


@pytest.fixture(scope="session")
def found(api: KubeletApi, node: Host) -> dict[str, Any]:
    """The node as the API has it; without one, what it should have is missing in it."""
    return api.get(f"/api/v1/nodes/{node.name}") or {"metadata": {}, "spec": {}, "status": {}}
