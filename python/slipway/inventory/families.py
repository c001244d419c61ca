"""Families of addresses that nodes, pods and services must share."""

from __future__ import annotations

from slipway.inventory.load import Inventory


def of_another_family(inventory: Inventory) -> dict[str, str]:
    """Hosts whose own address is of another family than services, name to what is wrong with it.

    kube-apiserver does not start where its own address is of another family than the service range.
    """
    network = inventory.cluster.network
    own, other = ("IPv6", "IPv4") if network.ipv6_only else ("IPv4", "IPv6")
    wrong = [host for host in inventory.hosts if (":" in host.address) != network.ipv6_only]
    but = f"is {other}, but services are {own} ({network.service_cidr}): the API server would not start"
    return {host.name: f"{host.address} {but}; give the host's {own} address" for host in wrong}
