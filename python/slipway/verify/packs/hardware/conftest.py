"""What all checks of this pack ask once."""

from __future__ import annotations

import pytest

from slipway.verify.backend import NodeHost
from slipway.verify.packs._reads import Answers
from slipway.verify.packs.hardware._machine import READS, Machine


@pytest.fixture(scope="session")
def machine(host: NodeHost) -> Machine:
    return Machine(Answers(host, READS))
