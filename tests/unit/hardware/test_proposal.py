"""The proposed entry is one that slipway itself takes, and says what the machine is."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.hardware.machines import ENDPOINTS, machine, said_by
from tests.unit.inventory.test_load import KEY

from slipway.hardware import probe
from slipway.hardware.facts import Disk, Hardware, Link, Processor, Route
from slipway.hardware.proposal import INITRD_MODULES, Entry, expected_memory, free_name, propose
from slipway.hardware.proposed_disks import choose, device_of
from slipway.hardware.yamltext import scalar
from slipway.inventory import Host, InvalidInventory, load
from slipway.inventory.address import interface_of
from slipway.inventory.builder import Builder
from slipway.inventory.reader import compose
from slipway.ssh.connection import Endpoint

HEAD = f"""\
apiVersion: slipway/v1
cluster: {{name: lab, k0s: {{version: 1.36.3+k0s.2}}}}
defaults: {{ssh: {{authorizedKeys: [{KEY}]}}}}
hosts:
  founder: {{address: 198.51.100.9, role: controller, network: {{interface: eno1, prefixLength: 24}}}}
"""


def proposed(name: str) -> str:
    return propose(machine(name), Entry("new", ENDPOINTS[name]))


def loaded(folder: Path, text: str) -> Host:
    (folder / "inventory.yaml").write_text(HEAD + text)
    return load(folder).host("new")


@pytest.fixture
def host(tmp_path):
    """`host(name)`: the machine's entry as the inventory has it."""
    return lambda name: loaded(tmp_path, proposed(name))


def test_a_server_keeps_its_bond_and_its_vlan(host):
    network = host("server").network
    assert (network.interface, network.mac) == ("bond0.20", None)
    assert network.bonds["bond0"].interfaces == ("eno1", "eno2")
    assert network.bonds["bond0"].mode == "802.3ad"
    assert (network.vlans["bond0.20"].id, network.vlans["bond0.20"].interface) == (20, "bond0")
    assert (network.prefix_length, network.gateway, network.mtu) == (16, "10.20.0.1", 9000)
    assert (network.ipv6.address, network.ipv6.gateway) == ("fd00:20::7", "fe80::1")
    assert network.nameservers == ("10.20.0.1", "10.20.0.2")


def test_a_server_gets_its_largest_solid_disk(host):
    (disk,) = host("server").disks.values()
    assert disk.device == "/dev/disk/by-id/nvme-Fastdrive_PRO_1920GB_S3EVNX0K509999"
    assert disk.mount_point == "/"


def test_other_disks_are_told_with_what_they_are():
    text = proposed("server")
    assert "# data: {device: /dev/disk/by-id/ata-Bootdisk_S4510_PHYF1234, mountPoint: /data}" in text
    assert "223.6 GiB sata, Bootdisk S4510, mounted now: / /boot/efi" in text
    assert "# sdb: removable, 57.3 GiB usb, rotating, Stick Ultra Thin" in text


def test_a_comment_becomes_a_disk_when_its_mark_is_taken_away(tmp_path):
    text = proposed("server").replace("# data: {device: /dev/disk/by-id/ata-", "data: {device: /dev/disk/by-id/ata-")
    assert loaded(tmp_path, text).disks["data"].device == "/dev/disk/by-id/ata-Bootdisk_S4510_PHYF1234"


def test_what_verification_can_expect_of_a_server(host):
    hardware = host("server").hardware
    assert (hardware.cpu, hardware.cores, hardware.memory) == ("intel", 32, 183 << 30)
    assert hardware.macs == ("52:54:00:aa:00:01", "52:54:00:aa:00:02", "52:54:00:aa:00:03")
    assert (hardware.machine, hardware.model) == ("Rackserver 640 G2", "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz")
    assert hardware.disks["/dev/disk/by-id/ata-Bootdisk_S4510_PHYF1234"].size == 223 << 30
    assert not any("Stick" in device for device in hardware.disks)
    card = hardware.nics["52:54:00:aa:00:01"]
    assert (card.driver, card.speed) == ("ixgbe", 10000)
    assert hardware.bmc is True


def test_secure_boot_is_warned_of():
    assert "Secure Boot starts only what is signed" in proposed("server")
    assert "Secure Boot" not in proposed("vm")


def test_an_installer_says_what_the_machine_will_be(host):
    found = host("vm")
    assert (found.network.interface, found.network.mac) == ("enp1s0", "52:54:00:12:34:56")
    assert (found.network.prefix_length, found.network.gateway, found.network.dhcp) == (24, "192.168.122.1", False)
    assert found.disks["system"].device == "/dev/disk/by-path/pci-0000:04:00.0"
    assert found.boot.mode == "bios"
    assert found.boot.initrd_modules == ("virtio_blk", "virtio_pci")
    assert found.ssh.user == "root"
    assert "came by DHCP" in proposed("vm")


def test_a_board_is_told_what_starts_it(host):
    found = host("board")
    assert (found.system, found.hardware.cpu) == ("aarch64-linux", "arm")
    assert found.address == "192.168.1.40"
    assert found.ssh.port == 2222
    assert found.disks["system"].device == "/dev/disk/by-id/mmc-SC32G_0x1234abcd"
    assert "neither UEFI nor BIOS started it" in proposed("board")
    assert "address: 192.168.1.40\n" in proposed("board")
    assert "ssh: {address: pi.local" in proposed("board")


def test_a_container_has_a_network_and_no_disks(host):
    found = host("container")
    assert (found.network.interface, found.network.prefix_length, found.network.gateway) == ("host0", 24, None)
    assert found.disks == {}
    assert found.hardware.macs == ()


def test_a_machine_that_runs_nixos_keeps_its_file_systems(host):
    assert host("cloud").disks == {}
    assert "#   system: {device: /dev/disk/by-id/scsi-0EXAMPLE_Volume_1234567" in proposed("cloud")


def test_a_gateway_outside_of_the_network_means_dhcp(host):
    network = host("cloud").network
    assert (network.dhcp, network.prefix_length, network.gateway) == (True, None, None)


def test_the_role_of_the_inventory_stays():
    text = propose(machine("container"), Entry("w1", ENDPOINTS["container"], role="controller+worker"))
    assert "role: controller+worker\n" in text


def test_what_could_not_be_read_is_said():
    assert "# not read: maker, model and firmware" in proposed("container")


def test_without_a_link_the_entry_says_so():
    lost = replace(machine("container"), links=(), connection=None)
    text = propose(lost, Entry("new", Endpoint("root@10.0.0.9", "10.0.0.9")))
    assert "address: 10.0.0.9  # no link with this address was found" in text
    assert "# interface, prefixLength and gateway could not be read" in text


@pytest.mark.parametrize(
    "text", ["null", "Null", "eno1:", "a: b", "#1", "fd00::1", "", "- x", "a,b", "[a]", "12", "true"]
)
def test_a_text_stays_a_text(text):
    node = compose(f"[{scalar(text)}]".encode(), "x")
    assert isinstance(node, yaml.SequenceNode)
    assert Builder().plain(node) == [text]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("storage-7.example.org", "storage-7"),
        ("My_Box", "my-box"),
        ("nixos", "node-10-77-0-21"),
        ("localhost", "node-10-77-0-21"),
        ("", "node-10-77-0-21"),
        ("w1", "w1-3"),
    ],
)
def test_a_new_machine_gets_a_free_name(hostname, name):
    hardware = replace(machine("container"), hostname=hostname)
    assert free_name(hardware, ENDPOINTS["container"], {"w1", "w1-2"}) == name


# --- disks -----------------------------------------------------------------------------------------------------------


def disk(name: str, **more: object) -> Disk:
    known = machine("server").disks[0]
    return replace(known, name=name, by_id=(f"ata-{name}",), by_path=(), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("disks", "chosen"),
    [
        ([disk("small", size=100 << 30), disk("large", size=200 << 30)], "large"),
        ([disk("hdd", is_rotating=True, size=9 << 40), disk("ssd", size=100 << 30)], "ssd"),
        ([disk("card", transport="mmc"), disk("hdd", is_rotating=True)], "hdd"),
        ([disk("case", transport="usb"), disk("card", transport="mmc", size=16 << 30)], "card"),
        ([disk("lun", transport="iscsi"), disk("case", transport="usb")], "case"),
        ([disk("stick", is_removable=True), disk("tiny", size=1 << 30), disk("rom", is_read_only=True)], None),
        ([], None),
    ],
)
def test_the_disk_for_the_system(disks, chosen):
    found = choose(disks)
    assert (found.name if found else None) == chosen


@pytest.mark.parametrize(
    ("by_id", "by_path", "device"),
    [
        (["wwn-0x5", "ata-Model_Serial"], [], "by-id/ata-Model_Serial"),
        (["nvme-eui.002", "nvme-Model_S_1", "nvme-Model_S"], [], "by-id/nvme-Model_S"),
        (["wwn-0x5", "scsi-35000"], ["pci-0000:00:17.0-ata-1"], "by-id/wwn-0x5"),
        ([], ["pci-0000:00:17.0-ata-1"], "by-path/pci-0000:00:17.0-ata-1"),
        (["usb-Odd\\x20Name"], ["pci-0-usb"], "by-path/pci-0-usb"),
        ([], [], None),
    ],
)
def test_a_disk_is_named_for_good(by_id, by_path, device):
    named = replace(machine("server").disks[0], by_id=tuple(by_id), by_path=tuple(by_path))
    assert device_of(named) == (device and f"/dev/disk/{device}")


# --- any machine -----------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9@._-]{0,14}", fullmatch=True).filter(lambda name: name != "lo")
TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
MACS = st.integers(0, 2**40 - 1).map(
    lambda number: "52:" + ":".join(f"{number:010x}"[i : i + 2] for i in range(0, 10, 2))
)


@st.composite
def links(draw: st.DrawFn) -> tuple[Link, ...]:
    """Cards, and on top of each other a bond, a VLAN and a bridge of some of them; the last link has the address."""
    names = draw(st.lists(NAMES, min_size=7, max_size=7, unique=True))
    macs = draw(st.lists(MACS, min_size=3, max_size=3, unique=True))
    card = Link("", "card", None, (), (), True, 1000, 1500, "e1000", (), None, None)
    cards = [replace(card, name=name, mac=mac) for name, mac in zip(names, macs, strict=False)]
    found = cards[: draw(st.integers(1, 3))]
    top = found[0]
    if draw(st.booleans()):
        modes = st.sampled_from(["802.3ad", "active-backup", "balance-rr", "balance-xor"])
        parts = tuple(link.name for link in found)
        top = replace(card, name=names[3], kind="bond", parts=parts, bond_mode=draw(modes), mac=None)
        found.append(top)
    if draw(st.booleans()):
        top = replace(card, name=names[4], kind="vlan", parts=(top.name,), vlan_id=draw(st.integers(0, 4095)), mac=None)
        found.append(top)
    if draw(st.booleans()):
        guest = replace(card, name=names[5], kind="other", mac=None)
        top = replace(card, name=names[6], kind="bridge", parts=(top.name, guest.name), mac=None)
        found += [guest, top]
    length = draw(st.integers(13, 30))  # larger would reach into the cluster's own ranges
    address = f"10.{draw(st.integers(0, 9))}.0.{draw(st.integers(5, 120)) * 2 + 1 if length < 24 else 5}/{length}"
    leased = (address,) if draw(st.booleans()) else ()
    mtu = draw(st.sampled_from([1500, 9000, 1280, 68, 65520]))
    found[found.index(top)] = replace(top, addresses=(address, "fd00::5/64"), leased=leased, mtu=mtu)
    return tuple(found)


DISKS = st.builds(
    Disk,
    name=st.from_regex(r"sd[a-z]", fullmatch=True),
    size=st.integers(1, 1 << 50),
    transport=st.sampled_from(["nvme", "sata", "usb", "virtio", "mmc", "iscsi"]),
    is_rotating=st.booleans(),
    is_removable=st.booleans(),
    is_read_only=st.booleans(),
    model=st.none() | TEXTS,
    by_id=st.lists(st.from_regex(r"(ata|nvme|wwn)-[A-Za-z0-9_.:\\#-]{1,20}", fullmatch=True)).map(tuple),
    by_path=st.lists(st.from_regex(r"pci-[0-9:.]{1,9}", fullmatch=True)).map(tuple),
    modules=st.lists(st.sampled_from(["nvme", "sd_mod", *sorted(INITRD_MODULES)])).map(tuple),
    mounts=st.lists(st.from_regex(r"/[a-z]{0,5}", fullmatch=True)).map(tuple),
)


@st.composite
def machines(draw: st.DrawFn) -> Hardware:
    platform = draw(st.sampled_from(["x86_64", "aarch64", "armv7l", "i686", "riscv64"]))
    arm = platform in ("aarch64", "armv7l")
    found = draw(links())
    carrier = next(link for link in found if link.addresses)
    return Hardware(
        hostname=draw(TEXTS),
        os=draw(TEXTS),
        is_nixos=draw(st.booleans()),
        is_installer=draw(st.booleans()),
        kernel=draw(TEXTS),
        platform=platform,
        virtualization=draw(st.sampled_from([None, "none", "kvm", "lxc"])),
        maker=draw(st.none() | TEXTS),
        model=draw(st.none() | TEXTS),
        firmware=draw(st.none() | TEXTS),
        boot_mode=draw(st.sampled_from([None, "uefi"] if arm else ["bios", "uefi"])),
        secure_boot=draw(st.sampled_from([None, True, False])),
        has_bmc=draw(st.booleans()),
        processor=Processor(
            maker="arm" if arm else draw(st.sampled_from([None, "intel", "amd"])),
            model=draw(st.none() | TEXTS),
            sockets=draw(st.integers(1, 8)),
            cores=draw(st.integers(1, 10000)),
            threads=draw(st.integers(1, 20000)),
        ),
        memory=draw(st.integers(0, 1 << 45)),
        disks=tuple(draw(st.lists(DISKS, max_size=4))),
        links=found,
        routes=tuple(
            draw(st.lists(st.sampled_from([Route(to, carrier.name) for to in ("10.0.0.1", "10.3.0.1", "fe80::1")])))
        ),
        nameservers=tuple(draw(st.lists(st.sampled_from(["10.0.0.1", "fd00::53"]), unique=True))),
        connection=draw(st.none() | st.just("192.0.2.1")),
        unread=tuple(draw(st.lists(TEXTS))),
    )


IN_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=50
)


@IN_FOLDER
@given(machines(), st.sampled_from(["root", "nixos"]), st.sampled_from([22, 2222]))
def test_the_entry_of_any_machine_loads_and_says_what_it_is(tmp_path, hardware, user, port):
    carrier = next(link for link in hardware.links if link.addresses)
    address, _ = interface_of(carrier.addresses[0])
    endpoint = Endpoint("new", carrier.addresses[0].partition("/")[0], port, user)
    found = loaded(tmp_path, propose(hardware, Entry("new", endpoint)))
    assert interface_of(f"{found.address}/32")[0] == address
    assert found.network.interface == carrier.name
    assert found.network.mac == (carrier.mac if carrier.kind == "card" else None)
    assert found.network.dhcp or f"{found.address}/{found.network.prefix_length}" == carrier.addresses[0]
    assert set(found.hardware.macs) == {link.mac for link in hardware.links if link.mac}
    assert (found.hardware.memory or 0) <= hardware.memory
    assert found.hardware.cores in (hardware.processor.cores, 4096)
    assert len(found.disks) <= 1
    for one in found.disks.values():
        assert one.device in {device_of(disk) for disk in hardware.disks if not disk.is_removable}


@pytest.mark.parametrize("name", ENDPOINTS)
@IN_FOLDER
@given(random=st.randoms(use_true_random=False), left_out=st.floats(0, 1))
def test_a_machine_that_tells_only_some_of_it_still_gets_an_entry(tmp_path, name, random, left_out):
    """It is YAML with known keys and values, whatever is missing."""
    lines = [line for line in said_by(name).splitlines() if random.random() > left_out]
    hardware = probe.parse("\n".join(lines))
    try:
        found = loaded(tmp_path, propose(hardware, Entry("new", ENDPOINTS[name])))
    except InvalidInventory as error:
        allowed = ("required key 'interface'", "required key 'prefixLength'", "'pi.local' is a name, not an IP address")
        assert all(problem.message.startswith(allowed) for problem in error.problems), error
    else:
        assert found.network.interface is not None


@given(st.integers(256 << 20, 1 << 44))
def test_expected_memory_is_a_little_less_than_there_is(usable):
    expected = expected_memory(usable)
    assert 0.6 * usable - (256 << 20) < expected < usable
    assert functools.reduce(lambda rest, unit: rest % unit, (1 << 30, 256 << 20), expected) == 0


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x85", "\u2028"])
def test_no_word_of_a_machine_leaves_its_line(end):
    """A machine that calls itself so gets no key into its entry."""
    hostile = replace(machine("server"), hostname=f"n1{end}evil: 1", model=f"m{end}  evil: 1", kernel=f"6{end}evil: 1")
    text = propose(hostile, Entry("new", ENDPOINTS["server"]))
    assert text.isprintable() or set(text) - {"\n"} <= {c for c in text if c.isprintable()}
    assert "evil" not in yaml.safe_load(text) and "evil" not in yaml.safe_load(text)["new"]


def test_a_bonds_mode_is_a_text_whatever_a_machine_says():
    server, mode = machine("server"), "802.3ad}, evil: {"
    links = tuple(replace(link, bond_mode=mode) if link.kind == "bond" else link for link in server.links)
    network = yaml.safe_load(propose(replace(server, links=links), Entry("new", ENDPOINTS["server"])))["new"]["network"]
    assert mode in [bond["mode"] for bond in network["bonds"].values()]
