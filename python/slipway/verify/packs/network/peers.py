"""The other nodes: what must be reached, and what must not be.

timeout 3 bash -c '</dev/tcp/10.0.0.11/6443' && echo open
"""

from __future__ import annotations

import pytest

from slipway.generate import pod_network
from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, controllers, expect, listed, workers, workloads
from slipway.verify.packs.network._tcp import SHORT, State, Target, draw, neighbours, targets, tried

ETCD_CLIENT, ETCD_PEER, KUBELET = 2379, 2380, 10250
States = dict[Target, State]


def needs(node: Host, other: Host, inventory: Inventory) -> set[int]:
    """Ports of `other` that `node` calls, by the roles of the two."""
    ports = inventory.cluster.k0s.ports
    wanted: set[int] = set()
    if other.is_controller:
        wanted |= {ports.api}
        wanted |= {ETCD_PEER, ports.k0s_api} if node.is_controller else set()
        wanted |= {ports.konnectivity_agent} if node.runs_workloads else set()
    if other.runs_workloads:
        # From workers too: konnectivity's agents and metrics-server call kubelets from whichever node they run on.
        wanted |= {KUBELET}
        wanted |= set(pod_network.ports(inventory, "tcp")) if node.runs_workloads else set()
    return wanted


@pytest.fixture(scope="session")
def ways(host: NodeHost, node: Host, inventory: Inventory) -> States:
    """Every port of every other node that this one calls, all tried at once."""
    near = neighbours(inventory, node, inventory.hosts)
    if len(near) < len(inventory.hosts) - 1:
        host.note(f"each node tried the next {len(near)} of {len(inventory.hosts) - 1} other nodes (verify.peers)")
    wanted = [target for each in near for target in targets([each], sorted(needs(node, each, inventory)))]
    return tried(host, wanted) if wanted else {}


def _are_free(host: NodeHost, states: States) -> None:
    """Red where nothing comes back. A refusal will do: that nobody listens there is the other node's own finding."""
    __tracebackhide__ = True
    if not states:
        pytest.skip("the inventory has no such node beside this one")
    silent = [target for target, state in states.items() if state is State.SILENT]
    draw(host, states, silent)
    expect(
        not silent,
        expected=f"an answer from {listed(states)}",
        found=f"none from {listed(silent)}",
        fix="does the other node run (slipway status)? nft list ruleset there; then the switch between them",
        command=_probe(silent or list(states)),
    )


def _at(states: States, *ports: int) -> States:
    return {target: state for target, state in states.items() if target.port in ports}


def _is_closed(host: NodeHost, unwanted: list[Target], control: list[Target]) -> None:
    """Red where a connection comes about. `control` are ports that answer, or else silence would prove nothing."""
    __tracebackhide__ = True
    states = tried(host, [*unwanted, *control], wait=SHORT)
    mute = [target for target in control if states[target] is State.SILENT]
    if mute:
        raise CannotRun(
            f"not even {listed(mute)} answers within {SHORT:g} s, so the silence of other ports says nothing"
        )
    opened = [target for target in unwanted if states[target] is State.OPEN]
    draw(host, states, opened)
    expect(
        not opened,
        expected=f"closed to this node: {listed(unwanted)}",
        found=f"open: {listed(opened)}",
        fix="systemctl status nftables on the other node; is networking.firewall on, with the generated rules?",
        command=_probe(opened or unwanted),
    )


def _probe(at: list[Target]) -> str:
    return f"timeout 3 bash -c '</dev/tcp/{at[0].address}/{at[0].port}' && echo open"


def test_api_of_the_controllers(host: NodeHost, ways: States, inventory: Inventory) -> None:
    """The way to the API server of every other controller is free."""
    _are_free(host, _at(ways, inventory.cluster.k0s.ports.api))


@controllers
def test_etcd_of_the_controllers(host: NodeHost, ways: States) -> None:
    """The way to the etcd of every other controller is free."""
    _are_free(host, _at(ways, ETCD_PEER))


@controllers
def test_join_port_of_the_controllers(host: NodeHost, ways: States, inventory: Inventory) -> None:
    """The way to k0s's own API on every other controller is free."""
    _are_free(host, _at(ways, inventory.cluster.k0s.ports.k0s_api))


@workloads
def test_konnectivity_of_the_controllers(host: NodeHost, ways: States, inventory: Inventory) -> None:
    """The way of konnectivity's agents to every other controller is free."""
    _are_free(host, _at(ways, inventory.cluster.k0s.ports.konnectivity_agent))


def test_kubelets_of_the_workers(host: NodeHost, ways: States) -> None:
    """The way to every other kubelet is free."""
    _are_free(host, _at(ways, KUBELET))


@workloads
def test_agents_of_the_pod_network(host: NodeHost, ways: States, inventory: Inventory) -> None:
    """The way to the agents of the pod network on every other node is free."""
    ports = pod_network.ports(inventory, "tcp")
    if not ports:
        pytest.skip("the agents of this pod network call each other by no TCP port")
    _are_free(host, _at(ways, *ports))


@workers
def test_etcd_is_closed_to_workers(host: NodeHost, inventory: Inventory) -> None:
    """A worker cannot reach etcd, nor the port where controllers join."""
    ports = inventory.cluster.k0s.ports
    unwanted = targets(inventory.controllers, [ETCD_CLIENT, ETCD_PEER, ports.k0s_api])
    _is_closed(host, unwanted, control=targets(inventory.controllers, [ports.api]))
