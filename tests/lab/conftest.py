"""The lab for tests: the one that `slipway lab` works on, and a small one beside it for tests that break machines."""

import os
from collections.abc import Iterator

import pytest

from slipway.events import Events
from slipway.lab import machines, state
from slipway.lab.settings import FOR_TESTS, Lab, Machine

ALONE, OWN = FOR_TESTS


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of $SLIPWAY_LAB, brought up if need be. One that was up before the tests stays up after them."""
    chosen = Lab(int(os.environ.get("SLIPWAY_LAB", "0")))
    was_there = bool(state.recorded(chosen))
    machines.up(chosen, Events())
    yield chosen
    if not was_there:
        machines.down(chosen, Events())


@pytest.fixture
def own_lab() -> Iterator[Lab]:
    """A lab of the test's own, with nothing in it yet; whatever the test leaves is taken away."""
    chosen = Lab(OWN)
    machines.down(chosen, Events())
    yield chosen
    machines.down(chosen, Events())


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One machine, up and alone, for faults; the tests of a module share it and mend what they break."""
    chosen = Lab(ALONE)
    machines.down(chosen, Events())
    (alone,) = machines.up(chosen, Events(), controllers=1, workers=0)
    yield alone
    machines.down(chosen, Events())
