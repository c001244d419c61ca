"""Whatever expected value of the inventory is changed, a node that is as before turns red.

One run of the real machinery, one question per value. A check that could not run does not count: only one that found
something else does.
"""

import dataclasses
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.verify.machines import INVENTORY, machine

from slipway.inventory import Host, Inventory
from slipway.inventory.model import Cluster
from slipway.verify import catalog
from slipway.verify.asked import Question
from slipway.verify.result import Verdict
from slipway.verify.runner import Limits, ask

Place = tuple[str, ...]
Value = Any

DIGEST = "os.system.is_what_the_inventory_wants"

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

SAYS_ONLY_THE_DIGEST = {
    "cluster.nixos.channel": "release of the packages that the system is built of",
    "cluster.nixos.state_version": "read by NixOS when it builds the system",
    "cluster.time.zone": "for people who read logs",
    "cluster.time.servers": "of the pool: which of them answers is chrony's matter",
    "cluster.network.cilium": "is Cilium's own, which slipway status and the stage bootstrap hold against the release",
    "host.system": "platform that the system was built for: another one would not have started",
    "host.ssh.user": "the checks come by that account, so that it is there",
    "host.ssh.sudo_password": "how one becomes root there; the checks have become root by it",
    "host.nix": "is read at the next collection of garbage",
    "host.journald": "bounds what the journal keeps",
    "host.network.dhcp": "how the address came; the address itself is compared",
}
"""What leaves no trace on the healthy machines of this test that a check could look at beside it, and why."""

TEXTS = {
    "cluster.network.pod_cidr": "10.9.0.0/16",
    "cluster.network.service_cidr": "10.43.0.0/16",
    "cluster.k0s.version": "1.35.9+k0s.0",
    "cluster.nixos.channel": "25.11",
    "cluster.nixos.state_version": "25.11",
    "host.network.bonds.bond0.mode": "active-backup",
    "host.boot.mode": "bios",
    "cluster.network.cilium.routing": "native",
    "cluster.network.cilium.encryption": "wireguard",
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
        return text.replace("IBBMF0e4", "IBBMF0e5")
    return text[:-1] + ("8" if text[-1] != "8" else "9")


def changed(section: Value, at: Place, value: Value) -> Value:
    """The section with another value at a place."""
    if not at:
        return value
    if isinstance(section, dict):
        return {**section, at[0]: changed(section[at[0]], at[1:], value)}
    return section.model_copy(update={at[0]: changed(getattr(section, at[0]), at[1:], value)})


def mutants(section: Cluster | Host, kind: str) -> Iterator[tuple[str, Value]]:
    """(place, section with another value there) for every value that a machine can be held against."""
    for at, value in leaves(section, (kind,)):
        if not _below(NOT_EXPECTED, ".".join(at)):
            yield ".".join(at), changed(section, at[1:], flipped(at, value))


def _below(table: dict[str, str], name: str) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in table)


def of_cluster(cluster: Cluster) -> Inventory:
    return dataclasses.replace(INVENTORY, cluster=cluster)


def of_host(host: Host) -> Inventory:
    hosts = tuple(host if each.name == host.name else each for each in INVENTORY.hosts)
    return dataclasses.replace(INVENTORY, hosts=hosts)


def questions() -> Iterator[Question]:
    """`cp1 cluster.domain` and so on: the same node, by an inventory that says something else."""
    for node in ("cp1", "w1"):
        host = INVENTORY.host(node)
        for name, cluster in mutants(INVENTORY.cluster, "cluster"):
            yield Question(f"{node} {name}", host, of_cluster(cluster))
        for name, other in mutants(host, "host"):
            yield Question(f"{node} {name}", other, of_host(other))


ASKED = {question.key: question for question in questions()}
VALUES = sorted({key.split()[1] for key in ASKED})


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """Place of a value to the checks that saw that it is another one, on any node."""
    machines = {key: machine(key, key.split()[0]) for key in (*ASKED, "cp1")}
    packs = catalog.chosen(INVENTORY)
    told: dict[str, set[str]] = {name: set() for name in VALUES}
    for result in ask(INVENTORY, tuple(ASKED.values()), machines.__getitem__, packs, limits=Limits(16, 600)):
        told[result.node.split()[1]] |= {each.id for each in result.red if each.verdict is Verdict.FAILED}
    return told


@pytest.mark.parametrize("name", VALUES)
def test_another_value_turns_the_node_red(found, name):
    assert found[name]


@pytest.mark.parametrize("name", VALUES)
def test_and_a_check_of_the_thing_itself_says_so(found, name):
    by_itself = found[name] - {DIGEST}
    assert bool(by_itself) != _below(SAYS_ONLY_THE_DIGEST, name), by_itself


def test_the_values_are_those_of_a_real_inventory():
    """The walk over the sections reaches what a draft once missed."""
    assert {
        "cluster.domain", "cluster.network.pod_cidr", "cluster.network.service_cidr", "cluster.network.provider",
        "cluster.k0s.telemetry", "cluster.k0s.encrypt_secrets", "cluster.k0s.ports.konnectivity_agent",
        "host.boot.mode", "host.network.nameservers", "host.ssh.authorized_keys",
    } <= set(VALUES)  # fmt: skip
