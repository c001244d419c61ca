"""Pods, as the canaries of this verification show them: a pod on every node, made for it and taken away with it.

k0s kubectl get pods -n default -o wide  # on a controller, while it runs
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host, Inventory
from slipway.inventory.address import Address, network_of, text_of
from slipway.verify.backend import NodeHost
from slipway.verify.canary import Canaries
from slipway.verify.check import expect, listed, workloads
from slipway.verify.packs._pods import inside
from slipway.verify.packs.k0s.config import dns_of
from slipway.verify.packs.kubernetes import _dns
from slipway.verify.packs.network._tcp import State, Target, neighbours, tried

pytestmark = workloads

PORT = 9
"""Nobody listens in a canary. That its own kernel says so proves the way there and back."""
SHOW = "k0s kubectl get pods -n default -o wide  # on a controller, while a verification runs"


@pytest.fixture(scope="session")
def within(node: Host, canaries: Canaries) -> tuple[str, ...]:
    """Words before a command that run it in the network of this node's canary."""
    return inside(node, canaries)


def test_canary_runs(node: Host, canaries: Canaries, inventory: Inventory) -> None:
    """A pod that is made for this node runs, with an address of every family of the cluster."""
    mine, families = canaries[node.name], 2 if inventory.cluster.network.dual_stack else 1
    expect(
        mine.runs and len(mine.addresses) == families,
        expected=f"Running, with {families} {'address' if families == 1 else 'addresses'}",
        found=f"{mine.state}, {listed(mine.addresses, 'no address')}",
        fix=f"k0s kubectl describe node {node.name}; journalctl -u k0s.service | grep -e kubelet -e containerd",
        command=SHOW,
    )


def test_pods_reach_each_other(
    host: NodeHost, node: Host, inventory: Inventory, canaries: Canaries, within: tuple[str, ...]
) -> None:
    """The canary of this node reaches those of all other nodes."""
    near = neighbours(inventory, node, (each for each in inventory.hosts if each.runs_workloads))
    wanted = [Target(each.name, address, PORT) for each in near for address in canaries[each.name].addresses]
    if not wanted:
        pytest.skip("no other node has a canary")
    states = tried(host, wanted, within=within)
    lost = [target for target in wanted if states[target] is State.SILENT]
    expect(
        not lost,
        expected=f"an answer from the pods of {listed(dict.fromkeys(target.name for target in wanted))}",
        found=f"none from {listed(f'{target.name} ({target.address})' for target in lost)}",
        fix="the pod network's agents on both nodes; its tunnel's UDP port free between them (VXLAN: 8472, 4789)?",
        command=SHOW,
    )


def test_pods_reach_services(host: NodeHost, inventory: Inventory, within: tuple[str, ...]) -> None:
    """The canary of this node reaches the cluster's DNS by its Service, which knows the API."""
    services, name = inventory.cluster.network.service_cidr, f"kubernetes.default.svc.{inventory.cluster.domain}"
    network = network_of(services)
    wanted = text_of(Address(network.family, network.first + 1))
    found = _dns.address_of(host, dns_of(services), name, within)
    expect(
        found == wanted,
        expected=f"{name} {wanted}",
        found=found,
        fix="k0s kubectl -n kube-system get pods -o wide | grep dns; does the pod network carry Services on this node?",
        command=f"dig +short @{dns_of(services)} {name}  # in a pod",
    )
