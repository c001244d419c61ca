"""The generated rules in a kernel: who reaches which port of a node. Network namespaces stand in for the machines."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from tests.unit.nixos.conftest import MACHINE, NIXOS

from slipway.generate import tree
from slipway.inventory import load
from slipway.result import CommandFailed, CommandResult
from slipway.tools.run import run

pytestmark = pytest.mark.lab

SSH, WEB, ETCD, ETCD_PEERS, HEALTH, HUBBLE, API = 22, 80, 2379, 2380, 4240, 4244, 6443
KONNECTIVITY, METRICS, K0S_API, PROXY, KUBELET, CONTROLLER_MANAGER = 8132, 9100, 9443, 10000, 10250, 10257
PORTS = (
    SSH, WEB, ETCD, ETCD_PEERS, HEALTH, HUBBLE, API, KONNECTIVITY, METRICS, K0S_API, PROXY, KUBELET,
    CONTROLLER_MANAGER,
)  # fmt: skip
NODE, CONTROLLER, STRANGER, POD, REMOTE_POD = "10.0.0.11", "10.0.0.12", "198.51.100.7", "10.244.0.5", "10.244.1.5"
LINKS = {"cilium": "lxc12", "kuberouter": "kube-bridge", "calico": "cali12"}
SETTINGS = 'apiFrom = [ "192.0.2.0/24" ]; allowedTCPPorts = [ 80 ]; podTCPPorts = [ 9100 ];'
"""SSH is open to everybody, as it is by default: pods are nobody."""

LISTEN = """
import socket, sys, selectors
chosen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    chosen.register(socket.create_server(("", port)), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        key.fileobj.accept()[0].close()
"""
# All at once: what is dropped gives no answer, and the wait for it is the same for all.
CONNECT = """
import json, select, socket, sys
target, source, mark, *ports = sys.argv[1:]
poll, tried = select.poll(), {}
for port in map(int, ports):
    one = socket.socket()
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(mark))
    one.bind((source, 0))
    one.connect_ex((target, port))
    tried[one.fileno()] = (one, port)
    poll.register(one, select.POLLOUT)
reached, waited = set(), 800
while ready := poll.poll(waited):
    for number, _ in ready:
        one, port = tried[number]
        poll.unregister(number)
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            reached.add(port)
print(json.dumps(sorted(reached)))
"""


@dataclass(frozen=True)
class Place:
    """A network namespace."""

    name: str

    def run(self, *words: object) -> str:
        return run(["ip", "netns", "exec", self.name, *map(str, words)]).stdout

    def ip(self, *commands: str) -> None:
        for command in commands:
            run(["ip", "-n", self.name, *command.split()])

    def reaches(self, source: str, *, target: str = NODE, mark: int = 0, ports: tuple[int, ...] = PORTS) -> set[int]:
        return set(json.loads(self.run(sys.executable, "-c", CONNECT, target, source, mark, *ports)))


@dataclass(frozen=True)
class Ground:
    node: Place
    pod: Place
    outside: Place
    link: str

    def nft(self, text: str) -> None:
        """As NixOS checks rules: by the protocol names of iana-etc."""
        script = f'mount --bind {NIXOS}/lab/protocols /etc/protocols; echo "$1" | nft -f -'
        self.node.run("sh", "-ec", script, "sh", text)


EXAMPLES = NIXOS.parent / "examples"
CHECK = f"mount --bind {NIXOS}/lab/protocols /etc/protocols; nft --check --file -"


@pytest.mark.parametrize("example", ["homelab", "large", "single"])
def test_nft_takes_the_rules_of_every_machine_of_the_examples(example, nix_value, tmp_path):
    """As NixOS asks it while it builds a system."""
    for path, content in tree.render(load(EXAMPLES / example)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    of = f"{{ root = {tmp_path}; specialArgs = {{ }}; inherit (import {NIXOS}/lab) nixosSystem; }}"
    rules = nix_value(f"""
        builtins.mapAttrs (_: system: system.config.environment.etc."nftables.conf".text)
          (import {NIXOS}/lib/configurations.nix {of})
    """)
    assert set(rules) == {host.name for host in load(EXAMPLES / example).hosts}
    for name, text in rules.items():
        assert checked(text).ok, name


@pytest.mark.parametrize("protocol", ["ipencap", "nobody"])
def test_control_nft_refuses_what_nixos_would(protocol):
    """Debian knows the first one, and iana-etc does not."""
    rules = "table inet one {{\n chain two {{\n meta l4proto {} accept\n }}\n}}\n"
    assert checked(rules.format("4")).ok
    assert not checked(rules.format(protocol)).ok


def checked(rules: str) -> CommandResult:
    """In namespaces of its own, where protocols are those of iana-etc and nothing is loaded."""
    return run(["unshare", "--net", "--mount", "sh", "-ec", CHECK], input=rules.encode(), check=False)


@pytest.fixture(params=LINKS)
def provider(request) -> str:
    return str(request.param)


@pytest.fixture
def rules(nix_value, provider) -> str:
    """The whole ruleset of a controller that runs pods."""
    return str(
        nix_value(f"""
        let
          lab = import {NIXOS}/lab;
          machine = {{ lib, ... }}: {{ {MACHINE} slipway.role = "controller+worker"; }};
          more = {{ slipway = {{ cluster.provider = "{provider}"; firewall = {{ {SETTINGS} }}; }}; }};
          system = lab.nixosSystem {{ modules = [ {NIXOS}/modules machine more ]; }};
        in
        system.config.environment.etc."nftables.conf".text
    """)
    )


@pytest.fixture
def ground(provider) -> Iterator[Ground]:
    """A node with a link to a pod and one to everybody else; no rules yet, and something listens on every port."""
    places = [Place(f"slipway-test-{os.getpid()}-{name}") for name in ("node", "pod", "outside")]
    node, pod, outside = places
    ground = Ground(node, pod, outside, LINKS[provider])
    try:
        for place in places:
            run(["ip", "netns", "add", place.name])
            place.ip("link set lo up")
        _wire(ground)
        with _listening(node, PORTS), _listening(pod, (WEB,)):
            yield ground
    finally:
        for place in places:
            run(["ip", "netns", "delete", place.name], check=False)


def _wire(ground: Ground) -> None:
    ground.node.ip(
        f"link add {ground.link} type veth peer name eth0 netns {ground.pod.name}",
        f"link add eno1 type veth peer name eth0 netns {ground.outside.name}",
        f"address add {NODE}/24 dev eno1", "link set eno1 up", f"link set {ground.link} up",
        f"route add {POD}/32 dev {ground.link}", f"route add {STRANGER}/32 dev eno1",
        "route add 10.244.1.0/24 dev eno1",
    )  # fmt: skip
    ground.pod.ip(f"address add {POD}/32 dev eth0", "link set eth0 up", f"route add {NODE} dev eth0")
    ground.outside.ip(f"address add {CONTROLLER}/24 dev eth0", "link set eth0 up")
    ground.outside.ip(f"address add {STRANGER}/32 dev eth0", f"address add {REMOTE_POD}/32 dev eth0")


@contextmanager
def _listening(place: Place, ports: tuple[int, ...]) -> Iterator[None]:
    argv = ["ip", "netns", "exec", place.name, sys.executable, "-c", LISTEN, *map(str, ports)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


OPEN = {WEB, API, KONNECTIVITY, KUBELET}
"""To pods and nodes alike."""
FOR_PODS = OPEN | {METRICS}


def hubble(provider: str) -> set[int]:
    return {HUBBLE} if provider == "cilium" else set()


def test_without_rules_everything_is_reached(ground):
    """The control: what is not reached below is not reached because of a rule."""
    assert ground.pod.reaches(POD) == ground.outside.reaches(STRANGER) == set(PORTS)


def test_pods_reach_the_named_ports_alone(ground, rules, provider):
    ground.nft(rules)
    assert ground.pod.reaches(POD) == FOR_PODS | hubble(provider)


def test_pods_of_other_nodes_reach_the_same(ground, rules, provider):
    """Under their own address, where the pod network does not translate it."""
    ground.nft(rules)
    assert ground.outside.reaches(REMOTE_POD) == FOR_PODS | hubble(provider)


def test_trust_in_the_link_would_open_everything(ground, rules):
    """The control: what this firewall said before."""
    ground.nft(rules)
    ground.nft(f'insert rule inet nixos-fw input-allow iifname "{ground.link}" accept')
    assert ground.pod.reaches(POD) == set(PORTS)


def test_nodes_and_strangers_reach_theirs(ground, rules, provider):
    ground.nft(rules)
    of_network = {HEALTH, HUBBLE} if provider == "cilium" else set()
    assert ground.outside.reaches(CONTROLLER) == {SSH, ETCD_PEERS, K0S_API} | OPEN | of_network
    assert ground.outside.reaches(STRANGER) == {SSH, WEB}


def test_the_node_reaches_its_pods(ground, rules):
    """kubelet's probes: answers come in by the pods' link."""
    ground.nft(rules)
    assert ground.node.reaches(NODE, target=POD, ports=(WEB,)) == {WEB}


MARKS = f"""table inet cilium-stands-in {{
    chain prerouting {{
        type filter hook prerouting priority mangle;
        tcp dport {PROXY} meta mark set 0x200
    }}
}}"""


@pytest.mark.parametrize("provider", ["cilium"], indirect=True)
def test_what_cilium_hands_to_its_proxy_comes_in_and_a_pod_cannot_feign_it(ground, rules):
    """Cilium routes what it has marked to the machine itself, which a check of the way back takes for no way."""
    ground.nft(rules)
    assert ground.pod.reaches(POD, mark=0x200, ports=(PROXY,)) == set()
    ground.nft(MARKS)
    ground.node.ip("rule add fwmark 0x200/0xf00 lookup 2004", "route add local default dev lo table 2004")
    assert ground.pod.reaches(POD, ports=(PROXY, SSH)) == {PROXY}
    ground.nft("flush chain inet nixos-fw rpfilter-allow")
    assert ground.pod.reaches(POD, ports=(PROXY, SSH)) == set()


def test_names_that_debian_alone_knows_are_refused_here(ground):
    with pytest.raises(CommandFailed, match="ipencap"):
        ground.nft("add table inet one; add chain inet one two; add rule inet one two meta l4proto ipencap accept")
    ground.nft("add table inet one; add chain inet one two; add rule inet one two meta l4proto { 4, vrrp } accept")
