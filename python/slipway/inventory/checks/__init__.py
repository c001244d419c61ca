"""What must hold between the values of an inventory. Every check sees the merged and validated document."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.inventory.checks import addresses, cluster, hosts, k0s, links, stages
from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.model import Document

CHECKS: tuple[Check, ...] = (
    *cluster.CHECKS,
    *k0s.CHECKS,
    *hosts.CHECKS,
    *addresses.CHECKS,
    *links.CHECKS,
    *stages.CHECKS,
)

TO_START: tuple[Check, ...] = (cluster.families, stages.git_host)
"""What must hold for a cluster to start. `check` and `generate` ask for it; whoever looks at a cluster does not."""

NEED_EVERY_HOST: tuple[Check, ...] = (
    cluster.controllers, cluster.workloads, links.unused, stages.git_server, stages.git_host, hosts.caches,
)  # fmt: skip
"""Checks that find something amiss because no host has it."""


def check(document: Document, *, to_start: bool) -> Iterator[Finding]:
    """Everything that all checks find, in no particular order; `to_start` what keeps a cluster from starting too."""
    for one in (*CHECKS, *TO_START) if to_start else CHECKS:
        yield from one(document)


__all__ = ["CHECKS", "NEED_EVERY_HOST", "TO_START", "Finding", "check"]
