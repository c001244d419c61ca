"""Whether k0s may go from the release that lives to the one that the inventory wants: never back, and one minor release
at a time (Kubernetes, "Version Skew Policy"; k0s, "Upgrading")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from slipway.cluster import join
from slipway.cluster.backup import running_release
from slipway.cluster.live import Living
from slipway.errors import DeployFailed
from slipway.inventory import Host, Inventory
from slipway.inventory.releases import minor_of, newest_release
from slipway.ssh.pool import Pool
from slipway.words import first_of

SHOWN = 3


class Leap(DeployFailed):
    """The inventory wants a release that k0s cannot be brought to from the one that runs."""


@dataclass(frozen=True)
class Running:
    """Minor versions by node: what controllers serve, and which kubelet a node has; who does not say is left out."""

    served: Mapping[str, int]
    kubelets: Mapping[str, int]


def running(inventory: Inventory, pool: Pool, cluster: Living) -> Running:
    """Ask every controller; the kubelets are known."""
    answers = pool.map(join.serves_minor, [host.name for host in inventory.controllers])
    found = {name: re.match(r"v1\.(\d+)\.", node.kubelet) for name, node in cluster.nodes.items()}
    return Running(
        served={name: minor for name, minor in answers.items() if isinstance(minor, int)},
        kubelets={name: int(match[1]) for name, match in found.items() if match},
    )


def require(inventory: Inventory, now: Running, chosen: Collection[str]) -> None:
    """Raise Leap for the first of these rules that deploying the chosen hosts would break, with the way to go."""
    hosts = [host for host in inventory.hosts if host.name in chosen]
    wanted = {host.name: _wanted(inventory, host) for host in hosts}
    lives = {name: now.served.get(name, now.kubelets.get(name)) for name in wanted}
    back = {name: minor for name, minor in lives.items() if minor is not None and wanted[name] < minor}
    if back:
        raise Leap(
            f"{_named(back)}: k0s does not go back to 1.{min(wanted[name] for name in back)}: etcd's data and the "
            "kubelet's are of the newer release",
            hint=f"write {newest_release(f'1.{max(back.values())}.') or f'1.{max(back.values())}'} into the inventory",
        )
    goes = max((wanted[host.name] for host in hosts if host.is_controller), default=0)
    far = {name: minor for name, minor in now.served.items() if minor + 1 < goes}
    if far:
        raise _too_far(inventory, far, goes, "k0s goes one minor release at a time")
    late = {name: minor for name, minor in now.kubelets.items() if minor + 1 < goes}
    if late:
        why = "nodes may be one minor release behind their control plane, not two"
        raise _too_far(inventory, late, goes, why)


def rises(inventory: Inventory, pool: Pool, chosen: Collection[str]) -> int:
    """The minor release of k0s that the chosen controllers go to from another one; 0 where none does, or says."""
    hosts = {host.name: host for host in inventory.controllers if host.name in chosen}
    runs = pool.map(running_release, hosts) if hosts else {}
    goes = {name: _wanted(inventory, hosts[name]) for name, now in runs.items() if isinstance(now, str)}
    return max((minor for name, minor in goes.items() if minor != minor_of(str(runs[name]))), default=0)


def _wanted(inventory: Inventory, host: Host) -> int:
    return minor_of(host.k0s.version or inventory.cluster.k0s.version)


def _too_far(inventory: Inventory, nodes: Mapping[str, int], goes: int, why: str) -> Leap:
    step = min(nodes.values()) + 1
    release = newest_release(f"1.{step}.") or f"1.{step}"
    return Leap(
        f"{_named(nodes)}: the inventory wants 1.{goes}; {why}",
        hint=f"write `cluster.k0s.version: {release}` first; slipway generate; slipway deploy; "
        f"then {inventory.cluster.k0s.version}",
    )


def _named(nodes: Mapping[str, int]) -> str:
    """`cp1 cp2 cp3 and 4 more run Kubernetes 1.34`, by the oldest of them."""
    oldest = min(nodes.values())
    names = sorted(name for name, minor in nodes.items() if minor == oldest)
    verb = "run" if len(names) > 1 else "runs"
    return f"{first_of(names, SHOWN, ' ')} {verb} Kubernetes 1.{oldest}"
