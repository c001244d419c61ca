"""What the tests of the lab share: its programs, one cluster for all, and small labs beside it for broken machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from tests.lab.ha import BEFORE, Ha
from tests.lab.harness import Cluster, Home, Repository, at_home, outcomes
from tests.lab.observed import Observed, observed

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.lab import locks, machines, supplies
from slipway.lab.settings import FOR_TESTS, Lab, Machine
from slipway.ssh.pool import Pool

SHARED, ALONE, OWN = FOR_TESTS
TURN = 600.0
"""Seconds to wait while another run of these tests has a lab."""

ORDER = ("test_programs", "test_chain", "test_secrets")
"""The parts first, then the chain from nothing to a cluster, which it leaves for all that follow."""

LAST = ("test_ha", "test_day2")
"""These share three controllers, in a lab that others have to themselves before."""

BESIDE = ("test_drill",)
"""These need no machine; with those of the cluster both parts take equally long."""

BY_ITSELF = ("test_base_apps",)
"""Of no part: what it needs takes longer to build than all else (`make rebuild`)."""

TO_A_CLUSTER = (("check",), ("generate",), ("deploy", "--json"), ("verify",), ("handoff",))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _choose(config, items)

    def place(item: pytest.Item) -> int:
        """What is not of the lab comes before it."""
        if item.get_closest_marker("lab") is None:
            return -1
        in_order = (*ORDER, "", *LAST)
        return in_order.index(item.path.stem if item.path.stem in in_order else "")

    items.sort(key=place)


def _choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what belongs to the part that was asked for."""
    part = config.getoption("--lab-part")
    if part is None:
        return
    items[:], own = _divided(items, lambda item: item.path.stem not in BY_ITSELF)
    on_cluster, others = _divided(
        items, lambda item: "lab" in getattr(item, "fixturenames", ()) or item.path.stem in BESIDE
    )
    items[:], left = (on_cluster, others) if part == "cluster" else (others, on_cluster)
    config.hook.pytest_deselected(items=[*own, *left])


def _divided(items: list[pytest.Item], by: Callable[[pytest.Item], bool]) -> tuple[list[pytest.Item], ...]:
    """Those of which it is so, and the others."""
    return [item for item in items if by(item)], [item for item in items if not by(item)]


@pytest.fixture(scope="session")
def made() -> None:
    """Programs, images and charts of the lab, in the cache."""
    supplies.ensure(Events())


@pytest.fixture(scope="session")
def lab(made: None) -> Iterator[Lab]:
    """The machines of the cluster. $SLIPWAY_LAB names a lab to take, which stays up: quicker to write tests by."""
    named = os.environ.get("SLIPWAY_LAB")
    with nullcontext(Lab(int(named))) if named else of_tests(SHARED) as chosen, pytest.MonkeyPatch.context() as patch:
        supplies.stock(machines.up(chosen, Events()), Events())
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        yield chosen


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with at_home(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture(scope="session")
def chain(lab: Lab, home: Home) -> Iterator[Observed]:
    """The one repository of all tests, watched from its first command on."""
    with observed(home) as chain:
        yield chain


@pytest.fixture(scope="session")
def repository(chain: Observed) -> Repository:
    return chain.repository


@pytest.fixture(scope="module")
def cluster(repository: Repository) -> Iterator[Cluster]:
    """The one cluster, deployed, verified and handed over; what a test breaks it mends."""
    for words in TO_A_CLUSTER:
        repository.once(*words)
    inventory = repository.inventory()
    with Pool.of(inventory) as pool:
        yield Cluster(repository, inventory, pool, kubeconfig.of(inventory, pool))


@pytest.fixture
def own_lab() -> Iterator[Lab]:
    """A lab of the test's own, with nothing in it yet; whatever the test leaves is taken away."""
    with of_tests(OWN) as chosen:
        yield chosen


@pytest.fixture(scope="module")
def machine(made: None) -> Iterator[Machine]:
    """One machine, up and alone, for faults; the tests of a module share it and mend what they break."""
    with of_tests(ALONE) as chosen:
        (alone,) = machines.up(chosen, Events(), controllers=1, workers=0)
        supplies.stock([alone], Events())
        yield alone


@pytest.fixture(scope="session")
def ha(made: None, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ha]:
    """A control plane of three and a worker, deployed with a release of k0s before the newest."""
    with of_tests(OWN) as chosen, pytest.MonkeyPatch.context() as patch:
        supplies.stock(machines.up(chosen, Events(), controllers=3, workers=1), Events())
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        repository = Repository(tmp_path_factory.mktemp("ha"), home)
        repository.slipway("lab", "init", ".").ended(0)
        cluster = Ha(repository, chosen)
        cluster.set_release(BEFORE)
        assert set(outcomes(repository.slipway("deploy", "--json").ended(0)).values()) == {"ok"}
        yield cluster


@contextmanager
def of_tests(number: int) -> Iterator[Lab]:
    """A lab with nothing in it yet, which goes after the block. Another run of these tests waits for its turn."""
    chosen = Lab(number)
    turn = locks.held(
        Path(f"/run/slipway-tests-{number}.lock"),
        deadline=TURN,
        describe=f"lab {number}, which another run of these tests has",
        on_wait=lambda _seen: None,
    )
    with turn:
        machines.down(chosen, Events())
        try:
            yield chosen
        finally:
            machines.down(chosen, Events())
