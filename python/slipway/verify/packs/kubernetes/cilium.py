"""Cilium, where it is the pod network: its Helm release and its agents.

k0s kubectl -n kube-system get daemonset cilium; helm -n kube-system history cilium
"""

from __future__ import annotations

import json

import pytest

from slipway.generate.cilium import NAMESPACE, RELEASE
from slipway.inventory import Inventory
from slipway.inventory.model import Provider
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, controllers, expect

pytestmark = controllers

AGENTS = f"k0s kubectl get daemonset {RELEASE} -n {NAMESPACE} -o json"
# The labels alone: what a release holds is nobody's to read here.
REVISIONS = (
    f"k0s kubectl get secrets -n {NAMESPACE} -l owner=helm,name={RELEASE}"
    " -o jsonpath='{range .items[*]}{.metadata.labels.version} {.metadata.labels.status}{\"\\n\"}{end}'"
)


def _skip_others(inventory: Inventory) -> None:
    if inventory.cluster.network.provider is not Provider.CILIUM:
        pytest.skip(f"the pod network is {inventory.cluster.network.provider.value}'s")


def test_release_is_deployed(host: NodeHost, inventory: Inventory) -> None:
    """The newest revision of Cilium's release was deployed whole."""
    _skip_others(inventory)
    rows = [line.split() for line in host.check_output(REVISIONS).splitlines() if line.strip()]
    revisions = {int(row[0]): row[1] for row in rows if len(row) == 2 and row[0].isdigit()}
    newest = max(revisions, default=0)
    expect(
        revisions.get(newest) == "deployed",
        expected="deployed",
        found=f"revision {newest} {revisions[newest]}" if revisions else "no release",
        fix=f"helm -n {NAMESPACE} history {RELEASE}; slipway deploy brings the release of the inventory",
        command=f"helm -n {NAMESPACE} history {RELEASE}",
    )


def test_agents_are_ready(host: NodeHost, inventory: Inventory) -> None:
    """Every node that should have an agent of Cilium has one, of the newest revision, and it is ready."""
    _skip_others(inventory)
    # 1: there is no such DaemonSet.
    answer = host.run_expect([0, 1], AGENTS)
    if answer.rc == 1 and "NotFound" not in answer.stderr:
        raise CannotRun(answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else "kubectl failed")
    status = json.loads(answer.stdout)["status"] if answer.rc == 0 else {}
    wanted, ready = int(status.get("desiredNumberScheduled", 0)), int(status.get("numberReady", 0))
    new = int(status.get("updatedNumberScheduled", 0))
    expect(
        0 < wanted == ready == new,
        expected="an agent on every node, ready and of the newest revision",
        found=f"{ready} of {wanted} ready, {new} of the newest revision" if status else "no DaemonSet of agents",
        fix=f"k0s kubectl -n {NAMESPACE} get pods -l k8s-app=cilium -o wide; logs of those that are not ready",
        command=f"k0s kubectl -n {NAMESPACE} get daemonset {RELEASE}",
    )
