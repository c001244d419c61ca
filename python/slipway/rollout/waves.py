"""Who comes when: controllers one by one, because etcd needs its majority; then the workers together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slipway.inventory import Host


@dataclass(frozen=True)
class Wave:
    """Nodes that are activated at the same time, and how to call them."""

    title: str
    nodes: tuple[str, ...]


def waves(hosts: Iterable[Host]) -> tuple[Wave, ...]:
    """In the order of the inventory within each role."""
    chosen = tuple(hosts)
    controllers = [Wave(f"controller {host.name}", (host.name,)) for host in chosen if host.is_controller]
    workers = tuple(host.name for host in chosen if not host.is_controller)
    return (*controllers, Wave("workers", workers)) if workers else tuple(controllers)
