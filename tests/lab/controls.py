"""Ways to break a machine of the lab, and the check that must see each; and which checks the lab cannot break, and why.

A script may use /run/fault to keep what it changes; `@w1@` stands for the address of w1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.inventory import Inventory
from slipway.ssh.pool import Pool
from slipway.verify.runner import verify


def red(inventory: Inventory, pool: Pool, names: Iterable[str] = (), packs: tuple[str, ...] = ()) -> set[str]:
    """`node: check` of everything that is red, on those nodes or on all."""
    nodes = [inventory.host(name) for name in names] or list(inventory.hosts)
    return {
        f"{node.node}: {check.id}"
        for node in verify(inventory, nodes, pool.host, packs=packs).nodes
        for check in node.red
    }


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

    def script(self, text: str, addresses: Mapping[str, str]) -> str:
        """`make` or `mend` for the cluster whose nodes have these addresses."""
        for name, address in addresses.items():
            text = text.replace(f"@{name}@", address)
        return text

    @property
    def expected(self) -> set[str]:
        here = {f"{node}: {check}" for node in self.red or (self.on,) for check in (self.check, *self.companions)}
        return here | set(self.beside)

    @property
    def seen_by(self) -> tuple[str, ...]:
        """The nodes that show it."""
        return tuple({each.partition(":")[0] for each in self.expected})

    @property
    def packs(self) -> tuple[str, ...]:
        """The packs of these checks."""
        return tuple({each.rpartition(" ")[2].partition(".")[0] for each in self.expected})

    def __str__(self) -> str:
        return self.check


RUN = "systemd-run --quiet --collect --unit=slipway-fault"
STOP = "systemctl stop slipway-fault.service"
PROFILE = "/nix/var/nix/profiles/system"
KUBECTL = "k0s kubectl"
CRASHING = """{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slipway-fault", "namespace": "kube-system"},
"spec": {"nodeName": "w2", "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0,
"containers": [{"name": "fault", "image": "IMAGE", "imagePullPolicy": "IfNotPresent", "command": ["/nothing"]}]}}"""

WEBHOOK = """{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
"metadata": {"name": "slipway-fault"}, "webhooks": [{"name": "fault.example.org", "failurePolicy": "Fail",
"sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
"clientConfig": {"url": "https://127.0.0.1:9/"}, "namespaceSelector":
{"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "rules": [{"apiGroups": [""], "apiVersions": ["v1"],
"operations": ["CREATE"], "resources": ["pods"]}]}]}"""
"""Refuses pods of the namespace default, and of no other."""


def listen(port: int, more: str = "") -> str:
    """Somebody listens on the port, from the end of the script on."""
    listens = f"ss -Hltn 'sport = :{port}' | grep -q ."
    return f'{RUN} socat TCP-LISTEN:{port}{more},fork -; timeout 300 sh -c "until {listens}; do sleep 0.1; done"'


def other(path: str, edit: str) -> tuple[str, str]:
    """Make and mend: the file says something else, by sed's `edit`. Many files are links into Nix's store."""
    return (
        f"cp -a {path} /run/fault; sed '{edit}' {path} >/run/faulty; rm {path}; cp /run/faulty {path}",
        f"rm {path}; cp -a /run/fault {path}",
    )


def mode(path: str, wrong: str) -> tuple[str, str]:
    return f"stat -c %a {path} >/run/fault; chmod {wrong} {path}", f"chmod $(cat /run/fault) {path}"


def cut(rule: str, hook: str = "output") -> tuple[str, str]:
    """Make and mend: packets do not get through."""
    chain = f"add chain inet fault cut {{ type filter hook {hook} priority 0; }}"
    return (
        f"nft add table inet fault; nft '{chain}'; nft 'add rule inet fault cut {rule}'",
        "nft delete table inet fault",
    )


def new(to: str, port: int) -> str:
    """Of connections that begin; those that are open stay, and with them what the node does meanwhile."""
    return f"ip daddr @{to}@ tcp dport {port} tcp flags & (syn | ack) == syn"


def alone(
    check: str,
    on: str,
    do: tuple[str, str],
    *companions: str,
    beside: tuple[str, ...] = (),
) -> Fault:
    """One that is asked for where it is alone, in the packs of these checks: a matter of seconds."""
    return Fault(check, on, *do, companions=companions, beside=beside)


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


RULES = "systemctl reload nftables.service"
KEYS = "/root/.ssh/authorized_keys"
KUBELET = "/run/k0s/kubelet/config.yaml"
TO_W1 = ("network.peers.kubelets_of_the_workers", "network.peers.agents_of_the_pod_network")
"""Who cannot reach w1 at all cannot reach these."""
WITHOUT_API = tuple(
    f"k0s.kubelet.{name}"
    for name in ("node_is_ready", "node_is_schedulable", "node_has_its_address", "system_pods_run")
)
"""What is asked of the API, and cannot be asked where no way leads there."""

ALONE = (
    alone(
        "os.disk.boot_has_room",
        "w2",
        ("mount -t tmpfs -o size=20m none /boot", "umount /boot"),
    ),
    alone(
        "os.disk.generations_are_few",
        "w2",
        (
            f"for i in $(seq 70001 70100); do ln -s /nowhere {PROFILE}-$i-link; done",
            f"for i in $(seq 70001 70100); do rm {PROFILE}-$i-link; done",
        ),
    ),
    alone("os.disk.is_not_near_full", "w2", other(KUBELET, "s/nodefs.available: .*/nodefs.available: 100%/")),
    alone(
        "os.ssh.keys_are_declared",
        "w2",
        (f"cp -a {KEYS} /run/fault; echo 'ssh-ed25519 AAAAC3Nz stranger' >>{KEYS}", f"cp -a /run/fault {KEYS}"),
    ),
    alone("os.ssh.settings_are_safe", "w2", other("/etc/ssh/sshd_config", "1iX11Forwarding yes")),
    alone("network.listening.sshd", "w2", ("systemctl stop sshd.service", "systemctl start sshd.service")),
    alone(
        "network.address.has_its_prefix",
        "w2",
        (
            "ip address add @w2@/23 dev host0; ip address del @w2@/24 dev host0",
            "ip address add @w2@/24 dev host0; ip address del @w2@/23 dev host0",
        ),
    ),
    alone(
        "network.path.leaves_by_the_declared_link",
        "w2",
        (
            "ip link add fault0 type veth peer name fault1; ip link set fault1 up; ip link set fault0 up;"
            " ip route add @w1@/32 dev fault0 src @w2@",
            "ip link delete fault0",
        ),
        *TO_W1,
    ),
    alone(
        "network.path.nodes_answer_for_their_addresses",
        "w2",
        (
            "ip neighbour replace @w1@ lladdr 02:00:00:00:00:fe dev host0 nud permanent",
            "ip neighbour delete @w1@ dev host0",
        ),
        *TO_W1,
        beside=tuple(f"w1: {check}" for check in TO_W1),
    ),
    alone(
        "network.peers.api_of_the_controllers",
        "w2",
        cut(f"{new('cp1', 6443)} drop"),
        # Without a port that answers, the silence of others would prove nothing.
        "network.peers.etcd_is_closed_to_workers",
    ),
    alone("network.peers.konnectivity_of_the_controllers", "w2", cut(f"{new('cp1', 8132)} drop")),
    alone("network.peers.kubelets_of_the_workers", "w2", cut(f"{new('w1', 10250)} drop")),
    alone("network.peers.agents_of_the_pod_network", "w2", cut(f"{new('w1', 4240)} drop")),
    alone(
        "network.single.address_is_on_no_other_node",
        "w2",
        # It answers nobody who looks for w1.
        (
            "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; ip address add @w1@/32 dev lo",
            "ip address del @w1@/32 dev lo; echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore",
        ),
        # What goes to w1 stays here.
        "network.path.leaves_by_the_declared_link",
        "network.path.large_packets_arrive",
    ),
    alone(
        "network.tunnel.is_let_in",
        "w2",
        (
            "nft delete rule inet nixos-fw input-allow handle"
            " $(nft -a list chain inet nixos-fw input-allow | sed -n 's/.*udp dport 8472 accept # handle //p')",
            RULES,
        ),
    ),
    alone(
        "network.way_back.is_left_open_by_the_links",
        "w2",
        (
            "echo 1 >/proc/sys/net/ipv4/conf/host0/rp_filter",
            "echo 2 >/proc/sys/net/ipv4/conf/host0/rp_filter",
        ),
    ),
    alone(
        "network.way_back.is_left_open_by_the_rules",
        "w2",
        ("nft add rule inet nixos-fw rpfilter fib saddr . mark . iif oif missing drop", RULES),
    ),
    alone(
        "k0s.certificates.have_days_left",
        "cp1",
        (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=fault -keyout /dev/null"
            " -out /var/lib/k0s/pki/slipway-fault.crt 2>/dev/null",
            "rm /var/lib/k0s/pki/slipway-fault.crt",
        ),
    ),
    alone("k0s.config.is_that_of_the_inventory", "cp1", other("/etc/k0s/k0s.yaml", "s/10[.]244[.]/10.9./")),
    alone("k0s.config.kubelet_has_the_clusters_names", "w2", other(KUBELET, "s/cluster[.]local/other.local/")),
    alone(
        "k0s.config.network_is_the_provider_of_the_inventory",
        "w2",
        (
            "cd /etc/cni/net.d; cp 05-cilium.conflist 01-other.conflist",
            "rm /etc/cni/net.d/01-other.conflist",
        ),
    ),
    alone(
        "k0s.kubelet.reaches_the_api",
        "w2",
        cut("ip daddr @cp1@ tcp dport 6443 reject with tcp reset"),
        *WITHOUT_API,
    ),
    alone(
        "k0s.privileges.admin_kubeconfig_is_roots",
        "cp1",
        mode("/var/lib/k0s/pki/admin.conf", "0644"),
        "security.keys.are_kept_from_others",
    ),
    alone("k0s.privileges.secrets_are_encrypted", "cp1", mode("/etc/k0s/encryption.json", "0444")),
    alone(
        "k0s.unit.has_no_twin",
        "w2",
        ("systemd-run --quiet --collect --unit=k0sworker sleep infinity", "systemctl stop k0sworker.service"),
    ),
    alone(
        "k0s.control_plane.reaches_the_kubelets",
        "cp1",
        cut("ip daddr @w2@ tcp dport 10250 reject with icmp admin-prohibited"),
    ),
    alone(
        "kubernetes.admission.takes_a_canary",
        "cp1",
        (
            f"""echo '{WEBHOOK}' | {KUBECTL} create -f -""",
            f"{KUBECTL} delete validatingwebhookconfiguration slipway-fault",
        ),
    ),
    alone(
        "kubernetes.pods.pods_reach_each_other",
        "w2",
        # The quotes end and begin those of `cut`.
        cut("ip daddr '$(ip route | sed -n \"s/ via @w1@ .*//p\")' tcp dport 9 drop", "forward"),
    ),
    alone("kubernetes.pods.pods_reach_services", "w2", cut("udp dport 53 drop", "forward")),
    alone(
        "security.keys.are_kept_from_others",
        "w2",
        ("install -m 0644 /dev/null /etc/ssh/ssh_host_fault_key", "rm /etc/ssh/ssh_host_fault_key"),
    ),
    alone("security.ports.are_declared", "w2", (listen(8000), STOP)),
)

OF_SEVERAL = (
    alone(
        "k0s.balancer.listens_where_localhost_leads",
        "w1",
        other("/etc/hosts", "s/^127[.]0[.]0[.]1 /127.0.0.9 /; /^::1 /d"),
    ),
    alone(
        "k0s.balancer.leads_to_an_api_server",
        "w1",
        cut("tcp dport 7443 reject with tcp reset"),
        "k0s.kubelet.reaches_the_api",
    ),
    alone(
        "k0s.balancer.kubelet_goes_by_it",
        "w1",
        other("/run/k0s/nllb/kubeconfig.yaml", "s,server: .*,server: https://@cp1@:6443,"),
    ),
    alone("network.peers.etcd_of_the_controllers", "cp2", cut(f"{new('cp1', 2380)} drop")),
    alone("network.peers.join_port_of_the_controllers", "cp2", cut(f"{new('cp1', 9443)} drop")),
)
"""For three controllers and a worker (test_ha.py)."""

IN_TESTS = {
    "os.system.machine_id_is_its_own": "test_verify.py",
    "network.listening.kubelet": "test_verify.py",
    "k0s.unit.is_active": "test_verify.py",
    "k0s.unit.answers": "test_verify.py",
    "k0s.kubelet.is_healthy": "test_verify.py",
    "k0s.kubelet.system_pods_run": "test_verify.py",
    "k0s.control_plane.api_server_is_ready": "test_ha.py",
    "k0s.unit.has_its_version": "test_ha.py",
    "network.single.virtual_address_is_held_once": "test_ha.py",
}
"""Checks that a test of another shape sees red."""

UNIT_ONLY = {
    "hardware.": "the lab's machines share this computer's hardware, and are asked nothing of it",
    "os.clock.": "the lab's machines share this computer's clock",
    "os.kernel.modules_are_there": "the lab's machines share this computer's kernel",
    "os.disk.has_room": "the disk would be this computer's",
    "os.disk.has_inodes": "the disk would be this computer's",
    "os.journal.has_nothing_critical": "what a journal holds stays in it for the tests that follow",
    "os.links.": "a machine of the lab has one card, and neither bond nor VLAN nor bridge",
    "os.mounts.": "a machine of the lab formats no disk and has no fstab",
    "os.storage.": "the lab's inventory names no storage of others",
    "os.users.accounts_are_declared": "the lab's inventory names no account",
    "network.address.has_its_other_addresses": "the lab's machines have one address",
    "network.address.has_its_second_address": "the lab's machines have one address",
    "network.address.is_on_its_link": "a machine without the link cannot be asked",
    "network.names.servers": "the lab's inventory names no name server",
    "network.routes.default_goes_by_the_gateway": "the lab's inventory names no gateway",
    "network.listening.api_server": "a cluster of one controller would be without its API for all tests that follow",
    "k0s.control_plane.members_are_the_controllers": "a member of etcd that left would have to be brought back",
    "k0s.privileges.api_knows_its_callers": "kube-apiserver would have to be started otherwise",
    "k0s.privileges.kubelet_knows_its_callers": "kubelet would have to be started otherwise",
    "k0s.privileges.mirror_passwords_are_roots": "the lab's inventory names no mirror that asks for a password",
    "k0s.sysinfo.rejects_nothing": "it judges this computer's kernel",
    "k0s.unit.has_its_proxy": "the lab's inventory names no proxy",
    "k0s.unit.has_its_role": "a node cannot change its role",
    "k0s.kubelet.keeps_its_reserves": "the lab's inventory reserves nothing",
    "k0s.kubelet.node_is_ready": "kubelet itself writes over what a test would say in its name",
    "k0s.kubelet.node_has_its_address": "kubelet itself writes over what a test would say in its name",
    "kubernetes.node.heartbeat_is_fresh": "kubelet would have to be silent for most of a minute",
    "kubernetes.node.is_under_no_pressure": "kubelet itself writes over what a test would say in its name",
    "kubernetes.node.has_": "the lab's inventory names no label, taint or second address, and ranges are fixed",
    "kubernetes.cilium.": "Flux owns the release, and mends it at a time of its own",
    "kubernetes.pods.canary_runs": "containerd would have to fail, and with it all pods of the node",
}
"""Checks, or beginnings of their names, to why only unit tests break them (tests/unit/verify/controls.yaml)."""
