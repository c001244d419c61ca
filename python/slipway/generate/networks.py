"""The networks that the cluster's machines lie in."""

from __future__ import annotations

from slipway.inventory import Inventory
from slipway.inventory.address import Address, Network, address_of, network_around, text_of


def node_networks(inventory: Inventory) -> list[str]:
    """The networks that nodes' addresses lie in, as CIDR, without those inside another one.

    Networks and not addresses: a machine more in a network that is known changes no other machine's firewall.
    """
    found: set[Network] = set()
    for host in inventory.hosts:
        address, length = address_of(host.address), host.network.prefix_length
        found.add(network_around(address, length or (32 if address.family == 4 else 128)))
        if host.network.ipv6:
            found.add(network_around(address_of(host.network.ipv6.address), host.network.ipv6.prefix_length))
    kept: list[Network] = []
    for network in sorted(found, key=lambda n: (n.family, n.first, n.prefix_length)):
        if not (kept and kept[-1].family == network.family and network.first <= kept[-1].last):
            kept.append(network)
    return [f"{text_of(Address(n.family, n.first))}/{n.prefix_length}" for n in kept]
