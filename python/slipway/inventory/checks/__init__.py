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


NEED_EVERY_HOST: tuple[Check, ...] = (cluster.controllers, cluster.workloads, links.unused, *stages.CHECKS)
"""Checks that find something amiss because no host has it."""


def check(document: Document) -> Iterator[Finding]:
    """Everything that all checks find, in no particular order."""
    for one in CHECKS:
        yield from one(document)


__all__ = ["CHECKS", "NEED_EVERY_HOST", "Finding", "check"]
