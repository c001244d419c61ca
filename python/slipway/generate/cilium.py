"""Which Cilium the cluster gets, and with which values: for the bring-up first and for GitOps ever after."""

from __future__ import annotations

from typing import Any

from slipway.generate.gitops import charts
from slipway.generate.gitops.charts import CHARTS, Chart
from slipway.inventory import Inventory

CHART = CHARTS["cilium"]
"""In the version of slipway's own table; `chart` asks the inventory first."""
RELEASE = "cilium"
NAMESPACE = "kube-system"

LOCAL_API_PORT = 7443
"""Where k0s's node-local load balancer listens on every node that runs pods."""
LOCAL_API_HOST = "localhost"
"""k0s takes the first loopback address that this name has (pkg/component/worker/nllb/reconciler.go, getLoopbackIP, of
v1.36.3+k0s.2): ::1 where /etc/hosts begins with it, as NixOS has it. Whoever asks by name finds either."""


def chart(inventory: Inventory) -> Chart:
    """What the bring-up installs, and what the stage bootstrap's HelmRelease names: one and the same."""
    return charts.chart(inventory, "cilium")


def values(inventory: Inventory) -> dict[str, Any]:
    """The Helm values of Cilium. Pure. Names: the chart's own reference."""
    made, images = _values(inventory), _images(inventory)
    return {**made, **{key: {**made.get(key, {}), **image} for key, image in images.items()}}


def _values(inventory: Inventory) -> dict[str, Any]:
    network = inventory.cluster.network
    host, port = api_endpoint(inventory)
    return {
        "kubeProxyReplacement": True,
        # kube-proxy is not there to reach the API server by its Service.
        "k8sServiceHost": host,
        "k8sServicePort": port,
        # kube-controller-manager, run by k0s, gives each node its range of podCIDR.
        "ipam": {"mode": "kubernetes"},
        **({"ipv4": {"enabled": False}} if network.ipv6_only else {}),
        "ipv6": {"enabled": network.has_ipv6},
        # systemd has mounted cgroup2 already; `autoMount` is spelled so.
        "cgroup": {"autoMount": {"enabled": False}, "hostRoot": "/sys/fs/cgroup"},
        # The machines' own configuration sets rp_filter (nixos/modules/kernel.nix).
        "sysctlfix": {"enabled": False},
        "operator": {"replicas": min(2, sum(host.runs_workloads for host in inventory.hosts))},
        "hubble": _hubble(inventory),
        **_routing(inventory),
        **_encryption(inventory),
        **_published(inventory),
    }


def api_endpoint(inventory: Inventory) -> tuple[str, int]:
    """Address and port at which Cilium on every node reaches an API server, whichever controllers are up."""
    network, port = inventory.cluster.network, inventory.cluster.k0s.ports.api
    if inventory.node_local_load_balancing:
        return LOCAL_API_HOST, LOCAL_API_PORT
    return network.lasting_address or inventory.controllers[0].address, port


def _hubble(inventory: Inventory) -> dict[str, Any]:
    if not inventory.cluster.network.cilium.hubble:
        return {"enabled": False}
    # The chart's own way (`helm`) makes a certificate for a year that no upgrade renews, and another in every render.
    return {"enabled": True, "tls": {"auto": {"method": "cronJob"}}}


def _published(inventory: Inventory) -> dict[str, Any]:
    """What reaches the cluster from outside, where the stage cluster-apps uses it."""
    stages = inventory.stages
    # The chart makes the class only where its kind is there, which is not so at the bring-up; the app gateway has it.
    api = {"gatewayAPI": {"enabled": True, "gatewayClass": {"create": "false"}}}
    gateway: dict[str, Any] = api if stages.gateway.enabled else {}
    return {**gateway, **({"l2announcements": {"enabled": True}} if stages.load_balancer.pools else {})}


_IMAGES = {
    "image": "quay.io/cilium/cilium",
    "operator": "quay.io/cilium/operator",
    "envoy": "quay.io/cilium/cilium-envoy",
    "certgen": "quay.io/cilium/certgen",
}
"""Where the chart has each image that this cluster pulls; the operator's gets its suffix from the chart."""


def _images(inventory: Inventory) -> dict[str, Any]:
    """Images that mirrors.images has elsewhere. The chart's digests are of their makers' manifests, which a mirror of
    one platform rewrites."""
    found: dict[str, Any] = {}
    for key, name in _IMAGES.items():
        stand_in = charts.stand_in(inventory, name)
        if stand_in != name:
            image = {"repository": stand_in, "useDigest": False}
            found[key] = image if key == "image" else {"image": image}
    return found


def _routing(inventory: Inventory) -> dict[str, Any]:
    network = inventory.cluster.network
    if network.cilium.routing != "native":
        tunnel = {"routingMode": "tunnel", "tunnelProtocol": network.cilium.routing}
        # Between which addresses of the nodes tunnels go. Cilium's own choice is IPv4 where there is any, else IPv6
        # (pkg/datapath/tunnel of v1.20.1): said, so that it shows.
        return {**tunnel, **({"underlayProtocol": "ipv6"} if network.ipv6_only else {})}
    native: dict[str, Any] = {"routingMode": "native", "autoDirectNodeRoutes": True}
    native["ipv6NativeRoutingCIDR" if network.ipv6_only else "ipv4NativeRoutingCIDR"] = network.pod_cidr
    if network.dual_stack:
        native["ipv6NativeRoutingCIDR"] = network.dual_stack.pod_cidr
    return native


def _encryption(inventory: Inventory) -> dict[str, Any]:
    if inventory.cluster.network.cilium.encryption == "none":
        return {}
    return {"encryption": {"enabled": True, "type": inventory.cluster.network.cilium.encryption}}
