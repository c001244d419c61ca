"""k0s.yaml of every controller (ClusterConfig v1beta1).

k0s takes some fields from each controller's own file (spec.api, spec.storage, network.controlPlaneLoadBalancing) and
all others from the elected leader's, so these must be the same everywhere: they are one text, rendered once.
"""

from __future__ import annotations

from typing import Any

from slipway.generate.templates import digest_of, header, template
from slipway.inventory import Host, Inventory
from slipway.inventory.model import Audit, Oidc, Provider
from slipway.inventory.releases import minor_of

AUTH_PASS_LENGTH = 8
"""k0s wants a VRRP password of 1 to 8 characters; it travels in clear text and keeps nobody out."""

ENCRYPTION = "/etc/k0s/encryption.json"
"""On every controller: kube-apiserver's EncryptionConfiguration, with the key. Brought over SSH, never in the store."""

# Reloading: an existing cluster learns to read what is encrypted before it begins to write it (cluster/encryption.py).
ENCRYPTION_ARGUMENTS = {
    "encryption-provider-config": ENCRYPTION,
    "encryption-provider-config-automatic-reload": "true",
}

OIDC_CA, AUDIT_POLICY = "/etc/k0s/oidc-ca.pem", "/etc/k0s/audit-policy.yaml"
"""Written by nixos/modules/api-server.nix."""

KEEPALIVED, TAKE_KEEPALIVED = "/etc/k0s/keepalived.conf.tmpl", frozenset((36,))
"""Written by nixos/modules/virtual-address.nix, and the minor releases of k0s that it was compared with: one that does
not know the field refuses the configuration, one that fills in something else does not start."""

_ADVICE = "Do not edit: change the inventory."


def render(inventory: Inventory) -> dict[str, bytes]:
    """The k0s.yaml files by their path in the repository. Pure."""
    shared = shared_text(inventory)
    return {path_of(host): _file(inventory, host, shared).encode() for host in inventory.controllers}


def path_of(host: Host) -> str:
    return f"generated/hosts/{host.name}/k0s.yaml"


def _file(inventory: Inventory, host: Host, shared: str) -> str:
    own = {
        "name": inventory.cluster.name,
        "api": _api(inventory, host),
        "storage": {"type": "etcd", "etcd": {"peerAddress": host.address}},
        "load_balancing": _load_balancing(inventory, host),
    }
    top = header(inventory.path.name, digest_of([own, shared]), _ADVICE)
    return template("k0s/k0s.yaml.j2").render(own, header=top, shared=shared)


def shared_text(inventory: Inventory) -> str:
    """The end of every controller's file, from within spec.network on, byte for byte the same."""
    values = {"network": _network(inventory), "spec": _spec(inventory)}
    return template("k0s/shared.yaml.j2").render(values).rstrip("\n")


def _api(inventory: Inventory, host: Host) -> dict[str, Any]:
    ports, external = inventory.cluster.k0s.ports, inventory.cluster.network.external_address
    return {
        "address": host.address,
        **({"externalAddress": external} if external else {}),
        "port": ports.api,
        "k0sApiPort": ports.k0s_api,
        "sans": _sans(inventory),
        **({"extraArgs": arguments} if (arguments := api_arguments(inventory)) else {}),
    }


def api_arguments(inventory: Inventory) -> dict[str, str]:
    """Flags of kube-apiserver beside k0s's own, without their dashes."""
    k0s = inventory.cluster.k0s
    encryption = ENCRYPTION_ARGUMENTS if k0s.encrypt_secrets else {}
    oidc, audit = k0s.api_server.oidc, k0s.api_server.audit
    return {
        **encryption,
        **(_oidc(oidc) if oidc else {}),
        **(_audit(audit) if audit else {}),
        **k0s.api_server.extra_args,
    }


def _oidc(oidc: Oidc) -> dict[str, str]:
    claims = ",".join(f"{name}={value}" for name, value in oidc.required_claims.items())
    said = {
        "oidc-issuer-url": oidc.issuer_url,
        "oidc-client-id": oidc.client_id,
        "oidc-username-claim": oidc.username_claim,
        "oidc-username-prefix": oidc.username_prefix,
        "oidc-groups-claim": oidc.groups_claim,
        "oidc-groups-prefix": oidc.groups_prefix,
        "oidc-required-claim": claims or None,
        "oidc-ca-file": OIDC_CA if oidc.ca else None,
    }
    return {flag: value for flag, value in said.items() if value is not None}


def _audit(audit: Audit) -> dict[str, str]:
    return {
        "audit-policy-file": AUDIT_POLICY,
        "audit-log-path": "/var/log/kube-apiserver/audit.log",
        "audit-log-maxage": str(audit.max_age),
        "audit-log-maxbackup": str(audit.max_backups),
        "audit-log-maxsize": str(audit.max_size),
    }


def _sans(inventory: Inventory) -> list[str]:
    """Every name and address by which anybody may reach any controller; the same for all of them."""
    network = inventory.cluster.network
    names = [host.address for host in inventory.controllers]
    names += [host.network.ipv6.address for host in inventory.controllers if host.network.ipv6]
    names += [host.name for host in inventory.controllers]
    names += [network.vip.ip] if network.vip else []
    names += [network.external_address] if network.external_address else []
    return list(dict.fromkeys([*names, *inventory.cluster.k0s.sans]))


def _load_balancing(inventory: Inventory, host: Host) -> dict[str, Any] | None:
    """keepalived on the controllers for the virtual address (k0s's CPLB)."""
    vip = inventory.cluster.network.vip
    if vip is None:
        return None
    interface = vip.interface or host.network.interface
    instance = {
        "virtualIPs": [vip.address],
        **({"interface": interface} if interface else {}),
        "virtualRouterID": vip.virtual_router_id,
        "authPass": vip.auth_pass or inventory.cluster.name[:AUTH_PASS_LENGTH],
        **(_unicast(inventory, host) if vip.unicast else {}),
    }
    watched = minor_of(inventory.cluster.k0s.version) in TAKE_KEEPALIVED
    keepalived = {"vrrpInstances": [instance], **({"configTemplateVRRP": KEEPALIVED} if watched else {})}
    return {"enabled": True, "type": "Keepalived", "keepalived": keepalived}


def _unicast(inventory: Inventory, host: Host) -> dict[str, Any]:
    peers = [each.address for each in inventory.controllers if each.name != host.name]
    return {"unicastSourceIP": host.address, "unicastPeers": peers}


def _network(inventory: Inventory) -> dict[str, Any]:
    network = inventory.cluster.network
    own_network = network.provider is Provider.CILIUM
    values: dict[str, Any] = {
        "provider": "custom" if own_network else network.provider.value,
        "podCIDR": network.pod_cidr,
        "serviceCIDR": network.service_cidr,
        "clusterDomain": inventory.cluster.domain,
        # Cilium takes kube-proxy's place.
        "kubeProxy": {"disabled": own_network},
    }
    if inventory.node_local_load_balancing:
        values["nodeLocalLoadBalancing"] = {"enabled": True, "type": network.node_local_load_balancer}
    if network.provider is Provider.CALICO:
        values["calico"] = _calico(network.has_ipv6)
    if network.dual_stack:
        values["dualStack"] = {
            "enabled": True,
            "IPv6podCIDR": network.dual_stack.pod_cidr,
            "IPv6serviceCIDR": network.dual_stack.service_cidr,
        }
    return values


def _calico(ipv6: bool) -> dict[str, str]:
    """Calico takes the first link that it finds, on machines with several often the wrong one: it shall take the
    address that the node has in Kubernetes (k0s pkg/apis/k0s/v1beta1/calico.go)."""
    method = "kubernetes-internal-ip"
    return {"ipAutodetectionMethod": method, **({"ipV6AutodetectionMethod": method} if ipv6 else {})}


def _spec(inventory: Inventory) -> dict[str, Any]:
    k0s = inventory.cluster.k0s
    values: dict[str, Any] = {
        **({"controllerManager": {"extraArgs": masks}} if (masks := _mask_sizes(inventory)) else {}),
        "konnectivity": {"agentPort": k0s.ports.konnectivity_agent, "adminPort": k0s.ports.konnectivity_admin},
    }
    if k0s.worker_profiles:
        values["workerProfiles"] = [{"name": name, "values": dict(v)} for name, v in k0s.worker_profiles.items()]
    if k0s.feature_gates:
        values["featureGates"] = [{"name": name, "enabled": on} for name, on in k0s.feature_gates.items()]
    values["telemetry"] = {"enabled": k0s.telemetry}
    return values


def _mask_sizes(inventory: Inventory) -> dict[str, str]:
    """kube-controller-manager's flags for a node's part of the pod ranges, where it is not as k0s sets it. With two
    families each has a flag of its own."""
    network, dual = inventory.cluster.network, inventory.cluster.network.dual_stack
    own, second = network.node_cidr_mask_size, dual.node_cidr_mask_size if dual else None
    if dual is None:
        return {"node-cidr-mask-size": str(own)} if own else {}
    sizes = {"node-cidr-mask-size-ipv4": own, "node-cidr-mask-size-ipv6": second}
    return {flag: str(size) for flag, size in sizes.items() if size}
