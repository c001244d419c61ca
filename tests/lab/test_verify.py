"""Verification on real machines: healthy ones are green, and each fault turns its check red and no other.

The faults are made on the lab's nodes by hand, as a person or a bug would make them, and mended again by the test that
made them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab import controls
from tests.lab.controls import ALONE, CRASHING, FAULTS, KUBECTL, Fault
from tests.lab.harness import SEEN_WITHIN, TRIES, Cluster, fault, sooner_or_later
from tests.unit.verify import mutants

from slipway.generate.nixos import made_of
from slipway.ssh.pool import Pool
from slipway.verify import catalog, gate, record
from slipway.verify.asked import Question
from slipway.verify.result import Verdict, Verification
from slipway.verify.runner import Limits, ask, verify
from slipway.wait import wait_until

pytestmark = pytest.mark.lab


def verified(cluster: Cluster, *names: str, packs: tuple[str, ...] = ()) -> Verification:
    nodes = [cluster.inventory.host(name) for name in names] or list(cluster.inventory.hosts)
    return verify(cluster.inventory, nodes, cluster.pool.host, packs=packs)


def red(cluster: Cluster, *names: str, packs: tuple[str, ...] = ()) -> set[str]:
    return controls.red(cluster.inventory, cluster.pool, names, packs)


def green(cluster: Cluster) -> Verification:
    """Of all nodes, all of it green: of one of a few verifications, since on a busy machine a canary may come late."""
    for _ in range(TRIES):
        found = verified(cluster)
        if found.green:
            break
    assert [f"{node.node}: {check.id}" for node in found.nodes for check in node.red] == []
    assert found.green
    return found


def sees(cluster: Cluster, wanted: set[str], *names: str, packs: tuple[str, ...] = ()) -> None:
    """These are red, and nothing else."""
    sooner_or_later(lambda: red(cluster, *names, packs=packs), wanted, "red is what the fault has broken")


def test_a_healthy_cluster_is_green_and_opens_the_gate(cluster: Cluster):
    found = green(cluster)
    record.keep(cluster.inventory.root, found)
    assert gate.look(cluster.inventory, cluster.pool.host).reasons == ()


@pytest.mark.nightly
@pytest.mark.parametrize("broken", FAULTS, ids=str)
def test_a_fault_turns_its_check_red_and_no_other(cluster: Cluster, broken: Fault):
    with fault(cluster, broken.on, broken.make, broken.mend), ExitStack() as stack:
        pool = stack.enter_context(Pool.of(cluster.inventory)) if broken.reconnect else cluster.pool
        sees(replace(cluster, pool=pool), broken.expected)
    sees(cluster, set(), broken.on, packs=broken.packs)


@pytest.mark.parametrize("broken", (*FAULTS, *ALONE), ids=str)
def test_a_fault_is_seen_where_it_is_and_turns_nothing_else_of_that_pack_red(cluster: Cluster, broken: Fault):
    addresses = {host.name: host.address for host in cluster.inventory.hosts}
    make, mend = (broken.script(text, addresses) for text in (broken.make, broken.mend))
    with fault(cluster, broken.on, make, mend), ExitStack() as stack:
        pool = stack.enter_context(Pool.of(cluster.inventory)) if broken.reconnect else cluster.pool
        sees(replace(cluster, pool=pool), broken.expected, *broken.seen_by, packs=broken.packs)
    _wait_until_green(cluster, *broken.seen_by, packs=broken.packs)


def test_all_of_that_is_mended_and_every_node_is_green_again(cluster: Cluster):
    """Each fault was asked for in its own packs alone, once it was mended."""
    _wait_until_green(cluster)


SAYS_THE_SAME = {"cluster.network.node_local_load_balancing", "cluster.network.node_local_load_balancer"}
"""Off where nothing is said, too, and then nobody's program: the lab has one controller."""


def test_another_value_in_the_inventory_turns_a_node_red(cluster: Cluster):
    """Most values are in the digests that a system carries; for the others the packs have to see it themselves."""
    others = tuple(_not_of_the_digests(cluster))
    names = {question.key.partition(" ")[2] for question in others}
    assert "cluster.k0s.version" in names, "what is asked below"
    connect, packs = lambda key: cluster.pool.host(key.partition(" ")[0]), catalog.chosen(cluster.inventory, ["k0s"])

    def not_seen() -> set[str]:
        found = ask(cluster.inventory, others, connect, packs, limits=Limits(4))
        failed = [node for node in found if any(each.verdict is Verdict.FAILED for each in node.red)]
        return names - {node.node.partition(" ")[2] for node in failed}

    sooner_or_later(not_seen, SAYS_THE_SAME, "every other value is seen")


def _not_of_the_digests(cluster: Cluster) -> Iterator[Question]:
    """The nodes by inventories with another value of which their systems' digests say nothing."""
    inventory = cluster.inventory
    for name in ("cp1", "w2"):
        node, lines = inventory.host(name), cluster.sh(name, "cat /etc/slipway/inventory").splitlines()
        told = dict(line.split() for line in lines)
        changed = [(place, other, node) for place, other in mutants.of_cluster(inventory)]
        for place, other, host in (*changed, *mutants.of_host(inventory, node)):
            if made_of(other, host) == told:
                yield Question(f"{name} {place}", host, other)


def test_a_machine_id_of_another_node_is_seen_on_both(cluster: Cluster):
    twin = cluster.sh("w1", "cat /etc/machine-id").strip()
    make = f"cp -a /etc/machine-id /run/fault; rm /etc/machine-id; echo {twin} >/etc/machine-id"
    with fault(cluster, "w2", make, "rm /etc/machine-id; cp -a /run/fault /etc/machine-id"):
        sees(cluster, {f"{node}: os.system.machine_id_is_its_own" for node in ("w1", "w2")}, packs=("os",))


def test_a_way_that_is_cut_is_told_apart_from_a_port_where_nobody_listens(cluster: Cluster):
    cut = (
        "nft add table ip fault; nft 'add chain ip fault out { type filter hook output priority 0; }';"
        f" nft add rule ip fault out ip daddr {cluster.inventory.host('w2').address} tcp dport 10250 drop"
    )
    with fault(cluster, "cp1", cut, "nft delete table ip fault"):
        sees(cluster, {"cp1: network.peers.kubelets_of_the_workers"}, packs=("network",))
    with fault(cluster, "w2", "systemctl stop k0s.service", "systemctl start k0s.service"):
        sees(cluster, {"w2: network.listening.kubelet"}, packs=("network",))
    _wait_until_green(cluster, "w2")


MAY_LEAN_ON_W2 = {"w1: kubernetes.pods.pods_reach_services", "cp1: kubernetes.cilium.agents_are_ready"}
"""Where DNS runs, Kubernetes decides; and what it counts as ready follows a node that says nothing any more."""


@pytest.mark.nightly
def test_a_stopped_k0s_is_red_on_its_node_alone(cluster: Cluster):
    with fault(cluster, "w2", "systemctl stop k0s.service", "systemctl start k0s.service"):
        of_k0s = {"w2: k0s.unit.is_active", "w2: k0s.unit.answers", "w2: k0s.kubelet.is_healthy"}
        of_kubernetes = {f"w2: kubernetes.pods.{name}" for name in ("canary_runs", "pods_reach_each_other")}

        def missing_and_blamed() -> tuple[set[str], set[str]]:
            found = red(cluster)
            return (of_k0s | of_kubernetes) - found, {each.partition(":")[0] for each in found - MAY_LEAN_ON_W2}

        sooner_or_later(missing_and_blamed, (set(), {"w2"}), "red on its node alone")
    _wait_until_green(cluster, "w2")


def test_a_pod_of_the_system_that_crashes_is_seen_on_its_node(cluster: Cluster):
    image = cluster.sh("cp1", f"{KUBECTL} -n kube-system get pods -o jsonpath='{{.items[0].spec.containers[0].image}}'")
    pod = CRASHING.replace("IMAGE", image).replace("\n", " ")
    crash = (
        f"echo '{pod}' | {KUBECTL} apply -f -; for try in $(seq 300); do n=$({KUBECTL} -n kube-system get pod"
        " slipway-fault -o jsonpath='{.status.containerStatuses[0].restartCount}');"
        ' [ "${n:-0}" -gt 0 ] && exit 0; sleep 1; done; exit 1'
    )
    with fault(cluster, "cp1", crash, f"{KUBECTL} -n kube-system delete pod slipway-fault --wait=true"):
        sees(cluster, {"w2: k0s.kubelet.system_pods_run"}, packs=("k0s",))


def test_a_reboot_shuts_the_gate_until_the_next_verification(cluster: Cluster):
    """The record is of another boot; what changes it here is the record, since a real reboot takes its time."""
    found = green(cluster)
    changed = replace(found, nodes=tuple(replace(each, boot_id="an-earlier-boot") for each in found.nodes))
    record.keep(cluster.inventory.root, changed)
    shut = gate.look(cluster.inventory, cluster.pool.host)
    assert {reason.what for reason in shut.reasons} == {"rebooted since it was verified"}
    record.keep(cluster.inventory.root, found)
    assert gate.look(cluster.inventory, cluster.pool.host).open


def test_the_command_tells_red_by_its_exit_code_and_writes_reports(cluster: Cluster, tmp_path: Path):
    slipway = cluster.repository.slipway
    with fault(cluster, "w2", "chmod 0644 /etc/k0s/k0stoken", "chmod 0600 /etc/k0s/k0stoken"):
        junit = tmp_path / "junit.xml"

        def told() -> tuple[list[str], bool]:
            said = slipway("verify", "--json", "--junit", str(junit)).ended(8).json
            return [node["node"] for node in said["nodes"] if not node["green"]], 'failures="1"' in junit.read_text()

        sooner_or_later(told, (["w2"], True), "one red check, of w2")
        slipway("handoff").ended(9)
        status = slipway("status", "--json").ended(0).json
        assert {node["node"]: node["verification"]["state"] for node in status["nodes"]}["w2"] == "red"
    _wait_until_green(cluster, "w2", packs=("k0s",))
    assert "green" in slipway("verify", "w2", "--pack", "k0s").ended(0).out


def _wait_until_green(cluster: Cluster, *names: str, packs: tuple[str, ...] = ()) -> None:
    """For as long as what was mended takes to come back."""

    def look() -> tuple[bool | None, str]:
        found = red(cluster, *names, packs=packs)
        return (None if found else True), ", ".join(sorted(found))

    wait_until(look, deadline=SEEN_WITHIN, describe=f"{' '.join(names) or 'all nodes'} green again", interval=2)
