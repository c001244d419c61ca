"""What the inventory says against what lives: what nothing can change any more, and who is there that should not be.

Labels and taints, which can be changed, are marks.py's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.cluster import live
from slipway.cluster.live import LiveNode, Living, Sight
from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.inventory import Host, Inventory, Role
from slipway.ssh.pool import Pool
from slipway.words import counted, first_of

PHASE = "compare"
SHOWN = 5
"""Names in one line, where 300 may be meant."""


class Immovable(DeployFailed):
    """The inventory asks for something that a living cluster cannot become."""


@dataclass(frozen=True)
class Difference:
    """One thing: what it is (`cluster.domain`, `role`, `node`, ...), on which host (None: the cluster), what lives and
    what the inventory wants, and the way to have them agree. `refused`: a deploy does not begin with it."""

    what: str
    node: str | None
    live: str
    wanted: str
    way: str
    refused: bool = True

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        return f"{where}{self.what}: the cluster has {self.live}, the inventory {self.wanted}"

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "node": self.node,
            "live": self.live,
            "wanted": self.wanted,
            "way": self.way,
            "refused": self.refused,
        }


def require(inventory: Inventory, pool: Pool, events: Events, chosen: Collection[str]) -> Sight:
    """Look at the living cluster and raise Immovable, with all that the inventory wants and it cannot become; of hosts
    only the chosen ones count. The rest is told. Before anything is changed."""
    sight = live.look(inventory, pool)
    if sight.cluster is None:
        if sight.why_not:
            events.emit(PHASE, "skipped", text=f"not compared with the living cluster: {sight.why_not}")
        return sight
    found = differences(inventory, sight.cluster)
    refused = _refused(found, chosen)
    for each in found:
        if each not in refused:
            events.emit(PHASE, "failed", each.node, text=f"{each}; {each.way}")
    refuse(found, chosen)
    events.emit(PHASE, "done", text=f"the living cluster, {counted(len(sight.cluster.nodes), 'node')}, can become this")
    return sight


def refuse(found: Collection[Difference], chosen: Collection[str]) -> None:
    """Raise Immovable for those of these differences that keep a deploy of the chosen hosts from beginning."""
    refused = _refused(found, chosen)
    if refused:
        ways = dict.fromkeys(each.way for each in refused)
        raise Immovable("\n".join(str(each) for each in refused), hint="; ".join(ways))


def _refused(found: Collection[Difference], chosen: Collection[str]) -> list[Difference]:
    return [each for each in found if each.refused and each.node in (None, *chosen)]


def differences(inventory: Inventory, cluster: Living) -> tuple[Difference, ...]:
    """Everything that differs and that a deploy does not bring about. Pure; empty where all agrees."""
    return (*_ranges(inventory, cluster), *_identity(inventory, cluster), *_hosts(inventory, cluster),
            *_strangers(inventory, cluster))  # fmt: skip


KEEP = (
    "write the old value back; another one takes a new cluster (slipway reset on every machine, and what was in it put "
    "back from elsewhere)"
)


def _ranges(inventory: Inventory, cluster: Living) -> Iterator[Difference]:
    network = inventory.cluster.network
    dual = network.dual_stack
    services = [network.service_cidr, *([dual.service_cidr] if dual else [])]
    found = sorted(cluster.service_ranges)
    if found and {*map(_network, found)} != {*map(_network, services)}:
        yield Difference("cluster.network.serviceCIDR", None, " ".join(found), " ".join(services), KEEP)
    pods = [network.pod_cidr, *([dual.pod_cidr] if dual else [])]
    outside = {
        part: node.name for node in cluster.nodes.values() for part in node.pod_ranges if not _within(part, pods)
    }
    if outside:
        part, name = next(iter(outside.items()))
        more = f" and {len(outside) - 1} more" if outside.keys() - {part} else ""
        yield Difference("cluster.network.podCIDR", None, f"{part} on {name}{more}", " ".join(pods), KEEP)


def _identity(inventory: Inventory, cluster: Living) -> Iterator[Difference]:
    wanted = inventory.cluster
    if cluster.domain and cluster.domain != wanted.domain:
        yield Difference("cluster.domain", None, cluster.domain, wanted.domain, KEEP)
    others = cluster.providers - {wanted.network.provider}
    if others:
        found = " ".join(sorted(cluster.providers))
        yield Difference("cluster.network.provider", None, found, wanted.network.provider.value, KEEP)


def _hosts(inventory: Inventory, cluster: Living) -> Iterator[Difference]:
    names = {host.name for host in inventory.hosts}
    by_address = {address: node for node in cluster.nodes.values() for address in node.addresses}
    for host in inventory.hosts:
        yield from _role(host, cluster)
        yield from _place(host, cluster)
        other = by_address.get(host.address)
        is_new = host.runs_workloads and host.name not in cluster.nodes
        if other and other.ready and is_new and other.name not in names:
            yield _renamed(host, other)


def _role(host: Host, cluster: Living) -> Iterator[Difference]:
    """What k0s was once started as, it stays: data of etcd, and a kubelet's identity, do not go by themselves."""
    if cluster.members is None or host.role is Role.SINGLE:
        return
    is_member, is_node = host.name in cluster.members, host.name in cluster.nodes
    anew = f"slipway node remove {host.name}, then slipway deploy {host.name}"
    if is_member and not host.is_controller:
        yield Difference("role", host.name, "a controller (a member of etcd)", host.role.value, anew)
    elif is_node and not is_member and host.is_controller:
        yield Difference("role", host.name, "a worker", host.role.value, anew)
    elif is_node and is_member and not host.runs_workloads:
        way = f"kubectl drain {host.name}, kubectl delete node {host.name}, then slipway deploy {host.name}"
        yield Difference("role", host.name, Role.CONTROLLER_WORKER.value, host.role.value, way)


def _place(host: Host, cluster: Living) -> Iterator[Difference]:
    """A worker's address follows its kubelet's flag; etcd's peers know a member by the address that it joined with."""
    member = (cluster.members or {}).get(host.name)
    if host.is_controller and member and not _same_address(member, host.address):
        way = f"slipway node remove {host.name}, then slipway deploy {host.name} joins it anew"
        yield Difference("address", host.name, member, host.address, way)


def _renamed(host: Host, other: LiveNode) -> Difference:
    way = (
        f"call it {other.name} in the inventory; or call it so, slipway node remove {other.name}, call it {host.name} "
        f"again, slipway deploy {host.name}"
    )
    return Difference("name", host.name, f"a node {other.name} at {host.address}", host.name, way)


def _strangers(inventory: Inventory, cluster: Living) -> Iterator[Difference]:
    names = {host.name for host in inventory.hosts}
    nodes = sorted(cluster.nodes.keys() - names)
    if nodes:
        way = "add them to the inventory, or kubectl drain and kubectl delete node NAME"
        yield Difference("nodes", None, first_of(nodes, SHOWN), "none of that name", way, refused=False)
    strange = sorted((cluster.members or {}).keys() - {host.name for host in inventory.controllers} - names)
    if strange:
        way = "add them to the inventory, or k0s etcd leave --peer-address=ADDRESS on a controller"
        told = [f"{name} {cluster.members[name]}" for name in strange] if cluster.members else []
        yield Difference("members of etcd", None, first_of(told, SHOWN), "none of that name", way, refused=False)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _within(part: str, ranges: Sequence[str]) -> bool:
    inner = _network(part)
    return any(_inside(inner, _network(each)) for each in ranges)


def _inside(inner: Any, outer: Any) -> bool:  # noqa: ANN401 (networks of either family)
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def _same_address(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other
