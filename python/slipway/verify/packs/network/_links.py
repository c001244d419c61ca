"""The links of the machine and their addresses, as iproute2 knows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from slipway.verify.backend import NodeHost


@dataclass(frozen=True)
class Link:
    """One link of the machine.

    >>> Links(host).carrying("10.0.0.21").name
    'eno1'
    """

    name: str
    names: frozenset[str]
    up: bool
    mtu: int
    addresses: dict[str, int]


class Links:
    """All links, as iproute2 knows them."""

    def __init__(self, host: NodeHost) -> None:
        self.all = [_link(entry) for entry in json.loads(host.check_output("ip -j address show"))]

    def carrying(self, address: str) -> Link | None:
        return next((link for link in self.all if address in link.addresses), None)


def _link(entry: dict[str, Any]) -> Link:
    return Link(
        name=entry["ifname"],
        names=frozenset([entry["ifname"], *entry.get("altnames", ())]),
        # Virtual links say UNKNOWN or nothing, and carry traffic.
        up="UP" in entry["flags"] and entry.get("operstate", "UNKNOWN") in ("UP", "UNKNOWN"),
        mtu=int(entry["mtu"]),
        addresses={each["local"]: int(each["prefixlen"]) for each in entry["addr_info"] if "local" in each},
    )
