"""Inventories with one value changed, for every value that a machine can be held against."""

import dataclasses
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from slipway.inventory import Host, Inventory
from slipway.inventory.model import Cluster

Place = tuple[str, ...]
Value = Any

NOT_EXPECTED = {
    "host.name": "names the entry; what the machine is called is compared with it, see the control of has_its_name",
    "host.tags": "chooses hosts for a command",
    "host.groups": "says whence the entry inherits",
    "host.ssh.identity": "is a file on the machine of whoever deploys",
    "host.ssh.address": "is the way of whoever deploys",
    "host.deploy": "tells a deployment what to do",
    "host.hardware.limits": "is where worn, hot or slow becomes red; the controls of hardware go beyond each",
}
"""What does not describe the machine, by its place in the inventory."""

TEXTS = {
    "cluster.network.pod_cidr": "10.9.0.0/16",
    "cluster.network.service_cidr": "10.43.0.0/16",
    "cluster.k0s.version": "1.35.9+k0s.0",
    "cluster.nixos.channel": "25.11",
    "cluster.nixos.state_version": "25.11",
    "host.network.bonds.bond0.mode": "active-backup",
    "host.boot.mode": "bios",
    "cluster.network.cilium.routing": "geneve",
    "cluster.network.cilium.encryption": "wireguard",
    "host.network.bonds.bond0.lacp_rate": "fast",
    "host.network.bonds.bond0.transmit_hash_policy": "layer3+4",
    "host.network.addresses": "192.0.2.99/24",
    "cluster.network.node_local_load_balancer": "Traefik",
    "host.k0s.system_reserved.memory": "3Gi",
    "host.k0s.system_reserved.cpu": "700m",
    "host.k0s.kube_reserved.memory": "3Gi",
    "host.k0s.eviction_hard.memory.available": "3Gi",
}
UNSET = {"cluster.network.node_local_load_balancing": False}
"""What has a meaning where nothing is said."""


def leaves(value: Value, at: Place = ()) -> Iterator[tuple[Place, Value]]:
    """(place, value) of everything that is said in a section."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from leaves(getattr(value, name), (*at, name))
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*at, key))
    elif value not in (None, (), {}) or ".".join(at) in UNSET:
        yield at, value


def flipped(at: Place, value: Value) -> Value:
    """Another value of that kind."""
    name = ".".join(at)
    if name in UNSET:
        return UNSET[name]
    if isinstance(value, StrEnum):
        kinds = list(type(value))
        return kinds[(kinds.index(value) + 1) % len(kinds)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    if isinstance(value, tuple):
        return (*value[:-1], other_text(name, value[-1]))
    return other_text(name, value)


def other_text(name: str, text: Any) -> Any:
    if name in TEXTS:
        return TEXTS[name]
    if not isinstance(text, str):
        return text * 2 + 1
    if name.endswith("authorized_keys"):
        kind, body, *comment = text.split()
        return " ".join((kind, body[:-1] + ("8" if body[-1] != "8" else "9"), *comment))
    return text[:-1] + ("8" if text[-1] != "8" else "9")


def changed(section: Value, at: Place, value: Value) -> Value:
    """The section with another value at a place."""
    if not at:
        return value
    if isinstance(section, dict):
        return {**section, at[0]: changed(section[at[0]], at[1:], value)}
    return section.model_copy(update={at[0]: changed(getattr(section, at[0]), at[1:], value)})


def _mutants(section: Cluster | Host, kind: str) -> Iterator[tuple[str, Value]]:
    """(place, section with another value there) for every value that a machine can be held against."""
    for at, value in leaves(section, (kind,)):
        if not below(NOT_EXPECTED, ".".join(at)):
            yield ".".join(at), changed(section, at[1:], flipped(at, value))


def below(table: dict[str, str], name: str) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in table)


def of_cluster(inventory: Inventory) -> Iterator[tuple[str, Inventory]]:
    """`cluster.domain` and so on, each with the inventory that says something else there."""
    for name, cluster in _mutants(inventory.cluster, "cluster"):
        yield name, dataclasses.replace(inventory, cluster=cluster)


def of_host(inventory: Inventory, host: Host) -> Iterator[tuple[str, Inventory, Host]]:
    """`host.role` and so on, each with the inventory and its host that say something else there."""
    for name, other in _mutants(host, "host"):
        hosts = tuple(other if each.name == host.name else each for each in inventory.hosts)
        yield name, dataclasses.replace(inventory, hosts=hosts), other
