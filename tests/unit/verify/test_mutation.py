"""Whatever expected value of the inventory is changed, a node that is as before turns red.

One run of the real machinery, one question per value. A check that could not run does not count: only one that found
something else does.
"""

from collections.abc import Iterator

import pytest
from tests.unit.verify import mutants
from tests.unit.verify.machines import INVENTORY, machine

from slipway.verify import catalog
from slipway.verify.asked import Question
from slipway.verify.result import Verdict
from slipway.verify.runner import Limits, ask

DIGEST = "os.system.is_what_the_inventory_wants"

SAYS_ONLY_THE_DIGEST = {
    "cluster.nixos.channel": "release of the packages that the system is built of",
    "cluster.nixos.state_version": "read by NixOS when it builds the system",
    "cluster.time.zone": "for people who read logs",
    "cluster.time.servers": "of the pool: which of them answers is chrony's matter",
    "cluster.network.cilium.hubble": "off asks for one port less; slipway status holds the release itself",
    "host.system": "platform that the system was built for: another one would not have started",
    "host.ssh.user": "the checks come by that account, so that it is there",
    "host.ssh.sudo_password": "how one becomes root there; the checks have become root by it",
    "host.nix": "is read at the next collection of garbage",
    "host.storage.iscsi": "is there already, and a machine may be able to use more than the inventory wants",
    "host.network.slaac": "what a router gives is the router's; the host's own addresses are compared",
    "host.journald": "bounds what the journal keeps",
    "host.network.dhcp": "how the address came; the address itself is compared",
}
"""What leaves no trace on the healthy machines of this test that a check could look at beside it, and why."""


def questions() -> Iterator[Question]:
    """`cp1 cluster.domain` and so on: the same node, by an inventory that says something else."""
    for node in ("cp1", "w1"):
        host = INVENTORY.host(node)
        for name, inventory in mutants.of_cluster(INVENTORY):
            yield Question(f"{node} {name}", host, inventory)
        for name, inventory, other in mutants.of_host(INVENTORY, host):
            yield Question(f"{node} {name}", other, inventory)


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
    assert bool(by_itself) != mutants.below(SAYS_ONLY_THE_DIGEST, name), by_itself


def test_the_values_are_those_of_a_real_inventory():
    """The walk over the sections reaches what a draft once missed."""
    assert {
        "cluster.domain", "cluster.network.pod_cidr", "cluster.network.service_cidr", "cluster.network.provider",
        "cluster.k0s.telemetry", "cluster.k0s.encrypt_secrets", "cluster.k0s.ports.konnectivity_agent",
        "host.boot.mode", "host.network.nameservers", "host.ssh.authorized_keys",
    } <= set(VALUES)  # fmt: skip
