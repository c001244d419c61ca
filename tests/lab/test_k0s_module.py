"""The Go tests of the stand-in for k0s. They need the lab's Go toolchain, and none of its machines."""

import pytest

from slipway.lab.builds import MODULES
from slipway.lab.toolchain import environment, go
from slipway.tools.run import run

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("words", [["vet"], ["test"]], ids=["vet", "test"])
def test_go(words):
    run([go(), *words, "./..."], cwd=MODULES / "k0s", env=environment(), timeout=300)
