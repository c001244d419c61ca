"""Who comes when: controllers one by one, because etcd needs its majority; then the workers, batch by batch.

The controllers keep the inventory's order: etcd hands its leadership over before it stops, so that asking for the
leader would save nothing (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slipway.inventory import Host, Inventory
from slipway.inventory.values import part_of


@dataclass(frozen=True)
class Wave:
    """Nodes that are worked on at the same time, how to call them, and how many of them may fail."""

    title: str
    nodes: tuple[str, ...]
    max_failures: int = 0


def waves(inventory: Inventory, hosts: Iterable[Host], size: str = "") -> tuple[Wave, ...]:
    """The waves of these hosts of the inventory, in its order within each role.

    `size`, a count or a percentage of the cluster's workers, replaces `deploy.waves.size`. No wave is empty.
    """
    chosen = tuple(hosts)
    controllers = [Wave(f"controller {host.name}", (host.name,)) for host in chosen if host.is_controller]
    workers = tuple(host.name for host in chosen if not host.is_controller)
    return (*controllers, *_worker_waves(inventory, workers, size))


def _worker_waves(inventory: Inventory, names: tuple[str, ...], size: str) -> Iterator[Wave]:
    settings = inventory.deploy.waves
    count = settings.canary if len(names) > settings.canary else 0
    if count:
        yield Wave(f"canary {' '.join(names[:count])}", names[:count])
    # A part of no workers is none.
    step = max(1, part_of(size or settings.size, len(inventory.workers)))
    batches = list(_batches(names[count:], step))
    for number, batch in enumerate(batches, 1):
        title = f"workers {number} of {len(batches)}" if len(batches) > 1 else "workers"
        yield Wave(title, batch, settings.max_failures)


def _batches(names: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(names), size):
        yield names[first : first + size]
