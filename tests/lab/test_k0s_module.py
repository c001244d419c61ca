"""The Go tests of the stand-ins for k0s and for the sample application. They need the lab's Go toolchain, and no
machine."""

import pytest

from slipway.lab.builds import MODULES
from slipway.lab.toolchain import environment, go
from slipway.tools.run import run

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("module", ["podinfo", "k0s"])
@pytest.mark.parametrize("words", [["vet"], ["test"]], ids=["vet", "test"])
def test_go(words, module):
    run([go(), *words, "./..."], cwd=MODULES / module, env=environment(), timeout=300)
