"""The Nix files of a repository: generated/hosts/<name>/default.nix, generated/cluster.nix and generated/hosts.nix.

They set options under `slipway.*` (nixos/modules) and hold data only. A host's file depends on that host; what is the
same everywhere stands in cluster.nix, so that one change touches few files. What has its default is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway.generate import kubelet, proxy
from slipway.generate.networks import node_networks
from slipway.generate.nixlang import Raw
from slipway.generate.templates import digest_of, header, template
from slipway.inventory import Host, Inventory
from slipway.inventory.model import (
    AirgapBundle,
    Bond,
    BuildMachine,
    Disk,
    FirewallRule,
    HostNetwork,
    Ipv6,
    Journald,
    Link,
    Nix,
    NixGc,
    Provider,
    Proxy,
    Route,
    StorageClients,
    System,
    User,
)

Settings = dict[str, Any]
DAY = 86400.0


def render(inventory: Inventory) -> dict[str, bytes]:
    """Every Nix file by its path in the repository. Pure."""
    files = {f"generated/hosts/{host.name}/default.nix": _host(inventory, host) for host in inventory.hosts}
    files["generated/cluster.nix"] = _cluster(inventory)
    files["generated/hosts.nix"] = _hosts(inventory)
    return files


def made_of(inventory: Inventory, host: Host) -> dict[str, str]:
    """The digests that a system carries of the data it is made from (/etc/slipway/inventory), by their names there.

    The release of k0s is left out of the cluster's: a host may have another, and is not to be made anew for it.
    """
    return {"cluster": _cluster_digest(inventory), "host": digest_of(_host_values(host))}


def _file(name: str, values: Mapping[str, Any], inventory: Inventory, advice: str) -> bytes:
    top = header(inventory.path.name, digest_of(values), advice)
    return template(name).render(values, header=top).encode()


def _host(inventory: Inventory, host: Host) -> bytes:
    values, advice = _host_values(host), f"Do not edit: your own settings go to hosts/{host.name}.nix."
    slipway = {**values["slipway"], "madeOf": {"host": digest_of(values)}}
    return _file("nix/host.nix.j2", {**values, "slipway": slipway}, inventory, advice)


def _host_values(host: Host) -> Settings:
    return {"name": host.name, "system": host.system.value, "slipway": _host_settings(host)}


def _cluster(inventory: Inventory) -> bytes:
    values = {**_cluster_values(inventory), "digest": _cluster_digest(inventory)}
    return _file("nix/cluster.nix.j2", values, inventory, "Do not edit: your own settings go to modules/*.nix.")


def _cluster_values(inventory: Inventory) -> Settings:
    cluster = inventory.cluster
    return {
        "state_version": cluster.nixos.state_version,
        "k0s_version": cluster.k0s.version,
        "cluster": _cluster_settings(inventory),
        "sections": _sections(inventory),
    }


def _cluster_digest(inventory: Inventory) -> str:
    return digest_of({name: value for name, value in _cluster_values(inventory).items() if name != "k0s_version"})


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
        network=_network(host.network),
        firewall=_firewall(host),
        k0s=_k0s(host),
        boot=_boot(host),
        disks={name: _disk(disk) for name, disk in host.disks.items()},
        storage=_storage(host.storage),
        hardware=_set(cpu=host.hardware.cpu),
        users={name: _user(user) for name, user in host.users.items()},
        proxy=_proxy(host.proxy),
        nix=_nix(host.nix),
        pull=_pull(host),
        watchdog=_watchdog(host),
        journald=_set(maxUse=_unless(Journald().max_use, host.journald.max_use)),
    )


def _unless(default: object, value: Any) -> Any:  # noqa: ANN401 (plain data for Nix)
    """`value`, or None where it is what the module has by itself."""
    return None if value == default else value


def _ssh(host: Host) -> Settings:
    ssh = host.ssh
    return _set(
        user=_unless("root", ssh.user),
        sudoPassword=_unless(False, ssh.sudo_password),
        port=_unless(22, ssh.port),
        authorizedKeys=list(ssh.authorized_keys),
    )


def _network(network: HostNetwork) -> Settings:
    return _set(
        interface=network.interface,
        mac=network.mac,
        dhcp=network.dhcp or None,
        prefixLength=network.prefix_length,
        gateway=network.gateway,
        nameservers=list(network.nameservers),
        searchDomains=list(network.search_domains),
        mtu=network.mtu,
        addresses=list(network.addresses),
        routes=_routes(network.routes),
        slaac=network.slaac or None,
        ipv6=_ipv6(network.ipv6),
        bonds={name: _bond(bond) for name, bond in network.bonds.items()},
        bridges={name: {"interfaces": list(bridge.interfaces)} for name, bridge in network.bridges.items()},
        vlans={name: {"id": vlan.id, "interface": vlan.interface} for name, vlan in network.vlans.items()},
        links={name: _link(link) for name, link in network.links.items()},
    )


def _ipv6(ipv6: Ipv6 | None) -> Settings:
    return _set(address=ipv6.address, prefixLength=ipv6.prefix_length, gateway=ipv6.gateway) if ipv6 else {}


def _link(link: Link) -> Settings:
    return _set(
        mac=link.mac,
        dhcp=link.dhcp or None,
        addresses=list(link.addresses),
        mtu=link.mtu,
        routes=_routes(link.routes),
    )


def _routes(routes: Iterable[Route]) -> list[Settings]:
    return [{"to": route.to, "via": route.via} for route in routes]


def _bond(bond: Bond) -> Settings:
    return _set(
        interfaces=list(bond.interfaces),
        mode=bond.mode,
        lacpRate=bond.lacp_rate,
        transmitHashPolicy=bond.transmit_hash_policy,
        primary=bond.primary,
        minLinks=bond.min_links,
    )


def _firewall(host: Host) -> Settings:
    firewall = host.firewall
    return _set(
        sshFrom=list(firewall.ssh_from),
        apiFrom=list(firewall.api_from),
        allowedTCPPorts=list(firewall.allowed_tcp_ports),
        allowedUDPPorts=list(firewall.allowed_udp_ports),
        podTCPPorts=list(firewall.pod_tcp_ports),
        podUDPPorts=list(firewall.pod_udp_ports),
        rules=[_rule(rule) for rule in firewall.rules],
    )


def _rule(rule: FirewallRule) -> Settings:
    return _set(ports=list(rule.ports), protocol=rule.protocol, **{"from": list(rule.from_)})


def _k0s(host: Host) -> Settings:
    return _set(
        version=host.k0s.version,
        configFile=Raw("./k0s.yaml") if host.is_controller else None,
        labels=dict(host.labels),
        taints=list(host.taints),
        profile=host.k0s.profile,
        kubeletExtraArgs=dict(host.k0s.kubelet_extra_args),
        extraFlags=list(host.k0s.extra_flags),
        systemReserved=dict(host.k0s.system_reserved),
        kubeReserved=dict(host.k0s.kube_reserved),
        evictionHard=dict(kubelet.eviction_hard(host)),
    )


def _boot(host: Host) -> Settings:
    return _set(mode=_unless("uefi", host.boot.mode), initrdModules=list(host.boot.initrd_modules))


def _disk(disk: Disk) -> Settings:
    return _set(device=disk.device, mountPoint=disk.mount_point, filesystem=disk.filesystem, swap=disk.swap)


def _storage(storage: StorageClients) -> Settings:
    return {kind: True for kind, wanted in storage.model_dump().items() if wanted}


def _user(user: User) -> Settings:
    return _set(authorizedKeys=list(user.authorized_keys), extraGroups=list(user.extra_groups))


def _proxy(settings: Proxy | None) -> Settings:
    if settings is None:
        return {}
    return _set(http=settings.http, https=settings.https, noProxy=list(settings.no_proxy))


def _nix(nix: Nix) -> Settings:
    days = int(nix.gc.older_than // DAY)
    return _set(
        substituters=list(nix.substituters),
        trustedPublicKeys=list(nix.trusted_public_keys),
        buildMachines=[_build_machine(machine) for machine in nix.build_machines],
        gc=_set(dates=_unless(NixGc().dates, nix.gc.dates), olderThanDays=_unless(NixGc().older_than // DAY, days)),
    )


def _build_machine(machine: BuildMachine) -> Settings:
    return _set(
        hostName=machine.host_name,
        systems=[system.value for system in machine.systems],
        sshUser=machine.ssh_user,
        sshKey=machine.ssh_key,
        maxJobs=machine.max_jobs,
        speedFactor=machine.speed_factor,
        supportedFeatures=list(machine.supported_features),
    )


def _pull(host: Host) -> Settings:
    pull = host.pull
    return _set(engine=pull.engine, url=pull.url, branch=pull.branch, dates=pull.dates) if pull else {}


def _watchdog(host: Host) -> Settings:
    watchdog = host.watchdog
    if watchdog is None:
        return {}
    return _set(enable=True, device=watchdog.device, runtime=int(watchdog.runtime), reboot=int(watchdog.reboot))


# --- the cluster -----------------------------------------------------------------------------------------------------


def _cluster_settings(inventory: Inventory) -> Settings:
    cluster = inventory.cluster
    network, ports = cluster.network, cluster.k0s.ports
    dual = network.dual_stack
    return _set(
        name=cluster.name,
        channel=cluster.nixos.channel,
        controllers=[host.address for host in inventory.controllers],
        nodeNetworks=node_networks(inventory),
        podNetworks=[network.pod_cidr, *([dual.pod_cidr] if dual else [])],
        dualStack=True if dual else None,
        vip=network.vip.ip if network.vip else None,
        provider=network.provider.value,
        cilium=_cilium(inventory),
        ports={"api": ports.api, "k0sApi": ports.k0s_api, "konnectivityAgent": ports.konnectivity_agent},
    )


def _cilium(inventory: Inventory) -> Settings:
    network = inventory.cluster.network
    if network.provider is not Provider.CILIUM:
        return {}
    cilium = network.cilium
    return {"routing": cilium.routing, "encryption": cilium.encryption, "hubble": cilium.hubble}


def _sections(inventory: Inventory) -> Settings:
    """What stands beside slipway.cluster in cluster.nix, by its place below `slipway`."""
    cluster, mirrors = inventory.cluster, inventory.mirrors
    return _set(
        **{
            "k0s.hashes": {system.value: value for system, value in cluster.k0s.hashes.items()},
            "k0s.disableComponents": list(cluster.k0s.disable_components),
            "apiServer.auditLevel": cluster.k0s.api_server.audit.level if cluster.k0s.api_server.audit else None,
            "apiServer.oidcCa": cluster.k0s.api_server.oidc.ca if cluster.k0s.api_server.oidc else None,
            "hardware.tools": None if "hardware" in inventory.verify.packs else False,
            "proxy.direct": proxy.direct(inventory) if any(host.proxy for host in inventory.hosts) else None,
            "time": {"zone": cluster.time.zone, "servers": list(cluster.time.servers)},
            "images.registries": {name: list(urls) for name, urls in mirrors.registries.items()},
            "images.ca": dict(mirrors.ca),
            "images.credentials": sorted(mirrors.credentials),
            "images.shared": True if inventory.stages.registry_mirror else None,
            "images.airgap": _bundles(mirrors.airgap),
            "images.first": _bundles(mirrors.first_images),
        }
    )


def _bundles(found: Mapping[System, AirgapBundle]) -> Settings:
    return {system.value: {"url": bundle.url, "hash": bundle.hash} for system, bundle in found.items()}
