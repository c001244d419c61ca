"""The Nix files of a repository: generated/hosts/<name>/default.nix, generated/cluster.nix and generated/hosts.nix.

They set options under `slipway.*` (nixos/modules) and hold data only. A host's file depends on that host; what is the
same everywhere stands in cluster.nix, so that one change touches few files. What has its default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel

from slipway.generate import kubelet, proxy
from slipway.generate.networks import node_networks
from slipway.generate.nixlang import Raw
from slipway.generate.templates import digest_of, header, template
from slipway.inventory import Host, Inventory
from slipway.inventory.model import AirgapBundle, NixGc, Provider, System

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


def _file(name: str, values: Mapping[str, Any], digest: str, inventory: Inventory, advice: str) -> bytes:
    top = header(inventory.path.name, digest, advice)
    return template(name).render(values, header=top).encode()


def _host(inventory: Inventory, host: Host) -> bytes:
    values, advice = _host_values(host), f"Do not edit: your own settings go to hosts/{host.name}.nix."
    digest = digest_of(values)
    slipway = {**values["slipway"], "madeOf": {"host": digest}}
    return _file("nix/host.nix.j2", {**values, "slipway": slipway}, digest, inventory, advice)


def _host_values(host: Host) -> Settings:
    return {"name": host.name, "system": host.system.value, "slipway": _host_settings(host)}


def _cluster(inventory: Inventory) -> bytes:
    values = {**_cluster_values(inventory), "digest": _cluster_digest(inventory)}
    advice = "Do not edit: your own settings go to modules/*.nix."
    return _file("nix/cluster.nix.j2", values, digest_of(values), inventory, advice)


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
    return _file("nix/hosts.nix.j2", values, digest_of(values), inventory, "Do not edit: change the inventory.")


def _set(**settings: Any) -> Settings:  # noqa: ANN401 (plain data for Nix)
    """The settings that say something: neither None nor empty."""
    return {name: value for name, value in settings.items() if value is not None and value != {} and value != []}


# --- one host --------------------------------------------------------------------------------------------------------

_NOT_HERE = ("name", "system", "description", "groups", "tags", "deploy", "labels", "taints")
"""Of a host: what no option below `slipway` says under that name."""
_ORDER = {name: number for number, name in enumerate((
    "role", "address", "ssh", "network", "firewall", "k0s", "boot", "disks", "storage", "hardware", "users", "proxy",
    "nix", "pull", "watchdog",
))}  # fmt: skip
"""In which the file of a host has them; any other follows."""


def _host_settings(host: Host) -> Settings:
    """The modules' options are named as the inventory's keys: only what is said in another way stands here."""
    otherwise = {
        "ssh": _said(host.ssh, "address", "identity", "jump"),
        "k0s": _k0s(host),
        "hardware": _set(cpu=host.hardware.cpu),
        "nix": {**_said(host.nix, "gc"), **_set(gc=_gc(host.nix.gc))},
        "watchdog": {"enable": True, **_said(host.watchdog, whole=True)} if host.watchdog else None,
    }
    said = _set(**_said(host, *_NOT_HERE, *otherwise), **otherwise)
    return {name: said[name] for name in sorted(said, key=lambda name: _ORDER.get(name, len(_ORDER)))}


def _said(section: BaseModel, *without: str, whole: bool = False) -> Settings:
    """What a section says, by the keys of the file; what is so by default only `whole`, and then nothing empty."""
    said: Settings = {}
    for name, key, default in _keys(type(section), without):
        value = section.__dict__[name]
        if value is default and not whole:
            continue
        if (whole and value) or value != default:
            plain = _plain(value, whole or default is None)
            if plain is not None and plain != {}:
                said[key] = plain
    return said


@cache
def _keys(shape: type[BaseModel], without: tuple[str, ...]) -> tuple[tuple[str, str, Any], ...]:
    """Of a section: attribute, key in the file, default."""
    fields = [(name, field) for name, field in shape.model_fields.items() if name not in without]
    return tuple((name, field.alias or name, field.get_default(call_default_factory=True)) for name, field in fields)


_AS_IT_IS = frozenset((str, int, bool, type(None)))
"""Exactly these: enums are texts too."""


def _plain(value: Any, whole: bool) -> Any:  # noqa: ANN401 (plain data for Nix)
    """As Nix has it. Sections that may be missing, and those with a name or a number, stand there as a whole."""
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(each, whole=True) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each, whole=True) for name, each in value.items()}
    return int(value) if isinstance(value, float) else _said(value, whole=whole)


def _k0s(host: Host) -> Settings:
    return {
        **_set(
            version=host.k0s.version,
            configFile=Raw("./k0s.yaml") if host.is_controller else None,
            labels=dict(host.labels),
            taints=list(host.taints),
        ),
        **_said(host.k0s, "eviction_hard"),
        **_set(evictionHard=dict(kubelet.eviction_hard(host))),
    }


_USUAL_GC = NixGc()


def _gc(gc: NixGc) -> Settings:
    days = {} if gc.older_than == _USUAL_GC.older_than else {"olderThanDays": int(gc.older_than // DAY)}
    return {**_said(gc, "older_than"), **days}


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
        ipv6Only=True if network.ipv6_only else None,
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
