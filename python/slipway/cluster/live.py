"""The cluster as it lives: what its API server and its etcd say, for comparison with the inventory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from slipway.cluster import kubeconfig, members
from slipway.errors import Interrupted, SlipwayError
from slipway.inventory import Inventory
from slipway.inventory.model import Provider
from slipway.result import NO_SENSE, OddAnswer
from slipway.ssh.pool import Pool
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig

KINDS = "nodes,servicecidrs,daemonsets,configmaps"
NAMESPACE = "kube-system"
SERVICE_RANGES = "kubernetes"
"""Name of the ServiceCIDR that the API server makes of its own flag (Kubernetes 1.33 and later)."""
DNS = "coredns"
"""ConfigMap of k0s's CoreDNS; its Corefile names the domain of the cluster (pkg/component/controller/coredns.go)."""
DOMAIN = re.compile(r"^\s*kubernetes\s+(\S+)", re.MULTILINE)
AGENTS = {"cilium": Provider.CILIUM, "kube-router": Provider.KUBEROUTER, "calico-node": Provider.CALICO}
"""DaemonSets of the pod networks."""


@dataclass(frozen=True)
class LiveNode:
    """A Node object. `addresses` are its InternalIPs, `pod_ranges` its part of the pods' ranges; taints as
    `key=value:Effect`."""

    name: str
    ready: bool = False
    addresses: tuple[str, ...] = ()
    pod_ranges: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    """The object's resourceVersion."""
    kubelet: str = ""
    """Release of its kubelet, such as v1.36.3+k0s."""


@dataclass(frozen=True)
class Living:
    """A cluster. Empty values and None mean that it does not say."""

    nodes: Mapping[str, LiveNode] = field(default_factory=dict)
    service_ranges: tuple[str, ...] = ()
    domain: str = ""
    providers: frozenset[Provider] = frozenset()
    members: Mapping[str, str] | None = None
    """Members of etcd, name to address."""


@dataclass(frozen=True)
class Sight:
    """What came of looking: the cluster and its kubeconfig, or why it could not be looked at; neither before the first
    controller has founded it."""

    cluster: Living | None = None
    kubeconfig: Kubeconfig | None = None
    why_not: str = ""
    controllers: Mapping[str, members.Membership] = field(default_factory=dict, compare=False, repr=False)
    """What those hold that answered, by name."""


def look(inventory: Inventory, pool: Pool) -> Sight:
    """Ask the controllers, chosen or not. Never raises for a cluster that does not answer: the reason is in the result.

    Raises Interrupted.
    """
    asked = pool.map(members.look, [host.name for host in inventory.controllers])
    found = {name: seen for name, seen in asked.items() if isinstance(seen, members.Membership)}
    if not any(seen.control_plane for seen in found.values()):
        lost = [name for name in asked if name not in found]
        return Sight(why_not=f"{', '.join(lost)}: no answer" if lost else "", controllers=found)
    try:
        secret = kubeconfig.of(inventory, pool)
        return Sight(read(secret, _members(inventory, pool)), secret, controllers=found)
    except Interrupted:
        raise
    except SlipwayError as error:
        return Sight(why_not=members.last_line(error), controllers=found)


def read(secret: Kubeconfig, etcd: Mapping[str, str] | None = None) -> Living:
    """One request for all. Raises CommandFailed, CommandTimedOut or OddAnswer."""
    items = kubectl.get(secret, KINDS, namespace=NAMESPACE).get("items", [])
    try:
        return _living(items, etcd)
    except NO_SENSE as error:
        why = f"{type(error).__name__}: {error}"
        raise OddAnswer("the API server", f"kubectl get {KINDS}", str(items), why) from error


def _members(inventory: Inventory, pool: Pool) -> dict[str, str] | None:
    """None where no controller lists them, as with a single node, which has no etcd."""
    for host in inventory.controllers:
        try:
            found = members.etcd_members(pool.host(host.name))
            return {name: urlsplit(url).hostname or "" for name, url in found.items()}
        except Interrupted:
            raise
        except (SlipwayError, *NO_SENSE):
            continue
    return None


def _living(items: Iterable[Mapping[str, Any]], etcd: Mapping[str, str] | None) -> Living:
    by_kind: dict[str, dict[str, Mapping[str, Any]]] = {}
    for item in items:
        by_kind.setdefault(str(item["kind"]), {})[str(item["metadata"]["name"])] = item
    ranges = by_kind.get("ServiceCIDR", {}).get(SERVICE_RANGES, {}).get("spec", {}).get("cidrs", ())
    corefile = by_kind.get("ConfigMap", {}).get(DNS, {}).get("data", {}).get("Corefile", "")
    domain = DOMAIN.search(corefile)
    return Living(
        nodes={name: _node(name, item) for name, item in by_kind.get("Node", {}).items()},
        service_ranges=tuple(str(each) for each in ranges),
        domain=domain[1] if domain else "",
        providers=frozenset(AGENTS[name] for name in by_kind.get("DaemonSet", {}) if name in AGENTS),
        members=etcd,
    )


def _node(name: str, item: Mapping[str, Any]) -> LiveNode:
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return LiveNode(
        name=name,
        ready=conditions.get("Ready") == "True",
        addresses=tuple(str(a["address"]) for a in status.get("addresses") or () if a["type"] == "InternalIP"),
        pod_ranges=tuple(str(each) for each in spec.get("podCIDRs") or ()),
        labels={str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
        taints=tuple(taint_text(each) for each in spec.get("taints") or ()),
        annotations={str(key): str(value) for key, value in (metadata.get("annotations") or {}).items()},
        version=str(metadata.get("resourceVersion", "")),
        kubelet=str((status.get("nodeInfo") or {}).get("kubeletVersion", "")),
    )


def taint_text(taint: Mapping[str, Any]) -> str:
    """As the inventory writes it: key=value:Effect, or key:Effect without a value."""
    value = taint.get("value") or ""
    return f"{taint['key']}{f'={value}' if value else ''}:{taint['effect']}"
