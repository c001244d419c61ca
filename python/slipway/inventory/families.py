"""Families of addresses that nodes, pods and services must share."""

from __future__ import annotations

from slipway.inventory.load import Inventory


def without_ipv4(inventory: Inventory) -> dict[str, str]:
    """Hosts whose own address is IPv6, name to what is wrong with it.

    Pods and services are always IPv4 here, and kube-apiserver does not start where its own address is of another
    family than the service range.
    """
    services = inventory.cluster.network.service_cidr
    message = "{} is IPv6, but services are IPv4 ({}): the API server would not start; give the host's IPv4 address"
    return {host.name: message.format(host.address, services) for host in inventory.hosts if ":" in host.address}
