"""Families of addresses that nodes, pods and services must share."""

from __future__ import annotations

from collections.abc import Iterable

from slipway.inventory.model import ClusterNetwork, Host


def of_another_family(network: ClusterNetwork, hosts: Iterable[Host]) -> dict[str, str]:
    """Hosts whose own address is of another family than services, name to what is wrong with it.

    kube-apiserver does not start where its own address is of another family than the service range.
    """
    own, other = ("IPv6", "IPv4") if network.ipv6_only else ("IPv4", "IPv6")
    wrong = [host for host in hosts if (":" in host.address) != network.ipv6_only]
    but = f"is {other}, but services are {own} ({network.service_cidr}): the API server would not start"
    return {host.name: f"{host.address} {but}; give the host's {own} address" for host in wrong}
