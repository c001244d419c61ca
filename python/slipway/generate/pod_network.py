"""What each pod network needs of the machines: the table from which the modules for NixOS open ports, too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from slipway.inventory import Inventory
from slipway.inventory.model import Provider
from slipway.paths import resource

TABLE = "modules/pod-networks.json"
"""Below nixos/; ports are of the providers' documentation (system requirements), rpFilter of Cilium's sysctlfix and
of Calico's Felix. `links` are those by which packets of a node's own pods come in."""


@dataclass(frozen=True)
class Opening:
    """What nodes that run pods must let in from each other: a port, or a protocol of IP by its number.

    As text: `UDP 8472 (VXLAN)`.
    """

    what: str
    protocol: str
    port: int = 0

    def __str__(self) -> str:
        name = f"{self.protocol.upper()} {self.port}" if self.port else f"protocol {self.protocol}"
        return f"{name} ({self.what})"


@cache
def table() -> dict[str, Any]:
    """Provider to its row."""
    read: dict[str, Any] = json.loads((resource("nixos") / TABLE).read_text(encoding="utf-8"))
    return read


def openings(inventory: Inventory) -> tuple[Opening, ...]:
    """What the cluster's pod network uses between its nodes, with the settings that it has in the inventory."""
    network = inventory.cluster.network
    rows = table()[network.provider.value]["open"]
    used = (row for row in rows if all(getattr(network.cilium, key) == value for key, value in _when(row)))
    return tuple(Opening(row["for"], str(row["protocol"]), row.get("port", 0)) for row in used)


def ports(inventory: Inventory, protocol: str) -> tuple[int, ...]:
    """
    >>> ports(inventory, "tcp")
    (4240, 4244)
    """
    return tuple(each.port for each in openings(inventory) if each.protocol == protocol)


def listeners(provider: Provider) -> tuple[int, ...]:
    """TCP ports on which the agents listen in the network of their node."""
    return tuple(table()[provider.value]["listens"])


def reverse_path(provider: Provider) -> dict[str, int]:
    """Link, or pattern of links, to its net.ipv4.conf.LINK.rp_filter; what is not named may be as it is."""
    return dict(table()[provider.value]["rpFilter"])


def _when(row: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(row.get("when", {}).items())
