"""What slipway's modules make of their options: units, files, firewall, refusals."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.nixos.conftest import NIXOS

from slipway.generate import pod_network
from slipway.inventory import load
from slipway.inventory.model import Cilium, Provider

Evaluate = Callable[..., Any]

ROLES = ("controller", "controller+worker", "worker", "single")
UNIT = "config.systemd.services.k0s"
DATABASES = ("/var/lib/k0s/etcd/member/snap/db", "/var/lib/k0s/db/state.db")


def assertions(more: str = "") -> str:
    return "map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)" + more


@pytest.mark.parametrize("role", ROLES)
def test_every_role_evaluates_without_complaint(evaluate, role):
    assert evaluate(assertions(), role) == []
    assert evaluate("config.system.build.toplevel.name", role) == "slipway-lab-system-n1"


# --- k0s -------------------------------------------------------------------------------------------------------------


def start_script(evaluate: Evaluate, role: str, more: str = "") -> str:
    return str(evaluate(f"{UNIT}.serviceConfig.ExecStart.script", role, more))


@pytest.mark.parametrize("role", ["controller", "controller+worker"])
def test_a_controller_founds_a_cluster_only_where_the_sentinel_lies(evaluate, role):
    script = start_script(evaluate, role)
    assert "if [ ! -e /var/lib/slipway/allow-bootstrap ]; then" in script
    assert "--token-file=/etc/k0s/k0stoken" in script


def test_a_worker_always_has_its_token(evaluate):
    script = start_script(evaluate, "worker")
    assert "if true; then" in script
    assert "allow-bootstrap" not in script


def test_a_single_node_has_no_token(evaluate):
    assert "--token-file" not in start_script(evaluate, "single")


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("worker", ["|/var/lib/k0s/kubelet.conf"]),
        ("single", [f"|{path}" for path in (*DATABASES, "/var/lib/slipway/allow-bootstrap")]),
        ("controller", [f"|{path}" for path in (*DATABASES, "/var/lib/slipway/allow-bootstrap")]),
    ],
)
def test_k0s_waits_until_it_may_start(evaluate, role, paths):
    """Each condition begins with `|`: one of them is enough."""
    conditions = evaluate(f"{UNIT}.unitConfig", role)
    assert conditions["ConditionPathExists"] == paths
    assert ("ConditionFileNotEmpty" in conditions) == (role != "single")


def test_activation_never_restarts_a_controller(evaluate):
    assert evaluate(f"{UNIT}.restartIfChanged", "controller") is False
    assert evaluate(f"{UNIT}.restartIfChanged", "controller+worker") is False


def test_pods_outlive_a_restart(evaluate):
    service = evaluate(f'removeAttrs {UNIT}.serviceConfig [ "ExecStart" ]', "worker")
    assert service["KillMode"] == "process"
    assert (service["Restart"], service["RestartSec"], service["Delegate"]) == ("always", 10, "yes")


def test_flags_of_a_worker(evaluate):
    more = """slipway.k0s = { labels."a/b" = "c"; labels.d = "it's"; taints = [ "x=y:NoSchedule" ]; profile = "big";
                            kubeletExtraArgs.max-pods = "200"; };"""
    script = start_script(evaluate, "worker", more)
    for word in (
        "--kubelet-extra-args=--max-pods=200 --node-ip=10.0.0.11", "--labels=a/b=c,d=it", "--taints=x=y:NoSchedule",
        "--profile=big",
    ):  # fmt: skip
        assert word in script


@pytest.mark.parametrize("role", ROLES)
def test_more_flags_are_words_of_their_own(evaluate, role):
    more = 'slipway.k0s.extraFlags = [ "--debug" "--logging=etcd=$(id) b" ];'
    arguments = start_script(evaluate, role, more).partition("set -- ")[2].partition("\n")[0]
    assert arguments.replace("'\\''", "'").endswith("--debug '--logging=etcd=$(id) b'")


def test_flags_of_the_roles(evaluate):
    assert "--enable-worker --no-taints" in start_script(evaluate, "controller+worker").replace("'", "")
    assert "--single" in start_script(evaluate, "single")
    assert "--kubelet-extra-args" not in start_script(evaluate, "controller")


def test_a_controller_without_its_file_is_refused(evaluate):
    found = evaluate(assertions(), "controller", "slipway.k0s.configFile = lib.mkForce null;")
    assert found == ["slipway: a controller needs slipway.k0s.configFile"]


# --- firewall --------------------------------------------------------------------------------------------------------

RULES = "config.networking.firewall.extraInputRules"
PEERS = "ip saddr { 10.0.0.0/24, 10.244.0.0/16 }"
NODES = "ip saddr { 10.0.0.0/24 }"


def rules(evaluate: Evaluate, role: str, more: str = "") -> list[str]:
    return str(evaluate(RULES, role, more)).strip().splitlines()


PODS_END = ['iifname "lxc*" drop', "ip saddr { 10.244.0.0/16 } drop", "tcp dport { 22 } accept"]
"""Pods reach what is opened before this; SSH, however wide it is open, is for others."""


def test_a_controller_opens_its_ports_to_those_who_need_them(evaluate):
    assert rules(evaluate, "controller") == [
        "tcp dport { 6443 } accept",
        f"{PEERS} tcp dport {{ 8132 }} accept",
        "ip6 saddr { fd00::/64 } tcp dport { 8132 } accept",
        "ip saddr { 10.0.0.11, 10.0.0.12 } tcp dport { 9443, 2380 } accept",
        *PODS_END,
    ]


def test_a_worker_opens_kubelet_and_cilium(evaluate):
    """Hubble's relay is a pod, and asks the agent of its own node under its own address."""
    assert rules(evaluate, "worker") == [
        f"{PEERS} tcp dport {{ 10250 }} accept",
        "ip6 saddr { fd00::/64 } tcp dport { 10250 } accept",
        f"{NODES} tcp dport {{ 4240 }} accept",
        "ip6 saddr { fd00::/64 } tcp dport { 4240 } accept",
        f"{PEERS} tcp dport {{ 4244 }} accept",
        "ip6 saddr { fd00::/64 } tcp dport { 4244 } accept",
        f"{NODES} udp dport {{ 8472 }} accept",
        "ip6 saddr { fd00::/64 } udp dport { 8472 } accept",
        "meta mark & 0xf00 == 0x200 accept",
        *PODS_END,
    ]


def test_cilium_opens_what_it_uses(evaluate):
    more = 'slipway.cluster.cilium = { routing = "native"; encryption = "wireguard"; hubble = false; };'
    found = "\n".join(rules(evaluate, "worker", more))
    assert f"{NODES} udp dport {{ 51871 }} accept" in found
    assert f"{NODES} tcp dport {{ 4240 }} accept" in found
    assert "8472" not in found


@pytest.mark.parametrize(
    ("provider", "rule"),
    [("kuberouter", f"{NODES} tcp dport {{ 179 }} accept"), ("calico", f"{NODES} udp dport {{ 4789 }} accept")],
)
def test_other_networks_have_other_ports(evaluate, provider, rule):
    found = rules(evaluate, "worker", f'slipway.cluster.provider = "{provider}";')
    assert rule in found
    assert "4240" not in "\n".join(found)


@pytest.mark.parametrize("routing", ["vxlan", "geneve", "native"])
@pytest.mark.parametrize("provider", Provider)
def test_what_verification_tries_is_what_the_rules_open(evaluate, provider, routing):
    """Both read one table; the rules are what a kernel would see of it."""
    example = load(NIXOS.parent / "examples/single")
    network = example.cluster.network.model_copy(update={"provider": provider, "cilium": Cilium(routing=routing)})
    inventory = replace(example, cluster=example.cluster.model_copy(update={"network": network}))
    more = f'slipway.cluster = {{ provider = "{provider}"; cilium.routing = "{routing}"; }};'
    found = set(re.findall(r"(tcp|udp) dport \{ (\d+) \} accept", "\n".join(rules(evaluate, "worker", more))))
    opened = {(each.protocol, str(each.port)) for each in pod_network.openings(inventory) if each.port}
    assert found - {("tcp", "10250"), ("tcp", "22")} == opened


def test_a_virtual_address_lets_controllers_speak_vrrp(evaluate):
    found = rules(evaluate, "controller", 'slipway.cluster.vip = "10.0.0.10";')
    assert "ip saddr { 10.0.0.11, 10.0.0.12 } meta l4proto 112 accept" in found
    assert "tcp dport { 6443, 6444 } accept" in found


def test_sources_can_be_limited(evaluate):
    more = 'slipway.firewall = { sshFrom = [ "192.0.2.0/24" ]; apiFrom = [ "192.0.2.7/32" ]; };'
    found = rules(evaluate, "controller", more)
    assert found[-1] == "ip saddr { 192.0.2.0/24 } tcp dport { 22 } accept"
    assert "ip saddr { 192.0.2.7/32, 10.0.0.0/24, 10.244.0.0/16 } tcp dport { 6443 } accept" in found


def test_pods_may_be_let_in_to_more(evaluate):
    found = rules(evaluate, "worker", "slipway.firewall = { podTCPPorts = [ 9100 ]; podUDPPorts = [ 9125 ]; };")
    assert found[-5:] == [
        "ip saddr { 10.244.0.0/16 } tcp dport { 9100 } accept",
        "ip saddr { 10.244.0.0/16 } udp dport { 9125 } accept",
        *PODS_END,
    ]


def test_rules_open_ranges_to_some(evaluate):
    more = """slipway.firewall.rules = [ { ports = [ "9100" "9200-9299" ]; from = [ "nodes" "192.0.2.0/24" ]; }
        { ports = [ "53" ]; protocol = "udp"; from = [ "pods" ]; } { ports = [ "80" ]; } ];"""
    assert rules(evaluate, "worker", more)[-7:] == [
        "ip saddr { 10.244.0.0/16 } udp dport { 53 } accept",
        "tcp dport { 80 } accept",
        *PODS_END[:-1],
        "ip saddr { 10.0.0.0/24, 192.0.2.0/24 } tcp dport { 9100, 9200-9299 } accept",
        "ip6 saddr { fd00::/64 } tcp dport { 9100, 9200-9299 } accept",
        PODS_END[-1],
    ]


def test_a_rule_for_nobody_opens_to_nobody(evaluate):
    more = """slipway.cluster.podNetworks = lib.mkForce [ ];
        slipway.firewall.rules = [ { ports = [ "9100" ]; from = [ "pods" ]; } ];"""
    assert not any("9100" in rule for rule in rules(evaluate, "worker", more))


@pytest.mark.parametrize("provider", ["cilium", "kuberouter", "calico"])
@pytest.mark.parametrize("role", ROLES)
def test_protocols_are_known_to_nixos(evaluate, role, provider):
    more = f'slipway.cluster = {{ provider = "{provider}"; vip = "10.0.0.10"; }};'
    assert evaluate(assertions(), role, more) == []


def test_pods_without_a_network_shut_nobody_out(evaluate):
    assert "drop" not in rules(evaluate, "worker", "slipway.cluster.podNetworks = lib.mkForce [ ];")


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("meta l4proto ipencap accept", ["ipencap"]),
        ("meta l4proto { tcp, ipencap, 4 } accept", ["ipencap"]),
        ("ip protocol != ipencap drop", ["ipencap"]),
        ("meta l4proto { vrrp, 112, icmpv6 } accept", []),
    ],
)
def test_a_protocol_that_debian_alone_knows_is_refused_as_by_nixos(evaluate, rule, refused):
    found = evaluate(assertions(), "worker", f'networking.firewall.extraInputRules = "{rule}";')
    assert [line.split()[5] for line in found] == refused


# --- kernel ----------------------------------------------------------------------------------------------------------

MODULES = "config.boot.kernelModules"
SETTINGS = "config.boot.kernel.sysctl"
LEGACY = ("ip_tables", "iptable_", "ip6_tables", "ip6table_")
"""Missing from kernels of 6.17 and later as nixpkgs builds them (NETFILTER_XTABLES_LEGACY)."""


@pytest.mark.parametrize("provider", ["cilium", "kuberouter", "calico"])
def test_no_module_is_demanded_that_newer_kernels_lack(evaluate, provider):
    more = f'slipway.cluster = {{ provider = "{provider}"; dualStack = true; }};'
    demanded = evaluate(MODULES, more=more)
    assert "br_netfilter" in demanded
    assert [name for name in demanded if name.startswith(LEGACY)] == []


def test_iptables_of_old_is_loaded_where_it_is_there(evaluate):
    """`-` before the program: a module that is missing is no failure."""
    command = "config.systemd.services.slipway-iptables.serviceConfig.ExecStart"
    program, *words = evaluate(command).split()
    assert program.startswith("-")
    assert words == ["--all", "--quiet", "iptable_nat", "iptable_mangle", "iptable_raw", "iptable_filter"]
    assert "ip6table_nat" in evaluate(command, more="slipway.cluster.dualStack = true;").split()


@pytest.mark.parametrize(
    ("cilium", "wanted"),
    [
        ("", {"vxlan"}),
        ('routing = "geneve";', {"geneve"}),
        ('routing = "native";', set()),
        ('routing = "native"; encryption = "wireguard";', {"wireguard"}),
        ('encryption = "wireguard";', {"vxlan", "wireguard"}),
    ],
)
def test_cilium_has_the_modules_of_its_tunnel_and_its_encryption(evaluate, cilium, wanted):
    found = evaluate(MODULES, more=f"slipway.cluster.cilium = {{ {cilium} }};")
    assert set(found) & {"vxlan", "geneve", "wireguard"} == wanted


def rp_filter(evaluate: Evaluate, provider: str) -> dict[str, int]:
    found = evaluate(SETTINGS, more=f'slipway.cluster.provider = "{provider}";')
    return {key.split(".")[3]: value for key, value in found.items() if key.endswith(".rp_filter")}


def test_the_way_back_is_left_to_the_pod_network(evaluate):
    """Cilium's own sysctlfix is off; Felix sets pods' links to 1 and refuses `all` at 2; kube-router needs nothing."""
    assert rp_filter(evaluate, "cilium") == {"all": 0, "default": 0, "lxc*": 0, "cilium_*": 0}
    assert rp_filter(evaluate, "calico") == {"all": 0, "cali*": 1}
    assert rp_filter(evaluate, "kuberouter") == {}
    checked = "config.networking.firewall.extraReversePathFilterRules"
    assert evaluate(checked) == "meta mark & 0xf00 == 0x200 accept\n"
    assert evaluate(checked, more='slipway.cluster.provider = "calico";') == ""


def test_the_labs_machines_have_the_defaults_that_every_nixos_has(evaluate):
    path = evaluate('toString config.environment.etc."sysctl.d/50-default.conf".source')
    lines = Path(path).read_text().splitlines()
    assert "net.ipv4.conf.*.rp_filter = 2" in lines
    assert "-net.ipv4.conf.all.rp_filter" in lines


# --- links -----------------------------------------------------------------------------------------------------------

NETWORKS = """builtins.mapAttrs
    (_: n: { inherit (n) address matchConfig linkConfig networkConfig bond bridge vlan; })
    config.systemd.network.networks"""


def test_a_static_address(evaluate):
    link = evaluate(NETWORKS, more='slipway.network.gateway = "10.0.0.1";')["10-eno1"]
    assert link["address"] == ["10.0.0.11/24"]
    assert link["matchConfig"] == {"Name": "eno1"}
    assert link["linkConfig"] == {"RequiredForOnline": "routable"}


def test_a_vlan_on_a_bond(evaluate):
    more = """slipway.network = { interface = lib.mkForce "bond0.7"; mtu = 9000;
        bonds.bond0.interfaces = [ "eno1" "eno2" ]; vlans."bond0.7" = { id = 7; interface = "bond0"; }; };"""
    links = evaluate(NETWORKS, more=more)
    assert links["10-bond0.7"]["address"] == ["10.0.0.11/24"]
    assert links["10-bond0"]["vlan"] == ["bond0.7"]
    assert links["10-bond0"]["address"] == []
    assert links["10-eno1"]["bond"] == links["10-eno2"]["bond"] == ["bond0"]
    assert all(links[f"10-{name}"]["linkConfig"]["MTUBytes"] == "9000" for name in ("eno1", "eno2", "bond0", "bond0.7"))
    netdevs = evaluate("config.systemd.network.netdevs", more=more)
    assert netdevs["10-bond0"]["bondConfig"]["Mode"] == "802.3ad"
    assert netdevs["10-bond0.7"]["vlanConfig"] == {"Id": 7}


def test_a_card_known_by_its_mac(evaluate):
    more = 'slipway.network = { interface = lib.mkForce null; mac = "02:00:00:00:00:01"; };'
    link = evaluate(NETWORKS, more=more)["10-primary"]
    assert link["matchConfig"] == {"PermanentMACAddress": "02:00:00:00:00:01"}


def test_a_second_link_does_not_keep_the_node_from_starting(evaluate):
    more = """slipway.network.links.eno9 = {
        addresses = [ "10.9.0.1/24" ]; routes = [ { to = "10.8.0.0/16"; via = "10.9.0.9"; } ]; };"""
    assert evaluate(NETWORKS, more=more)["10-eno9"]["linkConfig"] == {"RequiredForOnline": False}
    routes = evaluate('config.systemd.network.networks."10-eno9".routes', more=more)
    assert routes == [{"Destination": "10.8.0.0/16", "Gateway": "10.9.0.9"}]


def test_dual_stack_addresses(evaluate):
    more = 'slipway.network.ipv6 = { address = "fd00::11"; gateway = "fd00::1"; };'
    link = evaluate(NETWORKS, more=more)["10-eno1"]
    assert link["address"] == ["10.0.0.11/24", "fd00::11/64"]
    assert link["networkConfig"] == {"DHCP": "no", "IPv6AcceptRA": False}


def test_the_router_of_a_single_address_is_on_the_link(evaluate):
    more = 'slipway.network.gateway = "198.51.100.1"; slipway.network.prefixLength = lib.mkForce 32;'
    eno1 = 'config.systemd.network.networks."10-eno1"'
    assert evaluate(f"{eno1}.gateway", more=more) == []
    assert evaluate(f"{eno1}.routes", more=more) == [{"Gateway": "198.51.100.1", "GatewayOnLink": True}]
    usual = 'slipway.network.gateway = "10.0.0.1";'
    assert (evaluate(f"{eno1}.gateway", more=usual), evaluate(f"{eno1}.routes", more=usual)) == (["10.0.0.1"], [])


def test_only_a_static_ipv6_address_without_a_gateway_waits_for_routers(evaluate):
    accept = 'config.systemd.network.networks."10-eno1".networkConfig.IPv6AcceptRA'
    assert evaluate(accept) is False
    assert evaluate(accept, more='slipway.network.ipv6.address = "fd00::11";') is True
    assert evaluate(accept, more="slipway.network.dhcp = true;") is True


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("slipway.network.prefixLength = lib.mkForce null;", "needs network.prefixLength, or DHCP"),
        ("slipway.network.interface = lib.mkForce null;", "network.interface or network.mac"),
        ("slipway.ssh.authorizedKeys = lib.mkForce [ ];", "nobody could log in as root"),
        ('slipway.pull.engine = "comin";', "slipway: pull.engine is comin, but comin's module is not there"),
        ('slipway.pull.engine = "autoUpgrade";', "pull.url says where"),
    ],
)
def test_what_cannot_work_is_refused_in_words(evaluate, more, message):
    found = [line for line in evaluate(assertions(), "worker", more) if message in line]
    assert len(found) == 1
    assert found[0].startswith("slipway: ")


def test_a_refusal_stops_the_build(evaluate):
    with pytest.raises(AssertionError, match=r"Failed assertions:\s+- slipway: nobody could log in"):
        evaluate("config.system.build.toplevel.drvPath", more="slipway.ssh.authorizedKeys = lib.mkForce [ ];")


def test_another_release_than_the_inventory_names_is_a_warning(evaluate):
    more = 'slipway.cluster.channel = "25.11"; system.nixos.release = lib.mkForce "26.05";'
    assert len(evaluate("config.warnings", more=more)) == 1
    assert evaluate("config.warnings", more='slipway.cluster.channel = "25.11";') == []


# --- the rest --------------------------------------------------------------------------------------------------------


def test_disks_for_uefi_and_bios(evaluate):
    more = """slipway.disks = { root = { device = "/dev/disk/by-id/a"; swap = 2147483648; };
                               data = { device = "/dev/disk/by-id/b"; mountPoint = "/data"; filesystem = "xfs"; }; };"""
    disks = evaluate("config.disko.devices.disk", more=more)
    partitions = disks["root"]["content"]["partitions"]
    assert (partitions["boot"]["type"], partitions["boot"]["content"]["mountpoint"]) == ("EF00", "/boot")
    assert partitions["swap"]["size"] == "2048M"
    assert partitions["data"]["content"]["mountpoint"] == "/"
    assert list(disks["data"]["content"]["partitions"]) == ["data"]
    bios = evaluate("config.disko.devices.disk.root.content.partitions.boot", more=more + 'slipway.boot.mode = "bios";')
    assert bios == {"priority": 1, "size": "1M", "type": "EF02"}


def test_the_boot_loader_follows_the_firmware(evaluate):
    assert evaluate("config.boot.loader.systemd-boot.enable") is True
    loader = evaluate("config.boot.loader", more='slipway.boot.mode = "bios";')
    assert loader["grub"]["enable"] is True
    assert "systemd-boot" not in loader


def test_another_user_than_root_gets_sudo_without_a_password(evaluate):
    more = 'slipway.ssh.user = "admin";'
    assert evaluate("config.services.openssh.settings.PermitRootLogin", more=more) == "no"
    rule = evaluate("builtins.head config.security.sudo.extraRules", more=more)
    assert rule["users"] == ["admin"]
    assert rule["commands"] == [{"command": "ALL", "options": ["NOPASSWD"]}]
    assert "admin" in evaluate("config.nix.settings.trusted-users", more=more)


def test_passwords_are_no_way_in(evaluate):
    settings = evaluate("config.services.openssh.settings")
    assert settings["PasswordAuthentication"] is settings["KbdInteractiveAuthentication"] is False
    assert settings["PermitRootLogin"] == "prohibit-password"


def test_mirrors_are_asked_on_nodes_that_run_pods(evaluate):
    more = 'slipway.images.registries."docker.io" = [ "https://mirror.example.org" ];'
    path = 'config.environment.etc."k0s/certs.d/docker.io/hosts.toml".text'
    assert '[host."https://mirror.example.org"]' in evaluate(path, "worker", more)
    assert evaluate('config.environment.etc ? "k0s/certs.d/docker.io/hosts.toml"', "controller", more) is False


def test_a_machine_that_pulls_does_not_reboot_by_itself(evaluate):
    more = (
        'slipway.pull = { engine = "autoUpgrade"; url = "git+https://git.example.org/c.git?dir=x"; branch = "prod"; };'
    )
    upgrade = evaluate("config.system.autoUpgrade", more=more)
    assert upgrade["flake"] == "git+https://git.example.org/c.git?dir=x&ref=prod"
    assert upgrade["allowReboot"] is False


@pytest.mark.parametrize(
    "settings",
    [
        'url = "git+https://g.example/$(id)";',
        'url = "https://g.example/a b";',
        'url = "https://g/c.git"; branch = "a;id";',
    ],
)
def test_no_word_of_a_shell_is_in_what_a_machine_pulls(evaluate, settings):
    """NixOS's upgrade puts the flake into a line of a shell as it is."""
    with pytest.raises(AssertionError, match=r"slipway\.pull\.(url|branch)"):
        evaluate("config.system.autoUpgrade.flake", more=f'slipway.pull = {{ engine = "autoUpgrade"; {settings} }};')


@pytest.mark.parametrize("url", ["https://m.example/v2/hub", 'https://m.example/"] evil'])
def test_a_mirror_stays_a_text_in_what_containerd_reads(evaluate, url):
    more = f'slipway.images.registries."docker.io" = [ {json.dumps(url)} ];'
    hosts = evaluate('config.environment.etc."k0s/certs.d/docker.io/hosts.toml".text', "worker", more)
    assert list(tomllib.loads(hosts)["host"]) == [url]


def test_the_guard_knows_the_name(evaluate):
    assert "wanted=n1" in evaluate("config.system.preSwitchChecks.slipwayHostname").replace("'", "")


def test_a_machine_that_is_renamed_has_its_name_before_k0s_asks(evaluate, tmp_path):
    """NixOS itself sets the kernel's at boot alone."""
    script = evaluate("config.system.activationScripts.slipwayHostname")
    file = tmp_path / "hostname"
    file.write_text("nixos\n")
    subprocess.run(["sh", "-c", script.replace("/proc/sys/kernel/hostname", str(file))], check=True)
    assert file.read_text() == "n1"


@pytest.mark.parametrize(
    ("name", "there", "refused"),
    [
        ("nixos", (), False),
        ("w9", ("etc/systemd/system/k0s.service",), True),
        ("w9", ("var/lib/k0s/pki",), True),
        ("n1", ("etc/systemd/system/k0s.service", "var/lib/k0s/pki"), False),
        ("w9", ("var/lib/k0s/kubelet.conf", "var/lib/slipway/allow-rename"), False),
    ],
)
def test_the_guard_is_for_machines_that_are_somebody(evaluate, tmp_path, name, there, refused):
    """The check itself, in a root of the test's own."""
    script = evaluate("config.system.preSwitchChecks.slipwayHostname")
    for path in ("proc/sys/kernel", *(str(Path(each).parent) for each in there)):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    (tmp_path / "proc/sys/kernel/hostname").write_text(f"{name}\n")
    for each in there:
        (tmp_path / each).touch()
    moved = re.sub(r"(?<![\w/])/(proc|etc|var)/", rf"{tmp_path}/\1/", script)
    done = subprocess.run(["sh", "-c", moved], capture_output=True, text=True, check=False)
    assert done.returncode == refused, done.stderr
    if refused:
        hint = done.stderr.rpartition("renamed: ")[2].strip()
        subprocess.run(["sh", "-c", hint], check=True)
        assert subprocess.run(["sh", "-c", moved], check=False).returncode == 0, "the hint works as typed"


def test_the_watchdog(evaluate):
    assert evaluate("config.systemd.watchdog") == {}
    found = evaluate("config.systemd.watchdog", more="slipway.watchdog = { enable = true; runtime = 20; };")
    assert found == {"runtimeTime": "20s", "rebootTime": "600s"}


def test_settings_of_users_win_over_defaults(evaluate):
    """What slipway sets for taste is mkDefault: a plain definition of the user's is enough."""
    more = 'services.openssh.settings.X11Forwarding = true; boot.kernel.sysctl."fs.inotify.max_user_instances" = 9;'
    assert evaluate("config.services.openssh.settings.X11Forwarding", more=more) is True
    assert evaluate('config.boot.kernel.sysctl."fs.inotify.max_user_instances"', more=more) == 9


def with_option(evaluate: Evaluate, option: str, settings: str, wanted: str) -> Any:
    """`wanted` of a machine with these settings, evaluated where `option` exists too."""
    declared = "lib.mkOption { type = lib.types.anything; default = { }; }"
    return evaluate(wanted, "worker", f"options.{option} = {declared}; config = {{ {settings} }};")


def test_the_watchdog_where_nixos_has_systemds_own_settings(evaluate):
    found = with_option(evaluate, "systemd.settings", "slipway.watchdog.enable = true;", "config.systemd.settings")
    assert found == {"Manager": {"RuntimeWatchdogSec": "30s", "RebootWatchdogSec": "600s"}}


def test_comin_where_its_module_is_imported(evaluate):
    settings = 'slipway.pull = { engine = "comin"; url = "https://git.example.org/x.git"; };'
    found = with_option(evaluate, "services.comin", settings, "config.services.comin")
    (remote,) = found["remotes"]
    assert (remote["url"], remote["branches"]["main"]["name"]) == ("https://git.example.org/x.git", "main")


def test_an_airgap_bundle_is_fetched_when_a_system_is_built_and_not_before(evaluate):
    bundle = '{ url = "file:///nowhere/bundle.tar"; hash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="; }'
    more = f"slipway.images.airgap.x86_64-linux = {bundle};"
    rules = [rule for rule in evaluate("config.systemd.tmpfiles.rules", "worker", more) if "airgap" in rule]
    assert rules[-1].endswith("-bundle.tar")
    assert evaluate("config.systemd.tmpfiles.rules", "controller", more) == evaluate("config.systemd.tmpfiles.rules")


@pytest.mark.parametrize("name", ["airgap", "first"])
def test_a_bundle_is_there_again_after_a_reset_of_k0s(evaluate, name):
    bundle = '{ url = "file:///nowhere/bundle.tar"; hash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="; }'
    before = 'config.systemd.services.k0s.serviceConfig.ExecStartPre or ""'
    said = evaluate(before, "worker", f"slipway.images.{name}.x86_64-linux = {bundle};")
    assert said.endswith("/bin/systemd-tmpfiles --create --prefix=/var/lib/k0s/images")
    assert evaluate(before, "worker") == ""


def test_a_node_of_a_dual_stack_cluster_has_both_addresses(evaluate):
    more = 'slipway.cluster.dualStack = true; slipway.network.ipv6.address = "fd00::11";'
    assert "--node-ip=10.0.0.11,fd00::11" in start_script(evaluate, "worker", more)
    assert "fd00::11" not in start_script(evaluate, "worker", 'slipway.network.ipv6.address = "fd00::11";')


def test_keepalived_gets_no_user_of_its_own(evaluate):
    """k0s would run it as that user, without a capability: no address is ever set, and it ends every five seconds."""
    users = evaluate("builtins.attrNames config.users.users", "controller", 'slipway.cluster.vip = "10.0.0.10";')
    assert "kube-apiserver" in users, "control: users of k0s are among them"
    assert "keepalived" not in users


VIP = 'slipway.cluster.vip = "10.0.0.10";'
TEMPLATE = 'config.environment.etc."k0s/keepalived.conf.tmpl"'


def test_who_holds_the_virtual_address_answers_by_its_own_api_server(evaluate):
    """The address goes when /readyz has failed three times, which it does without etcd; every question has a bound."""
    text = evaluate(f"{TEMPLATE}.text", more=f"{VIP} slipway.cluster.ports.api = 7000;")
    checked = re.search(r"vrrp_script api_is_ready \{(.*?)\n\}", text, re.DOTALL)
    assert checked
    settings = dict(re.findall(r"(\w+) (\S+)", checked[1]))
    assert int(settings["fall"]) > 1 and int(settings["rise"]) > 1, "one slow answer is none"
    assert int(settings["weight"]) < 0, "the address stays where it is while no controller is well"
    tracked = re.search(r"vrrp_instance .*\{\s+api_is_ready\s+\}\s+\}\s+\{\{ end \}\}", text, re.DOTALL)
    assert tracked, "what is not tracked is checked for nobody"
    path = settings["script"].strip('"').removeprefix("/etc/")
    script = evaluate(f'config.environment.etc."{path}".source.script', more=f"{VIP} slipway.cluster.ports.api = 7000;")
    assert "https://localhost:7000/readyz" in script
    limit = re.search(r"--max-time (\d+)", script)
    assert limit and int(limit[1]) < int(settings["timeout"])


def test_k0s_starts_anew_with_another_check_of_the_virtual_address(evaluate):
    source = evaluate(f"{TEMPLATE}.source", more=VIP)
    assert source in evaluate("config.slipway.k0s.startedWith", more=VIP)
    assert source in evaluate("config.systemd.services.k0s.environment.SLIPWAY_STARTED_WITH", more=VIP)


@pytest.mark.parametrize(("role", "more"), [("worker", VIP), ("controller", "")])
def test_nobody_else_has_a_check_of_the_virtual_address(evaluate, role, more):
    assert evaluate('config.environment.etc ? "k0s/keepalived.conf.tmpl"', role, more) is False


def test_the_first_images_lie_beside_k0ss_own(evaluate):
    """Both are imported by k0s; neither takes the other away at boot."""
    bundle = '{ url = "file:///nowhere/NAME.tar"; hash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="; }'
    more = "".join(
        f"slipway.images.{name}.x86_64-linux = {bundle.replace('NAME', name)};" for name in ("airgap", "first")
    )
    rules = [rule for rule in evaluate("config.systemd.tmpfiles.rules", "worker", more) if "/k0s/images/" in rule]
    links = {rule.split()[1].rpartition("-")[0]: rule for rule in rules if rule.startswith("L+")}
    assert set(links) == {"/var/lib/k0s/images/slipway-airgap", "/var/lib/k0s/images/slipway-first"}
    assert links["/var/lib/k0s/images/slipway-first"].endswith("-first.tar")
    removed = {rule.split()[1] for rule in rules if rule.startswith("r!")}
    assert removed == {"/var/lib/k0s/images/slipway-airgap*.tar", "/var/lib/k0s/images/slipway-first*.tar"}
    assert evaluate("config.systemd.tmpfiles.rules", "controller", more) == evaluate("config.systemd.tmpfiles.rules")


def airgap_link(evaluate: Evaluate, hash: str) -> str:
    bundle = f'{{ url = "file:///nowhere/bundle.tar"; hash = "{hash}"; }}'
    more = f"slipway.images.airgap.x86_64-linux = {bundle};"
    (link,) = [r for r in evaluate("config.systemd.tmpfiles.rules", "worker", more) if r.startswith("L+ /var/lib/k0s/")]
    return str(link.split()[1])


def test_another_airgap_bundle_has_another_name(evaluate):
    """k0s looks at name and time, and in the store no time differs."""
    one = airgap_link(evaluate, "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
    assert one == airgap_link(evaluate, "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
    assert one != airgap_link(evaluate, "sha256-+LJ4ulqZOM7SJjgUhKDzG2v6KThwOUnfI1R04Dx3Ssw=")


def test_a_mirror_with_a_path_serves_below_it(evaluate):
    more = 'slipway.images.registries."docker.io" = [ "https://a.example.org/v2/hub" "https://b.example.org:5000" ];'
    text = evaluate('config.environment.etc."k0s/certs.d/docker.io/hosts.toml".text', "worker", more)
    hosts = tomllib.loads(text)["host"]
    assert hosts["https://a.example.org/v2/hub"] == {"capabilities": ["pull", "resolve"], "override_path": True}
    assert hosts["https://b.example.org:5000"] == {"capabilities": ["pull", "resolve"]}


def test_another_user_than_root_does_not_take_roots_trust(evaluate):
    trusted = evaluate("config.nix.settings.trusted-users", more='slipway.ssh.user = "admin";')
    assert {"root", "admin"} <= set(trusted)


@pytest.mark.parametrize(
    ("release", "version", "plugin"),
    [
        ("1.36.3+k0s.2", 3, "io.containerd.cri.v1.images"),
        ("1.37.0+k0s.0", 3, "io.containerd.cri.v1.images"),
        ("1.35.7+k0s.0", 2, "io.containerd.grpc.v1.cri"),
        ("1.34.10+k0s.0", 2, "io.containerd.grpc.v1.cri"),
    ],
)
def test_containerds_drop_in_is_of_the_version_that_k0s_wants(evaluate, release, version, plugin):
    more = f'''slipway.images.registries."docker.io" = [ "https://mirror.example.org" ];
        slipway.k0s.version = lib.mkForce "{release}";'''
    text = evaluate('config.environment.etc."k0s/containerd.d/slipway-registries.toml".text', "worker", more)
    assert tomllib.loads(text) == {
        "version": version,
        "plugins": {plugin: {"registry": {"config_path": "/etc/k0s/certs.d"}}},
    }


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("slipway.images.shared = true;", "/etc/k0s/certs.d:/var/lib/slipway/certs.d"),
        ('slipway.images = { shared = true; registries."docker.io" = [ "https://a.example.org" ]; };',
         "/etc/k0s/certs.d:/var/lib/slipway/certs.d"),
        ('slipway.images.registries."docker.io" = [ "https://a.example.org" ];', "/etc/k0s/certs.d"),
    ],
)  # fmt: skip
def test_mirrors_of_a_pod_come_after_those_of_the_inventory(evaluate, more, path):
    """Spegel clears the folder that it writes to: it must have one of its own."""
    text = evaluate('config.environment.etc."k0s/containerd.d/slipway-registries.toml".text', "worker", more)
    (plugin,) = tomllib.loads(text)["plugins"].values()
    assert plugin["registry"]["config_path"] == path


def test_without_mirrors_containerd_keeps_its_own_settings(evaluate):
    assert evaluate('config.environment.etc ? "k0s/containerd.d/slipway-registries.toml"', "worker") is False


def test_a_change_of_the_firewall_never_takes_the_rules_of_others(evaluate):
    """NixOS flushes all of nftables where stateVersion is below 23.11."""
    rules = 'config.environment.etc."nftables.conf".text'
    old = 'system.stateVersion = lib.mkForce "22.11";'
    assert "flush ruleset" not in evaluate(rules, "worker", old)
    control = old + "networking.nftables.flushRuleset = lib.mkForce true;"
    assert "flush ruleset" in evaluate(rules, "worker", control)


def test_networkd_leaves_keepaliveds_address_alone(evaluate):
    keep = 'config.systemd.network.networks."10-eno1".networkConfig.KeepConfiguration or null'
    vip = 'slipway.cluster.vip = "10.0.0.10";'
    assert evaluate(keep, "controller", vip) == "static"
    assert evaluate(keep, "worker", vip) is None
    assert evaluate(keep, "controller") is None


# --- what a machine may have of its own ------------------------------------------------------------------------------


def test_a_firewall_of_ones_own(evaluate):
    off = "slipway.firewall.enable = false;"
    assert evaluate("config.networking.nftables.enable", more=off) is False
    assert evaluate(RULES, more=off) == ""
    assert evaluate(assertions(), more=off) == []
    assert evaluate("config.networking.firewall.enable", more="networking.firewall.enable = false;") is False


def test_links_of_ones_own(evaluate):
    """The pod network's links stay its own, whoever has set up networkd."""
    off = "slipway.network = lib.mkForce { enable = false; }; systemd.network.enable = true;"
    assert evaluate("builtins.attrNames config.systemd.network.networks", more=off) == ["05-pods"]
    assert evaluate("config.systemd.network.config.networkConfig.ManageForeignRoutes", more=off) is False
    assert evaluate(assertions(), more=off) == []
    assert evaluate("config.systemd.network.enable", more="slipway.network.enable = false;") is False


def test_a_clock_of_ones_own(evaluate):
    chrony, timesyncd = "config.services.chrony.enable", "config.services.timesyncd.enable"
    assert (evaluate(chrony), evaluate(timesyncd)) == (True, False)
    assert evaluate(chrony, more="slipway.time.enable = false;") is False
    assert evaluate("config.time.timeZone", more="slipway.time.enable = false;") is None
    plain = 'services.chrony.enable = false; time.timeZone = "Europe/Vienna";'
    assert (evaluate(chrony, more=plain), evaluate(timesyncd, more=plain)) == (False, True)
    assert evaluate("config.time.timeZone", more=plain) == "Europe/Vienna"


def test_an_sshd_of_ones_own(evaluate):
    off = "slipway.ssh = { enable = false; authorizedKeys = lib.mkForce [ ]; };"
    assert evaluate("config.services.openssh.enable") is True
    assert evaluate("config.services.openssh.enable", more=off) is False
    assert evaluate(assertions(), more=off) == []


def test_old_generations_go_when_the_user_says(evaluate):
    assert evaluate("config.nix.gc.dates", more='nix.gc.dates = "daily";') == "daily"


# --- hardware --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "there"), [("", True), ("slipway.hardware.tools = false;", False)])
def test_programs_that_read_metal_are_there_unless_turned_off(evaluate, more, there):
    names = evaluate('map (p: p.pname or "") config.environment.systemPackages', "worker", more)
    read, load = {"dmidecode", "smartmontools", "ipmitool", "lm_sensors", "nvme-cli"}, {"fio", "iperf3", "stress-ng"}
    assert (read | load <= set(names)) is there


# --- proxy -----------------------------------------------------------------------------------------------------------

PROXY = """slipway.proxy = { http = "http://p:3128"; direct = [ "10.0.0.0/24" ".svc" ]; noProxy = [ ".b" ".svc" ]; };"""


def test_k0s_and_nix_have_the_proxy(evaluate):
    assert evaluate('config.environment.etc."slipway/proxy".text', "worker", PROXY).splitlines() == [
        "HTTP_PROXY=http://p:3128",
        "HTTPS_PROXY=http://p:3128",
        "NO_PROXY=10.0.0.0/24,.svc,.b",
    ]
    assert evaluate("config.networking.proxy", "worker", PROXY) == {
        "httpProxy": "http://p:3128",
        "httpsProxy": "http://p:3128",
        "noProxy": "10.0.0.0/24,.svc,.b",
    }


def test_another_proxy_restarts_k0s(evaluate):
    started = f"{UNIT}.environment.SLIPWAY_STARTED_WITH"
    file = evaluate(f"toString {UNIT}.serviceConfig.EnvironmentFile", "worker", PROXY)
    assert file in evaluate(started, "worker", PROXY)
    assert evaluate(started, "worker", PROXY) != evaluate(started, "worker", PROXY.replace("3128", "3129"))


def test_without_a_proxy_there_is_none(evaluate):
    assert evaluate("config.networking.proxy", "worker", 'slipway.proxy.direct = [ ".svc" ];') == {}
    assert evaluate(f"{UNIT}.serviceConfig ? EnvironmentFile", "worker") is False


# --- storage of others -----------------------------------------------------------------------------------------------


def test_a_machine_uses_only_the_storage_that_is_named(evaluate):
    assert evaluate("config.services.openiscsi", "worker") == {}
    assert evaluate("config.services.multipath", "worker") == {}
    assert {"rbd", "iscsi_tcp"} & set(evaluate("config.boot.kernelModules", "worker")) == set()


def test_iscsi_has_a_name_of_the_machine(evaluate):
    found = evaluate("config.services.openiscsi", "worker", "slipway.storage.iscsi = true;")
    assert found == {"enable": True, "name": "iqn.2016-04.com.open-iscsi:n1"}


def test_modules_of_storage_are_loaded_so_that_verification_looks_for_them(evaluate):
    more = "slipway.storage = { iscsi = true; rbd = true; nfs = true; multipath = true; };"
    assert {"rbd", "iscsi_tcp"} <= set(evaluate("config.boot.kernelModules", "worker", more))
    assert evaluate("config.boot.supportedFilesystems", "worker", more) == ["nfs"]
    assert evaluate("config.services.multipath.enable", "worker", more) is True


# --- kubelet's reserves, the API server's files ----------------------------------------------------------------------


def test_what_is_kept_from_pods_is_a_flag_of_kubelet(evaluate):
    more = """slipway.k0s = { systemReserved = { cpu = "500m"; memory = "1Gi"; }; kubeReserved.memory = "2Gi";
        evictionHard = { "memory.available" = "500Mi"; "nodefs.available" = "5%"; }; };"""
    script = start_script(evaluate, "worker", more)
    for flag in (
        "--system-reserved=cpu=500m,memory=1Gi", "--kube-reserved=memory=2Gi",
        "--eviction-hard=memory.available<500Mi,nodefs.available<5%",
    ):  # fmt: skip
        assert flag in script
    assert "reserved" not in start_script(evaluate, "worker")
    assert "reserved" not in start_script(evaluate, "controller", more)


POLICY = 'config.environment.etc."k0s/audit-policy.yaml".text'


def test_the_record_never_holds_a_secret(evaluate):
    rules = json.loads(evaluate(POLICY, "controller", 'slipway.apiServer.auditLevel = "RequestResponse";'))["rules"]
    levels = [rule["level"] for rule in rules]
    secrets = next(n for n, rule in enumerate(rules) if "secrets" in str(rule.get("resources")))
    assert levels[secrets] == "Metadata"
    assert secrets < levels.index("RequestResponse"), "the first rule that fits counts"
    assert levels[-1] == "Metadata"


def test_controllers_restart_for_another_policy_and_workers_have_none(evaluate):
    more = 'slipway.apiServer = { auditLevel = "%s"; oidcCa = "PEM"; };'
    started = f"{UNIT}.environment.SLIPWAY_STARTED_WITH"
    one, other = (evaluate(started, "controller", more % level) for level in ("Request", "Metadata"))
    assert one != other
    assert "oidc-ca" in one
    assert evaluate('config.environment.etc ? "k0s/audit-policy.yaml"', "worker", more % "Request") is False
    assert "d /var/log/kube-apiserver 0700 kube-apiserver root -" in evaluate(
        "config.systemd.tmpfiles.rules", "controller", more % "Request"
    )


# --- IPv6 alone ----------------------------------------------------------------------------------------------------


def test_a_machine_of_a_cluster_without_ipv4_forwards_ipv6_and_k0s_is_told(evaluate):
    more = """slipway.address = lib.mkForce "2001:db8::11"; slipway.network.prefixLength = lib.mkForce 64;
        slipway.cluster = { ipv6Only = true; vip = "2001:db8::10"; controllers = lib.mkForce [ "2001:db8::11" ];
          nodeNetworks = lib.mkForce [ "2001:db8::/64" ]; podNetworks = lib.mkForce [ "fd00:244::/104" ]; };"""
    script = start_script(evaluate, "controller+worker", more)
    assert "--feature-gates=IPv6SingleStack=true" in script
    assert "--node-ip=2001:db8::11" in script
    assert evaluate('config.boot.kernel.sysctl."net.ipv6.conf.all.forwarding"', more=more) == 1
    rules = evaluate("config.networking.firewall.extraInputRules", "controller+worker", more)
    assert "ip6 saddr { 2001:db8::11, fe80::/10 } meta l4proto 112 accept" in rules
    assert "ip6 saddr { fd00:244::/104 } drop" in rules
    assert "ip saddr" not in rules
    assert evaluate('config.systemd.network.networks."10-eno1".address', more=more) == ["2001:db8::11/64"]


def test_control_with_ipv4_k0s_has_no_such_gate(evaluate):
    assert "feature-gates" not in start_script(evaluate, "controller+worker")


# --- mirrors ---------------------------------------------------------------------------------------------------------


def hosts_file(evaluate: Evaluate, registry: str, more: str) -> dict[str, Any]:
    return tomllib.loads(evaluate(f'config.environment.etc."k0s/certs.d/{registry}/hosts.toml".text', "worker", more))


def test_one_mirror_stands_before_every_registry_that_is_not_named(evaluate):
    more = 'slipway.images.registries."*" = [ "https://mirror.example.org/all" ];'
    mirror = {"capabilities": ["pull", "resolve"], "override_path": True}
    assert hosts_file(evaluate, "_default", more) == {"host": {"https://mirror.example.org/all": mirror}}


def test_a_mirror_may_have_certificates_of_its_own(evaluate):
    more = (
        """slipway.images = { registries."docker.io" = [ "https://m:5000" "https://other" ]; ca."m:5000" = "PEM"; };"""
    )
    mirrors = hosts_file(evaluate, "docker.io", more)["host"]
    assert mirrors["https://m:5000"]["ca"] == "/etc/k0s/registry-ca/m_5000.pem"
    assert "ca" not in mirrors["https://other"]
    assert evaluate('config.environment.etc."k0s/registry-ca/m_5000.pem".text', "worker", more) == "PEM"


def test_a_registry_without_mirrors_may_have_them_too(evaluate):
    more = 'slipway.images.ca."registry.example.org" = "PEM";'
    assert hosts_file(evaluate, "registry.example.org", more) == {
        "server": "https://registry.example.org",
        "ca": "/etc/k0s/registry-ca/registry.example.org.pem",
    }


# --- more of links ---------------------------------------------------------------------------------------------------


def test_the_main_link_may_have_more_addresses_routes_and_advertisements(evaluate):
    more = """slipway.network = { addresses = [ "10.9.0.1/24" ]; slaac = true;
        routes = [ { to = "10.8.0.0/16"; via = "10.0.0.9"; } ]; };"""
    network = evaluate('config.systemd.network.networks."10-eno1"', "worker", more)
    assert network["address"] == ["10.0.0.11/24", "10.9.0.1/24"]
    assert network["routes"] == [{"Destination": "10.8.0.0/16", "Gateway": "10.0.0.9"}]
    assert (network["networkConfig"]["IPv6AcceptRA"], network["networkConfig"]["DHCP"]) == (True, "no")


def bond_of(evaluate: Evaluate, settings: str) -> dict[str, Any]:
    more = f"""slipway.network.interface = lib.mkForce "bond0";
        slipway.network.bonds.bond0 = {{ interfaces = [ "a" "b" ]; {settings} }};"""
    found: dict[str, Any] = evaluate(
        '{ inherit (config.systemd.network.netdevs."10-bond0") bondConfig;'
        ' primary = config.systemd.network.networks."10-a".networkConfig.PrimarySlave or false; }',
        "worker",
        more,
    )
    return {**found["bondConfig"], "primary": found["primary"]}


def test_a_bond_has_the_options_of_its_mode(evaluate):
    usual = {"Mode": "802.3ad", "MIIMonitorSec": "100ms", "LACPTransmitRate": "fast", "primary": False}
    assert bond_of(evaluate, "") == {**usual, "TransmitHashPolicy": "layer3+4"}
    said = 'lacpRate = "slow"; transmitHashPolicy = "layer2+3"; minLinks = 2;'
    wanted = {"LACPTransmitRate": "slow", "TransmitHashPolicy": "layer2+3", "MinLinks": 2}
    assert bond_of(evaluate, said) == {**usual, **wanted}
    backup = bond_of(evaluate, 'mode = "active-backup"; primary = "a";')
    assert backup == {"Mode": "active-backup", "MIIMonitorSec": "100ms", "primary": True}
