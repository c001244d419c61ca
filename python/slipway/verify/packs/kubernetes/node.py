"""The node, as Kubernetes has it.

k0s kubectl describe node NAME  # on a controller
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.inventory import Host, Inventory
from slipway.inventory.address import network_of
from slipway.verify.asked import Facts
from slipway.verify.check import expect, listed, workloads
from slipway.verify.packs._kubelet import KubeletApi

pytestmark = workloads

Object = dict[str, Any]

HEARTBEAT = 40.0
"""Seconds after which Kubernetes itself gives a node up (node-monitor-grace-period before 1.32)."""
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def _show(node: Host) -> str:
    return f"k0s kubectl describe node {node.name}  # on a controller"


def test_heartbeat_is_fresh(api: KubeletApi, node: Host, facts: Facts) -> None:
    """kubelet renewed its lease a moment ago."""
    # The condition Ready stays as it was while nobody writes it: only the lease tells that kubelet still speaks.
    lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node.name}")
    renewed = str((lease or {}).get("spec", {}).get("renewTime", ""))
    age = _now(facts) - datetime.fromisoformat(renewed).timestamp() if renewed else None
    expect(
        age is not None and abs(age) <= HEARTBEAT + facts.clock_error,
        expected=f"renewed within {HEARTBEAT:g} s",
        found=_ago(age),
        fix="journalctl -u k0s.service | grep kubelet; does the node reach the API, do the clocks agree?",
        command=f"k0s kubectl -n kube-node-lease get lease {node.name} -o yaml  # on a controller",
    )


def _ago(age: float | None) -> str:
    if age is None:
        return "never renewed"
    return f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s from now, by a clock that was set back since"


def _now(facts: Facts) -> float:
    """By the node's own clock, which wrote the time of the lease."""
    return datetime.now(UTC).timestamp() + facts.clock_offset


def test_has_its_labels(found: Object, node: Host) -> None:
    """The node has the labels of the inventory."""
    if not node.labels:
        pytest.skip("the inventory gives this node no label")
    labels = found["metadata"].get("labels", {})
    wrong = [f"{key}={labels.get(key, '(missing)')}" for key, value in node.labels.items() if labels.get(key) != value]
    expect(
        not wrong,
        expected=listed(f"{key}={value}" for key, value in node.labels.items()),
        found=listed(wrong),
        fix=f"slipway deploy {node.name} brings them; who took them away?",
        command=_show(node),
    )


def test_has_its_taints(found: Object, node: Host) -> None:
    """The node has the taints of the inventory."""
    if not node.taints:
        pytest.skip("the inventory gives this node no taint")
    taints = {_taint(each) for each in found["spec"].get("taints", ())}
    missing = [taint for taint in node.taints if taint not in taints]
    expect(
        not missing,
        expected=listed(node.taints),
        found=f"missing: {listed(missing)}",
        fix=f"slipway deploy {node.name} brings them; who took them away?",
        command=_show(node),
    )


def _taint(entry: Object) -> str:
    """As the inventory writes it; a taint without value is `key:Effect` there or `key=:Effect`."""
    value = entry.get("value")
    return f"{entry['key']}={value}:{entry['effect']}" if value else f"{entry['key']}:{entry['effect']}"


def test_has_both_addresses(found: Object, node: Host) -> None:
    """The node is known by its IPv6 address as well, where the inventory gives it one."""
    if node.network.ipv6 is None:
        pytest.skip("the inventory gives this node one address")
    addresses = [each["address"] for each in found["status"].get("addresses", ()) if each["type"] == "InternalIP"]
    expect(
        node.network.ipv6.address in addresses,
        expected=f"InternalIP {node.network.ipv6.address}",
        found=listed(addresses),
        fix="--node-ip in kubelet's arguments; slipway generate sets it with cluster.network.dualStack",
        command=_show(node),
    )


def test_has_its_ranges(found: Object, node: Host, inventory: Inventory) -> None:
    """The pods of the node have their addresses out of the ranges of the inventory."""
    network = inventory.cluster.network
    wanted = [network.pod_cidr, *([network.dual_stack.pod_cidr] if network.dual_stack else [])]
    has = [str(each) for each in found["spec"].get("podCIDRs", ())]
    missing = [each for each in wanted if not any(_inside(part, each) for part in has)]
    expect(
        not missing,
        expected=f"a part of {listed(wanted)}",
        found=listed(has),
        fix="podCIDR is fixed at the cluster's first start; is the inventory another cluster's?",
        command=_show(node),
    )


def _inside(part: str, whole: str) -> bool:
    small, large = network_of(part), network_of(whole)
    return small.family == large.family and large.first <= small.first and small.last <= large.last


def test_is_under_no_pressure(found: Object, node: Host) -> None:
    """The node lacks neither memory, disk, process numbers nor network."""
    conditions = {each["type"]: each for each in found["status"].get("conditions", ())}
    missing = [] if "MemoryPressure" in conditions else ["kubelet reports no condition"]
    true = {name: each for name, each in conditions.items() if each["status"] == "True"}
    bad = [f"{name}: {_why(true[name])}" for name in PRESSURES if name in true]
    expect(
        not bad and not missing,
        expected="no pressure",
        found=listed(bad + missing),
        fix="free what it names; kubelet evicts pods until then: k0s kubectl top pod -A  # on a controller",
        command=_show(node),
    )


def _why(condition: Object) -> str:
    return f"{condition.get('reason', '')} {condition.get('message', '')}".strip()
