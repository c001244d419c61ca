"""What several checks of this pack ask once."""

from __future__ import annotations

import pytest

from slipway.verify.backend import NodeHost
from slipway.verify.packs.network._links import Links
from slipway.verify.packs.network._rules import Rules


@pytest.fixture(scope="session")
def links(host: NodeHost) -> Links:
    return Links(host)


@pytest.fixture(scope="session")
def rules(host: NodeHost) -> Rules:
    return Rules(host)
