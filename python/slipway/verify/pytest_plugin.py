"""The plugin for a pytest session of one's own: checks ask the machines of an inventory over slipway's connections.

    pytest --slipway-inventory inventory.yaml tests/

pytest finds it by its entry point and, without the option, notices nothing of it but fixtures that say what is missing.
A test that uses `node` or `host` is asked of every node, or of those that `--slipway-node` selects and its marks of
slipway.verify.check mean. docs/how-to/own-pytest.md shows all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from slipway.inventory import Host, Inventory
    from slipway.ssh.pool import Pool
    from slipway.verify.asked import Facts
    from slipway.verify.backend import Answer, NodeHost

OPTION = "--slipway-inventory"
MISSING = f"no inventory: run pytest with {OPTION} inventory.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("slipway", "machines of an inventory")
    group.addoption(
        OPTION, metavar="FILE", help="Ask the machines of this inventory; gives `inventory`, `node`, `host`."
    )
    group.addoption(
        "--slipway-node",
        metavar="NODE",
        action="append",
        default=[],
        help="Only these nodes: names, globs, @tags, roles or groups; may be given several times.",
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption(OPTION)
    # After all others: a fixture of ours, `host`, stands in for testinfra's of the same name.
    config.pluginmanager.register(_Machines(config, Path(file)) if file else _Missing(), "slipway-machines")


@dataclass
class Cluster:
    """All nodes of the session at once, for what one node alone cannot show.

    >>> {name: cluster.host(name).check_output("hostname") for name in cluster.names}
    {'cp1': 'cp1', 'w1': 'w1'}
    """

    inventory: Inventory
    nodes: tuple[Host, ...]
    pool: Pool
    _hosts: dict[str, NodeHost] = field(default_factory=dict)
    _facts: dict[str, Facts] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.nodes)

    def host(self, name: str) -> NodeHost:
        """testinfra's `host` for the node `name` of the inventory, also for one that was not selected."""
        from slipway.verify.backend import host_of

        if name not in self._hosts:
            self.inventory.host(name)
            self._hosts[name] = host_of(name, lambda command, timeout: self._answer(name, command, timeout))
        return self._hosts[name]

    def facts(self, name: str) -> Facts:
        """What the node says about itself; asked once."""
        from slipway.verify.facts import gather

        if name not in self._facts:
            self._facts[name] = gather(self.pool.host(name))
        return self._facts[name]

    def _answer(self, name: str, command: str, timeout: float) -> Answer:
        from slipway.errors import SlipwayError, Unreachable
        from slipway.verify.backend import Answer, ConnectionLost
        from slipway.verify.check import CannotRun

        try:
            result = self.pool.host(name).run(["sh", "-c", command], timeout=timeout, check=False)
        except Unreachable as error:
            raise ConnectionLost(_with_hint(error)) from None
        except SlipwayError as error:
            raise CannotRun(_with_hint(error)) from None
        return Answer(result.exit_code, result.stdout, result.stderr)


class _Machines:
    """The fixtures, where there is an inventory."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        from slipway.errors import SlipwayError
        from slipway.inventory import load
        from slipway.inventory.select import select
        from slipway.verify.roles import MARKS

        try:
            self._inventory = load(file)
            self._nodes = tuple(select(self._inventory, config.getoption("--slipway-node"), ()))
        except SlipwayError as error:
            raise pytest.UsageError(_with_hint(error)) from None
        for mark in MARKS:
            config.addinivalue_line("markers", f"{mark}: asked of such nodes only")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        from slipway.verify.roles import meant_for

        if "node" in metafunc.fixturenames:
            marks = {mark.name for mark in metafunc.definition.iter_markers()}
            nodes = [node for node in self._nodes if meant_for(node, marks)]
            metafunc.parametrize("node", nodes, ids=[node.name for node in nodes], scope="session")

    @pytest.fixture(scope="session")
    def inventory(self) -> Inventory:
        """The whole inventory."""
        return self._inventory

    @pytest.fixture(scope="session")
    def cluster(self) -> Iterator[Cluster]:
        """All nodes of the session: `cluster.host("cp1")` asks one, `cluster.names` are those that were selected."""
        from slipway.ssh.pool import Pool

        with Pool.of(self._inventory) as pool:
            yield Cluster(self._inventory, self._nodes, pool)

    @pytest.fixture(scope="session")
    def host(self, node: Host, cluster: Cluster) -> NodeHost:
        """The node, as testinfra has it, over slipway's own connection."""
        return cluster.host(node.name)

    @pytest.fixture(scope="session")
    def facts(self, node: Host, cluster: Cluster) -> Facts:
        """What the node says about itself: system, profile, boot, machine id, host name and clock."""
        return cluster.facts(node.name)

    @pytest.fixture(scope="session")
    def others(self, node: Host, cluster: Cluster) -> Mapping[str, Facts]:
        """What the other nodes of the session say about themselves, name to facts."""
        return {name: cluster.facts(name) for name in cluster.names if name != node.name}


class _Missing:
    """The fixtures, where nobody named an inventory: a test that needs one is an error and says what to type."""

    @pytest.fixture(scope="session")
    def inventory(self) -> NoReturn:
        pytest.fail(MISSING, pytrace=False)

    @pytest.fixture(scope="session")
    def node(self) -> NoReturn:
        pytest.fail(MISSING, pytrace=False)

    @pytest.fixture(scope="session")
    def cluster(self) -> NoReturn:
        pytest.fail(MISSING, pytrace=False)


def _with_hint(error: Any) -> str:  # noqa: ANN401 (a SlipwayError, which is not imported before it is needed)
    return f"{error}; try: {error.hint}" if error.hint else str(error)
