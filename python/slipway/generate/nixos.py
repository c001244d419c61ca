"""The Nix files of a repository: generated/hosts/<name>/default.nix, generated/cluster.nix and generated/hosts.nix.

They set options under `slipway.*` (nixos/modules) and hold data only. A host's file depends on that host; what is the
same everywhere stands in cluster.nix, so that one change touches few files. What has its default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.generate.nixlang import Raw
from slipway.generate.templates import digest_of, header, template
from slipway.inventory import Host, Inventory
from slipway.inventory.address import Address as Numbers
from slipway.inventory.address import Network, address_of, network_around, text_of

Settings = dict[str, Any]


def render(inventory: Inventory) -> dict[str, bytes]:
    """Every Nix file by its path in the repository. Pure."""
    files = {f"generated/hosts/{host.name}/default.nix": _host(inventory, host) for host in inventory.hosts}
    files["generated/cluster.nix"] = _cluster(inventory)
    files["generated/hosts.nix"] = _hosts(inventory)
    return files


def _file(name: str, values: Mapping[str, Any], inventory: Inventory, advice: str) -> bytes:
    top = header(inventory.path.name, digest_of(values), advice)
    return template(name).render(values, header=top).encode()


def _host(inventory: Inventory, host: Host) -> bytes:
    values = {"name": host.name, "system": host.system.value, "slipway": _host_settings(host)}
    return _file("nix/host.nix.j2", values, inventory, f"Do not edit: your own settings go to hosts/{host.name}.nix.")


def _cluster(inventory: Inventory) -> bytes:
    cluster = inventory.cluster
    values = {
        "state_version": cluster.nixos.state_version,
        "k0s_version": cluster.k0s.version,
        "cluster": _cluster_settings(inventory),
        "sections": _set(time={"zone": cluster.time.zone, "servers": list(cluster.time.servers)}),
    }
    return _file("nix/cluster.nix.j2", values, inventory, "Do not edit: your own settings go to modules/*.nix.")


def _hosts(inventory: Inventory) -> bytes:
    values = {"hosts": {host.name: Raw(f"./hosts/{host.name}") for host in inventory.hosts}}
    return _file("nix/hosts.nix.j2", values, inventory, "Do not edit: change the inventory.")


def _set(**settings: Any) -> Settings:  # noqa: ANN401 (plain data for Nix)
    """The settings that say something: neither None nor empty."""
    return {name: value for name, value in settings.items() if value is not None and value != {} and value != []}


# --- one host --------------------------------------------------------------------------------------------------------


def _host_settings(host: Host) -> Settings:
    return _set(
        role=host.role.value,
        address=host.address,
        ssh=_ssh(host),
        network=_network(host),
        firewall=_firewall(host),
        k0s=_k0s(host),
    )


def _ssh(host: Host) -> Settings:
    ssh = host.ssh
    return _set(
        user=None if ssh.user == "root" else ssh.user,
        port=None if ssh.port == 22 else ssh.port,
        authorizedKeys=list(ssh.authorized_keys),
    )


def _network(host: Host) -> Settings:
    network = host.network
    return _set(
        interface=network.interface,
        dhcp=network.dhcp or None,
        prefixLength=network.prefix_length,
        gateway=network.gateway,
        nameservers=list(network.nameservers),
    )


def _firewall(host: Host) -> Settings:
    firewall = host.firewall
    return _set(
        sshFrom=list(firewall.ssh_from),
        apiFrom=list(firewall.api_from),
        allowedTCPPorts=list(firewall.allowed_tcp_ports),
        allowedUDPPorts=list(firewall.allowed_udp_ports),
    )


def _k0s(host: Host) -> Settings:
    return _set(
        version=host.k0s.version,
        configFile=Raw("./k0s.yaml") if host.is_controller else None,
        labels=dict(host.labels),
        taints=list(host.taints),
        profile=host.k0s.profile,
        kubeletExtraArgs=dict(host.k0s.kubelet_extra_args),
    )


# --- the cluster -----------------------------------------------------------------------------------------------------


def _cluster_settings(inventory: Inventory) -> Settings:
    cluster = inventory.cluster
    network, ports = cluster.network, cluster.k0s.ports
    dual = network.dual_stack
    return _set(
        name=cluster.name,
        controllers=[host.address for host in inventory.controllers],
        nodeNetworks=node_networks(inventory),
        podNetworks=[network.pod_cidr, *([dual.pod_cidr] if dual else [])],
        provider=network.provider.value,
        dualStack=True if dual else None,
        ports={"api": ports.api, "k0sApi": ports.k0s_api, "konnectivityAgent": ports.konnectivity_agent},
    )


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
    return [f"{text_of(Numbers(n.family, n.first))}/{n.prefix_length}" for n in kept]
