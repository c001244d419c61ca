"""The other nodes: what must be reached, and what must not be.

timeout 3 bash -c '</dev/tcp/10.0.0.11/6443' && echo open
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, controllers, expect, listed, workers
from slipway.verify.packs.network._tcp import SHORT, State, Target, draw, neighbours, targets, tried

ETCD_CLIENT, ETCD_PEER, KUBELET = 2379, 2380, 10250


def _way_is_free(host: NodeHost, wanted: list[Target]) -> None:
    """Red where nothing comes back. A refusal will do: that nobody listens there is the other node's own finding."""
    __tracebackhide__ = True
    if not wanted:
        pytest.skip("the inventory has no such node beside this one")
    states = tried(host, wanted)
    silent = [target for target, state in states.items() if state is State.SILENT]
    draw(host, states, silent)
    expect(
        not silent,
        expected=f"an answer from {listed(wanted)}",
        found=f"none from {listed(silent)}",
        fix="does the other node run (slipway status)? nft list ruleset there; then the switch between them",
        command=_probe(silent or wanted),
    )


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


def test_api_of_the_controllers(host: NodeHost, inventory: Inventory) -> None:
    """The way to the API server of every controller is free."""
    _way_is_free(host, targets(inventory.controllers, [inventory.cluster.k0s.ports.api]))


@controllers
def test_etcd_of_the_controllers(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """The way to the etcd of every other controller is free."""
    _way_is_free(host, targets((each for each in inventory.controllers if each.name != node.name), [ETCD_PEER]))


def test_kubelets_of_the_workers(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """The way to the kubelets of the next nodes is free."""
    # From workers too: konnectivity's agents and metrics-server call kubelets from whichever node they run on.
    others = [each for each in inventory.hosts if each.runs_workloads]
    _way_is_free(host, targets(neighbours(inventory, node, others), [KUBELET]))


@workers
def test_etcd_is_closed_to_workers(host: NodeHost, inventory: Inventory) -> None:
    """A worker cannot reach etcd, nor the port where controllers join."""
    ports = inventory.cluster.k0s.ports
    unwanted = targets(inventory.controllers, [ETCD_CLIENT, ETCD_PEER, ports.k0s_api])
    _is_closed(host, unwanted, control=targets(inventory.controllers, [ports.api]))
