"""Verification on real machines: healthy ones are green, and each fault turns its check red and no other.

The faults are made on the lab's nodes by hand, as a person or a bug would make them, and mended again by the test that
made them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.lab.harness import Cluster, fault

from slipway.ssh.pool import Pool
from slipway.verify import gate, record
from slipway.verify.result import Verification
from slipway.verify.runner import verify
from slipway.wait import wait_until

pytestmark = pytest.mark.lab


def verified(cluster: Cluster, *names: str, packs: tuple[str, ...] = ()) -> Verification:
    nodes = [cluster.inventory.host(name) for name in names] or list(cluster.inventory.hosts)
    return verify(cluster.inventory, nodes, cluster.pool.host, packs=packs)


def red(cluster: Cluster, *names: str, packs: tuple[str, ...] = ()) -> set[str]:
    """`node: check` of everything that is red."""
    return {f"{node.node}: {check.id}" for node in verified(cluster, *names, packs=packs).nodes for check in node.red}


def test_a_healthy_cluster_is_green_and_opens_the_gate(cluster: Cluster):
    found = verified(cluster)
    assert [f"{node.node}: {check}" for node in found.nodes for check in node.red] == []
    assert found.green
    record.keep(cluster.inventory.root, found)
    assert gate.look(cluster.inventory, cluster.pool.host).reasons == ()


@dataclass(frozen=True)
class Fault:
    """What somebody does `on` a node, what undoes it, and the one check that must turn red on the nodes `red`; with
    `companions`, checks that cannot be right there either."""

    check: str
    on: str
    make: str
    mend: str
    red: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """`node: check` of what other nodes cannot but see, too."""
    reconnect: bool = False
    """Whether the checks are asked over connections of their own, as `slipway verify` does."""

    @property
    def expected(self) -> set[str]:
        here = {f"{node}: {check}" for node in self.red or (self.on,) for check in (self.check, *self.companions)}
        return here | set(self.beside)

    @property
    def packs(self) -> tuple[str, ...]:
        """The packs of these checks."""
        return tuple({check.partition(".")[0] for check in (self.check, *self.companions)})

    def __str__(self) -> str:
        return self.check


RUN = "systemd-run --quiet --collect --unit=slipway-fault"
STOP = "systemctl stop slipway-fault.service"
PROFILE = "/nix/var/nix/profiles/system"
KUBECTL = "k0s kubectl"
CRASHING = """{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slipway-fault", "namespace": "kube-system"},
"spec": {"nodeName": "w2", "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0,
"containers": [{"name": "fault", "image": "IMAGE", "imagePullPolicy": "IfNotPresent", "command": ["/nothing"]}]}}"""


def listen(port: int, more: str = "") -> str:
    """Somebody listens on the port, from the end of the script on."""
    listens = f"ss -Hltn 'sport = :{port}' | grep -q ."
    return f'{RUN} socat TCP-LISTEN:{port}{more},fork -; timeout 30 sh -c "until {listens}; do sleep 0.1; done"'


FAULTS = (
    Fault(
        "os.system.runs_what_was_deployed",
        "w2",
        f"readlink {PROFILE} >/run/fault; ln -sfn $(readlink -f {PROFILE}-1-link) {PROFILE}",
        f"ln -sfn $(cat /run/fault) {PROFILE}",
    ),
    Fault(
        "os.system.boots_what_it_runs",
        "w2",
        f"readlink /boot/default >/run/fault; ln -sfn $(readlink -f {PROFILE}-1-link) /boot/default",
        "ln -sfn $(cat /run/fault) /boot/default",
    ),
    Fault("os.system.has_its_name", "w2", "hostname w7", "hostname w2"),
    Fault(
        "os.system.machine_id_is_its_own",
        "w2",
        "cp -a /etc/machine-id /run/fault; rm /etc/machine-id; echo nothing >/etc/machine-id",
        "rm /etc/machine-id; cp -a /run/fault /etc/machine-id",
    ),
    Fault(
        "os.units.none_has_failed",
        "w2",
        "systemd-run --quiet --unit=slipway-fault --wait sh -c 'exit 1' || true",
        "systemctl reset-failed slipway-fault.service",
    ),
    Fault(
        "os.kernel.settings_are_in_force",
        "w2",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
    ),
    Fault(
        "os.users.only_root_is_root",
        "w2",
        "cp -a /etc/passwd /run/fault; echo 'toor:x:0:0::/root:/bin/sh' >>/etc/passwd",
        "cp -a /run/fault /etc/passwd",
    ),
    Fault(
        "os.users.no_password_is_empty",
        "w2",
        "cp -a /etc/shadow /run/fault; echo 'guest::19000::::::' >>/etc/shadow",
        "cp -a /run/fault /etc/shadow",
    ),
    Fault(
        "os.ssh.takes_keys_only",
        "w2",
        "mkdir -p /run/systemd/system/sshd.service.d; printf '[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D"
        " -f /etc/ssh/sshd_config -o PasswordAuthentication=yes\n' >/run/systemd/system/sshd.service.d/fault.conf;"
        " systemctl daemon-reload; systemctl restart sshd.service",
        "rm -r /run/systemd/system/sshd.service.d; systemctl daemon-reload; systemctl restart sshd.service",
    ),
    # A connection from before keeps its segments, and loses the long questions.
    Fault(
        "network.address.has_its_mtu",
        "w2",
        "ip link set host0 mtu 1200",
        "ip link set host0 mtu 1500",
        beside=("cp1: network.path.large_packets_arrive", "w1: network.path.large_packets_arrive"),
        reconnect=True,
    ),
    Fault(
        "os.system.is_what_the_inventory_wants",
        "w2",
        "cp -a /etc/slipway/inventory /run/fault; rm /etc/slipway/inventory; echo host 0 >/etc/slipway/inventory",
        "rm /etc/slipway/inventory; cp -a /run/fault /etc/slipway/inventory",
    ),
    Fault(
        "network.names.localhost_is_here",
        "w2",
        "cp -a /etc/hosts /run/fault; rm /etc/hosts; echo '::1 localhost' >/etc/hosts",
        "rm /etc/hosts; cp -a /run/fault /etc/hosts",
    ),
    Fault(
        "network.listening.kubelet_has_no_open_port",
        "w2",
        listen(10255, ",bind=127.0.0.1"),
        STOP,
    ),
    Fault(
        "network.listening.local_ports_are_local",
        "w2",
        listen(10259),
        STOP,
        companions=("security.ports.are_declared",),
    ),
    Fault(
        "network.listening.worker_is_no_controller",
        "w2",
        listen(9443),
        STOP,
        companions=("security.ports.are_declared",),
    ),
    Fault(
        "network.peers.etcd_is_closed_to_workers",
        "cp1",
        "systemctl stop nftables.service",
        "systemctl start nftables.service",
        red=("w1", "w2"),
    ),
    Fault("k0s.token.is_roots_alone", "w2", "chmod 0644 /etc/k0s/k0stoken", "chmod 0600 /etc/k0s/k0stoken"),
    Fault("k0s.token.is_emptied", "w2", "echo left >/etc/k0s/k0stoken", ": >/etc/k0s/k0stoken"),
    Fault(
        "k0s.token.leave_to_found_is_withdrawn",
        "cp1",
        "touch /var/lib/slipway/allow-bootstrap",
        "rm /var/lib/slipway/allow-bootstrap",
    ),
    Fault(
        "k0s.kubelet.node_is_schedulable",
        "cp1",
        f"{KUBECTL} cordon w2",
        f"{KUBECTL} uncordon w2",
        red=("w2",),
    ),
    Fault(
        "k0s.privileges.kubelet_kubeconfig_is_roots",
        "w2",
        "chmod 0644 /var/lib/k0s/kubelet.conf",
        "chmod 0600 /var/lib/k0s/kubelet.conf",
        companions=("security.keys.are_kept_from_others",),
    ),
    Fault(
        "k0s.privileges.containerd_is_roots",
        "w2",
        "chmod 0666 /run/k0s/containerd.sock",
        "chmod 0660 /run/k0s/containerd.sock",
    ),
    Fault(
        "k0s.control_plane.every_node_is_of_the_inventory",
        "cp1",
        f"""echo '{{"apiVersion": "v1", "kind": "Node", "metadata": {{"name": "stranger"}}}}' | {KUBECTL} apply -f -""",
        f"{KUBECTL} delete node stranger",
    ),
)


@pytest.mark.parametrize("broken", FAULTS, ids=str)
def test_a_fault_turns_its_check_red_and_no_other(cluster: Cluster, broken: Fault):
    with fault(cluster, broken.on, broken.make, broken.mend), ExitStack() as stack:
        pool = stack.enter_context(Pool.of(cluster.inventory)) if broken.reconnect else cluster.pool
        assert red(replace(cluster, pool=pool)) == broken.expected
    assert red(cluster, broken.on, packs=broken.packs) == set()


def test_all_of_that_is_mended_and_every_node_is_green_again(cluster: Cluster):
    """Each fault was asked for in its own packs alone, once it was mended."""
    assert red(cluster) == set()


def test_a_machine_id_of_another_node_is_seen_on_both(cluster: Cluster):
    twin = cluster.sh("w1", "cat /etc/machine-id").strip()
    make = f"cp -a /etc/machine-id /run/fault; rm /etc/machine-id; echo {twin} >/etc/machine-id"
    with fault(cluster, "w2", make, "rm /etc/machine-id; cp -a /run/fault /etc/machine-id"):
        assert red(cluster, packs=("os",)) == {f"{node}: os.system.machine_id_is_its_own" for node in ("w1", "w2")}


def test_a_way_that_is_cut_is_told_apart_from_a_port_where_nobody_listens(cluster: Cluster):
    cut = (
        "nft add table ip fault; nft 'add chain ip fault out { type filter hook output priority 0; }';"
        f" nft add rule ip fault out ip daddr {cluster.inventory.host('w2').address} tcp dport 10250 drop"
    )
    with fault(cluster, "cp1", cut, "nft delete table ip fault"):
        assert red(cluster, packs=("network",)) == {"cp1: network.peers.kubelets_of_the_workers"}
    with fault(cluster, "w2", "systemctl stop k0s.service", "systemctl start k0s.service"):
        assert red(cluster, packs=("network",)) == {"w2: network.listening.kubelet"}
    _wait_until_green(cluster, "w2")


def test_a_stopped_k0s_is_red_on_its_node_alone(cluster: Cluster):
    # The pack kubernetes asks for the cluster as a whole: pods of w2 may be those that others need.
    packs = tuple(name for name in cluster.inventory.verify.packs if name != "kubernetes")
    with fault(cluster, "w2", "systemctl stop k0s.service", "systemctl start k0s.service"):
        found = red(cluster, packs=packs)
        assert {"w2: k0s.unit.is_active", "w2: k0s.unit.answers", "w2: k0s.kubelet.is_healthy"} <= found
        assert {node for node, _, _ in (each.partition(":") for each in found)} == {"w2"}
    _wait_until_green(cluster, "w2")


def test_a_pod_of_the_system_that_crashes_is_seen_on_its_node(cluster: Cluster):
    image = cluster.sh("cp1", f"{KUBECTL} -n kube-system get pods -o jsonpath='{{.items[0].spec.containers[0].image}}'")
    pod = CRASHING.replace("IMAGE", image).replace("\n", " ")
    crash = (
        f"echo '{pod}' | {KUBECTL} apply -f -; for try in $(seq 60); do n=$({KUBECTL} -n kube-system get pod"
        " slipway-fault -o jsonpath='{.status.containerStatuses[0].restartCount}');"
        ' [ "${n:-0}" -gt 0 ] && exit 0; sleep 1; done; exit 1'
    )
    with fault(cluster, "cp1", crash, f"{KUBECTL} -n kube-system delete pod slipway-fault --wait=true"):
        assert red(cluster, packs=("k0s",)) == {"w2: k0s.kubelet.system_pods_run"}


def test_a_reboot_shuts_the_gate_until_the_next_verification(cluster: Cluster):
    """The record is of another boot; what changes it here is the record, since a real reboot takes its time."""
    found = verified(cluster)
    changed = replace(found, nodes=tuple(replace(each, boot_id="an-earlier-boot") for each in found.nodes))
    record.keep(cluster.inventory.root, changed)
    shut = gate.look(cluster.inventory, cluster.pool.host)
    assert {reason.what for reason in shut.reasons} == {"rebooted since it was verified"}
    record.keep(cluster.inventory.root, found)
    assert gate.look(cluster.inventory, cluster.pool.host).open


def test_the_command_tells_red_by_its_exit_code_and_writes_reports(cluster: Cluster, tmp_path: Path):
    slipway = cluster.repository.slipway
    with fault(cluster, "w2", "chmod 0644 /etc/k0s/k0stoken", "chmod 0600 /etc/k0s/k0stoken"):
        told = slipway("verify", "--json", "--junit", str(tmp_path / "junit.xml")).ended(8).json
        assert [node["node"] for node in told["nodes"] if not node["green"]] == ["w2"]
        assert 'failures="1"' in (tmp_path / "junit.xml").read_text()
        slipway("handoff").ended(9)
        status = slipway("status", "--json").ended(0).json
        assert {node["node"]: node["verification"]["state"] for node in status["nodes"]}["w2"] == "red"
    assert "green" in slipway("verify", "w2", "--pack", "k0s").ended(0).out


def _wait_until_green(cluster: Cluster, node: str) -> None:
    def green() -> tuple[bool | None, str]:
        found = red(cluster, node)
        return (None if found else True), ", ".join(sorted(found))

    wait_until(green, deadline=180, describe=f"{node} green again", interval=2)
