"""The control plane, as a controller sees it.

k0s kubectl get --raw /readyz?verbose; k0s etcd member-list
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from testinfra.backend.base import CommandResult

from slipway.inventory import Host, Inventory, Role
from slipway.verify.backend import NodeHost
from slipway.verify.check import controllers, expect, listed
from slipway.verify.packs.network._tcp import neighbours

pytestmark = controllers

MEMBERS = "k0s etcd member-list"
READY = "for pause in 2 2 0; do k0s kubectl get --raw=/readyz && exit; sleep $pause; done; exit 1"
"""As a readiness probe asks: one answer may be lost on a machine that has much to do, three in a row are not."""
LOG = "journalctl -u k0s.service -n 100"


class Members:
    """The members of etcd, name to address.

    >>> Members(host).addresses
    {'cp1': '10.0.0.11'}
    """

    def __init__(self, host: NodeHost) -> None:
        said = json.loads(host.check_output(MEMBERS))
        self.addresses = {name: urlsplit(url).hostname for name, url in said["members"].items()}


def test_api_server_is_ready(host: NodeHost) -> None:
    """The API server of this controller is ready."""
    # 1: not ready, or nobody there; it says which.
    answer = host.run_expect([0, 1], READY)
    said = (answer.stdout.strip() or answer.stderr.strip()).splitlines()
    expect(
        answer.rc == 0 and said[-1:] == ["ok"],
        expected="ok",
        found=said[-1] if said else "no answer",
        fix=f"k0s kubectl get --raw=/readyz?verbose; {LOG}",
    )


def test_members_are_the_controllers(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """The members of etcd are the controllers of the inventory."""
    if node.role is Role.SINGLE:
        pytest.skip("a single node has no members")
    found = Members(host).addresses
    wanted = {each.name: each.address for each in inventory.controllers}
    expect(
        found == wanted,
        expected=listed(f"{name} {address}" for name, address in wanted.items()),
        found=listed(f"{name} {address}" for name, address in found.items()),
        fix="missing: slipway deploy joins it; too many: k0s etcd leave --peer-address ADDRESS",
    )


def test_reaches_the_kubelets(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """The API server reaches the kubelets of the next nodes, as logs and exec need it."""
    nodes = neighbours(inventory, node, (each for each in inventory.hosts if each.runs_workloads))
    if not nodes:
        pytest.skip("the inventory has no such node beside this one")
    tried = {each.name: host.run_expect([0, 1], _proxy(each.name)) for each in nodes}
    lost = [f"{name}: {answer.stderr.strip()}" for name, answer in tried.items() if _no_way(answer)]
    expect(
        not lost,
        expected=f"an answer from {listed(tried)}",
        found=listed(lost),
        fix="port 10250 of the node open to the controllers? with konnectivity: do its agents run?",
    )


def _proxy(name: str) -> str:
    return f"k0s kubectl get --raw=/api/v1/nodes/{name}/proxy/healthz"


def _no_way(answer: CommandResult) -> bool:
    """Not so for a kubelet that is down or that nobody knows yet: those are findings of its own node."""
    theirs = ("connection refused", "NotFound")
    return answer.rc != 0 and not any(words in answer.stderr for words in theirs)


def test_every_node_is_of_the_inventory(host: NodeHost, inventory: Inventory) -> None:
    """The cluster has no node that the inventory does not have."""
    found = set(host.check_output("k0s kubectl get nodes -o name").split())
    strangers = sorted(found - {f"node/{each.name}" for each in inventory.hosts})
    expect(
        not strangers,
        expected="nodes of the inventory only",
        found=listed(strangers),
        fix="add it to the inventory, or: k0s kubectl drain NAME; k0s kubectl delete node NAME",
    )
