"""Network policies: by default an app reaches its own namespace and the cluster's DNS; here is who else, by provider.

Cilium's own kind is used where it runs, since a plain NetworkPolicy can neither name the API server nor a DNS name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from slipway.inventory import Inventory
from slipway.inventory.model import Provider

API, WORLD, S3, GATEWAY = "@api", "@world", "@s3", "@gateway"
"""Peers that are no namespace: the API server, everything outside the cluster, the store of backups, the Gateway."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Flow:
    """Traffic that is allowed, seen from the app: to or from a namespace, or one of the peers above."""

    inward: bool
    peer: str
    port: int = 0


def calls(peer: str, port: int = 0) -> Flow:
    return Flow(False, peer, port)


def called_by(peer: str, port: int = 0) -> Flow:
    return Flow(True, peer, port)


API_CALLS = calls(API)


def uses_cilium(inventory: Inventory) -> bool:
    return inventory.cluster.network.provider is Provider.CILIUM


def default_deny(inventory: Inventory) -> Manifest:
    """For the component default-deny, whose namespace is its user's."""
    if uses_cilium(inventory):
        dns = {
            "toEndpoints": [
                {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}}
            ],
            # Cilium learns from the answers which addresses belong to the names of toFQDNs.
            "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}],
        }
        spec: Manifest = {
            "endpointSelector": {},
            "ingress": [{"fromEndpoints": [{}]}],
            "egress": [{"toEndpoints": [{}]}, dns],
        }
        return _cilium("default-deny", spec)
    dns_peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    own: list[Manifest] = [{"podSelector": {}}]
    egress: list[Manifest] = [{"to": own}, {"to": [dns_peer], "ports": ports}]
    return _plain("default-deny", ingress=[{"from": own}], egress=egress)


def allowed(inventory: Inventory, namespace: str, flows: Iterable[Flow]) -> Manifest | None:
    """What an app needs beyond its own namespace; None if nothing."""
    wanted = [flow for flow in flows if _matters(inventory, flow)]
    if not wanted:
        return None
    rule = _cilium_rule if uses_cilium(inventory) else _plain_rule
    ingress = [rule(inventory, flow) for flow in wanted if flow.inward]
    egress = [rule(inventory, flow) for flow in wanted if not flow.inward]
    if uses_cilium(inventory):
        spec = {"endpointSelector": {}, **({"ingress": ingress} if ingress else {})}
        made = _cilium("allow", {**spec, **({"egress": egress} if egress else {})})
    else:
        made = _plain("allow", ingress=ingress, egress=egress)
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}


def _matters(inventory: Inventory, flow: Flow) -> bool:
    if flow.peer == GATEWAY:
        return inventory.stages.gateway.enabled
    return flow.peer != S3 or bool(inventory.stages.backup.repository)


def _cilium(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": name}, "spec": spec}


def _plain(name: str, ingress: list[Manifest], egress: list[Manifest]) -> Manifest:
    kinds = {"Ingress": ingress, "Egress": egress}
    spec: Manifest = {"podSelector": {}, "policyTypes": [kind for kind, rules in kinds.items() if rules]}
    spec |= {kind.lower(): rules for kind, rules in kinds.items() if rules}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def _cilium_rule(inventory: Inventory, flow: Flow) -> Manifest:
    way = "from" if flow.inward else "to"
    # What the API server asks comes from a node: k0s carries it there through konnectivity.
    entities: Mapping[str, list[str]] = {
        API: ["kube-apiserver", "remote-node", "host"] if flow.inward else ["kube-apiserver"],
        WORLD: ["world"],
        GATEWAY: ["ingress"],
    }
    if flow.peer == S3:
        host, port = store(inventory)
        peer: Manifest = {"toFQDNs": [{"matchName": host}]} if not _is_address(host) else {"toCIDR": [_single(host)]}
        return {**peer, "toPorts": [{"ports": [{"port": str(port), "protocol": "TCP"}]}]}
    if flow.peer in entities:
        peer = {f"{way}Entities": entities[flow.peer]}
    else:
        peer = {f"{way}Endpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": flow.peer}}]}
    return {**peer, **({"toPorts": [{"ports": [{"port": str(flow.port), "protocol": "TCP"}]}]} if flow.port else {})}


def _plain_rule(inventory: Inventory, flow: Flow) -> Manifest:
    port = flow.port
    if flow.peer == API:
        hosts = inventory.hosts if flow.inward else inventory.controllers
        peers: list[Manifest] = [{"ipBlock": {"cidr": _single(host.address)}} for host in hosts]
        port = port or inventory.cluster.k0s.ports.api
    elif flow.peer in (WORLD, S3):
        inside = [inventory.cluster.network.pod_cidr, inventory.cluster.network.service_cidr]
        everywhere = "::/0" if inventory.cluster.network.ipv6_only else "0.0.0.0/0"
        peers = [{"ipBlock": {"cidr": everywhere, "except": inside}}]
        port = store(inventory)[1] if flow.peer == S3 else port
    else:
        name = "gateway" if flow.peer == GATEWAY else flow.peer
        peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]
    rule: Manifest = {"from" if flow.inward else "to": peers}
    return {**rule, **({"ports": [{"port": port, "protocol": "TCP"}]} if port else {})}


def store(inventory: Inventory) -> tuple[str, int]:
    """Host and port of the store of backups."""
    parts = urlsplit((inventory.stages.backup.repository or "").removeprefix("s3:"))
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def _single(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
