"""What goes by the proxy of a machine, and what never does.

kubelet, containerd and konnectivity are children of k0s and take what k0s has in its environment, curl and Nix the same
variables. Go and curl from 7.86 on understand networks in NO_PROXY (golang.org/x/net/http/httpproxy; curl's changes).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.generate.networks import node_networks
from slipway.inventory import Host, Inventory


def direct(inventory: Inventory) -> list[str]:
    """What every machine reaches without a proxy: itself, the nodes, pods, Services and the cluster's names. kubelet
    would ask the proxy for the API server else, and the node never become Ready."""
    network = inventory.cluster.network
    dual = network.dual_stack
    ranges = [network.pod_cidr, network.service_cidr, *((dual.pod_cidr, dual.service_cidr) if dual else ())]
    lasting = [network.vip.ip] if network.vip else []
    lasting += [network.external_address] if network.external_address else []
    names = ["localhost", "127.0.0.0/8", "::1"]
    domains = [".svc", f".{inventory.cluster.domain}"]
    return list(dict.fromkeys([*names, *node_networks(inventory), *ranges, *lasting, *domains]))


def variables(inventory: Inventory, host: Host) -> Mapping[str, str]:
    """The environment of k0s on that machine, as the NixOS module makes it; empty without a proxy."""
    if host.proxy is None:
        return {}
    return {
        "HTTP_PROXY": host.proxy.http,
        "HTTPS_PROXY": host.proxy.https or host.proxy.http,
        "NO_PROXY": ",".join(dict.fromkeys([*direct(inventory), *host.proxy.no_proxy])),
    }
