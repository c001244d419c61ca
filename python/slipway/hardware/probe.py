"""Reads the hardware of a machine with one command.

probe.sh prints it there; `parse` makes facts of what it prints. Lines that are not as expected say nothing: what is
missing is named in `Hardware.unread`, and never stops the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from slipway.hardware.facts import Disk, Hardware, Link, Processor, Route
from slipway.inventory.address import address_of, interface_of
from slipway.ssh.host import Host

SCRIPT = Path(__file__).with_name("probe.sh")
TIMEOUT = 60.0
SECTOR = 512
"""Bytes in which the kernel counts a disk's size, whatever the disk's own sectors are."""
ETHERNET = "1"
"""ARPHRD_ETHER in /sys/class/net/*/type."""
PERMANENT = "0"
"""NET_ADDR_PERM in /sys/class/net/*/addr_assign_type; other addresses are random, taken over or set."""


def read(host: Host) -> Hardware:
    """Ask the machine. Raises Unreachable, or whatever else keeps us from asking."""
    said = host.run(["sh", "-c", SCRIPT.read_text(encoding="utf-8"), "probe"], timeout=TIMEOUT)
    return parse(said.stdout)


class _Said:
    """What the script printed: its lines by their kind, each as its parts."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, list[list[str]]] = {}
        for line in text.split("\n"):
            kind, *parts = map(_printable, line.split("\t"))
            self._lines.setdefault(kind, []).append(parts)

    def __contains__(self, kind: str) -> bool:
        return kind in self._lines

    def all(self, kind: str, count: int) -> Iterator[list[str]]:
        """The parts of every line of that kind, `count` of them; those that are not there are empty."""
        return ((parts + [""] * count)[:count] for parts in self._lines.get(kind, ()))

    def first(self, kind: str) -> str:
        """The only part of the only line of that kind."""
        return next(self.all(kind, 1), [""])[0]

    def matches(self, kind: str, pattern: str) -> Iterator[re.Match[str]]:
        """Lines that another program printed, as far as they are as expected."""
        found = (re.match(pattern, " ".join(parts)) for parts in self._lines.get(kind, ()))
        return (match for match in found if match)


def parse(text: str) -> Hardware:
    """The facts in what probe.sh printed. Pure."""
    said = _Said(text)
    kernel, platform = next(said.all("kernel", 2), ["", ""])
    os_id, variant, os_name = next(said.all("os", 3), ["", "", ""])
    dmi = {name: value for name, value in said.all("dmi", 2) if value}
    return Hardware(
        hostname=said.first("hostname"),
        os=os_name or os_id,
        is_nixos=os_id == "nixos",
        is_installer=variant == "installer",
        kernel=kernel,
        platform=platform,
        virtualization=said.first("virtualization") or None,
        maker=dmi.get("sys_vendor"),
        model=dmi.get("product_name") or said.first("board") or None,
        firmware=" ".join(dmi[key] for key in ("bios_vendor", "bios_version", "bios_date") if key in dmi) or None,
        boot_mode=_boot_mode(said, platform),
        secure_boot={"1": True, "0": False}.get(said.first("secureboot")),
        has_bmc="bmc" in said,
        processor=_processor(said, platform),
        memory=_memory(said),
        disks=tuple(_disks(said)),
        links=tuple(_links(said)),
        routes=tuple(_routes(said)),
        nameservers=tuple(_nameservers(said)),
        connection=said.first("connection") or None,
        unread=tuple(_unread(said)),
    )


def _printable(text: str) -> str:
    """Firmware texts hold anything; they end up in comments and on terminals."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


# --- firmware, processor, memory -------------------------------------------------------------------------------------


def _boot_mode(said: _Said, platform: str) -> str | None:
    if "efi" in said:
        return "uefi"
    return "bios" if platform in ("x86_64", "i686") else None


MAKERS = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}


def _processor(said: _Said, platform: str) -> Processor:
    told = {match[1]: match[2] for match in said.matches("cpuinfo", r"(.*?) ?: ?(.*)")}
    threads = _number(said.first("threads")) or 1
    return Processor(
        maker=MAKERS.get(told.get("vendor_id", "")) or ("arm" if re.match("aarch64|arm", platform) else None),
        model=told.get("model name"),
        sockets=_number(said.first("sockets")) or 1,
        cores=_number(said.first("cores")) or threads,
        threads=threads,
    )


def _memory(said: _Said) -> int:
    """MemTotal, whose kB have 1024 bytes."""
    return next((int(match[1]) * 1024 for match in said.matches("meminfo", r"MemTotal: ([0-9]{1,15}) kB")), 0)


# --- disks -----------------------------------------------------------------------------------------------------------


def _disks(said: _Said) -> Iterator[Disk]:
    mounts = _mounts(said)
    for name, device, modules, size, removable, read_only, rotating, vendor, model, card in said.all("disk", 10):
        sectors = _number(size)
        if not sectors or re.match(r"(sr|fd)[0-9]|mmcblk[0-9]+boot", name):
            continue  # empty card readers, optical drives, floppies, and the boot areas of eMMC
        yield Disk(
            name=name,
            size=sectors * SECTOR,
            transport=_transport(name, device),
            is_rotating=rotating == "1",
            is_removable=removable == "1",
            is_read_only=read_only == "1",
            model=_model(vendor, model or card),
            by_id=tuple(_aliases(said, "by-id", name)),
            by_path=tuple(_aliases(said, "by-path", name)),
            modules=tuple(dict.fromkeys(modules.split())),
            mounts=mounts.get(name, ()),
        )


_TRANSPORTS = (
    ("iscsi", "/session"),
    ("usb", "/usb"),
    ("virtio", "/virtio"),
    ("sas", "/end_device-"),
    ("sata", "/ata"),
    ("xen", "/vbd-"),
)
"""Marks in the path of a device, the outermost way first: a disk in a USB case is SATA too."""


def _transport(name: str, device: str) -> str:
    if name.startswith("nvme"):
        return "nvme"
    if name.startswith("mmcblk"):
        return "mmc"
    return next((transport for transport, mark in _TRANSPORTS if mark in device), "scsi")


def _model(vendor: str, model: str) -> str | None:
    """`ATA` is the vendor of every SATA disk, a number that of virtio's."""
    known = "" if vendor == "ATA" or vendor.startswith("0x") else vendor
    return f"{known} {model}".strip() or None


def _aliases(said: _Said, folder: str, name: str) -> Iterator[str]:
    return (alias for kind, alias, target in said.all("alias", 3) if kind == folder and target == name)


_MOUNT = r"\S+ \S+ (?P<number>\S+) (?P<root>\S+) (?P<point>\S+) .*?- (?P<kind>\S+) (?P<source>\S+)"
"""A line of mountinfo (proc_pid_mountinfo(5))."""


def _mounts(said: _Said) -> dict[str, tuple[str, ...]]:
    """Mount points by the disk that carries them, in order."""
    parents: dict[str, set[str]] = {}
    by_number: dict[str, str] = {}
    for name, number, parent in said.all("block", 3):
        by_number.setdefault(number, name)
        parents.setdefault(name, set()).update({parent} - {""})
    found: dict[str, set[str]] = {}
    for match in said.matches("mount", _MOUNT):
        device = _mounted(match, by_number)
        for disk in _carriers(device, parents) if device else ():
            found.setdefault(disk, set()).add(match["point"].replace(r"\040", " "))
    return {disk: tuple(sorted(points)) for disk, points in found.items()}


def _mounted(mount: re.Match[str], by_number: Mapping[str, str]) -> str | None:
    """The block device of a mount; None for a part of one that shows up elsewhere, as in a container."""
    if mount["kind"] == "btrfs":  # has a device number of its own, and shows a subvolume as root
        return mount["source"].rpartition("/")[2]
    return by_number.get(mount["number"]) if mount["root"] == "/" else None


def _carriers(device: str, parents: Mapping[str, set[str]]) -> set[str]:
    """The disks below a partition, a logical volume or the like."""
    found: set[str] = set()
    seen: set[str] = set()
    left = [device]
    while left:
        name = left.pop()
        below = parents.get(name, set())
        if not below:
            found.add(name)
        left += below - seen
        seen |= below
    return found


# --- links -----------------------------------------------------------------------------------------------------------


def _links(said: _Said) -> Iterator[Link]:
    vlans = {match[1]: int(match[2]) for match in said.matches("vlan", r"(\S+) *\| *([0-9]{1,4}) *\|")}
    addresses = _addresses(said)
    for name, kind, driver, below, type_, mac, assigned, permanent, state, speed, mtu, mode in said.all("link", 12):
        if name == "lo" or type_ != ETHERNET:
            continue
        is_card, carried = kind in ("card", "wireless"), addresses.get(name, {})
        if kind == "other" and name not in vlans and not carried:
            continue  # the pods' ends of a node's cables
        yield Link(
            name=name,
            kind="vlan" if name in vlans else kind,
            mac=_mac(permanent or (mac if assigned == PERMANENT else "")) if is_card else None,
            addresses=tuple(carried),
            leased=tuple(address for address, is_leased in carried.items() if is_leased),
            is_up=state in ("up", "unknown"),
            speed=_number(speed),
            mtu=_number(mtu) or 1500,
            driver=driver or None,
            parts=tuple(below.split()),
            bond_mode=mode.partition(" ")[0] if kind == "bond" and mode else None,
            vlan_id=vlans.get(name),
        )


def _mac(text: str) -> str | None:
    """A card's address, None for one of zeros and for those of groups."""
    usable = re.fullmatch(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}", text.lower()) and text != "00:00:00:00:00:00"
    return text.lower() if usable else None


_ADDRESS = r"[0-9]+: (?P<link>[^\s@]+)\S* inet6? (?P<address>[0-9a-fA-F.:]+(/[0-9]{1,3})?) (?P<flags>.*)"
_NOT_FOR_GOOD = {"temporary", "deprecated", "tentative", "dadfailed"}


def _addresses(said: _Said) -> dict[str, dict[str, bool]]:
    """By link, each with whether it is leased: `2: eno1 inet 10.0.0.21/24 brd ... scope global dynamic eno1`."""
    found: dict[str, dict[str, bool]] = {}
    for match in said.matches("address", _ADDRESS):
        flags, text = set(match["flags"].split()), match["address"]
        whole = text if "/" in text else f"{text}/{128 if ':' in text else 32}"
        if not flags & _NOT_FOR_GOOD and _is_valid(interface_of, whole):
            found.setdefault(match["link"], {})[whole] = "dynamic" in flags
    return found


def _routes(said: _Said) -> Iterator[Route]:
    """Of lines `default via 10.0.0.1 dev eno1 proto dhcp ... metric 100`, the preferred one first."""
    told = [dict(pairwise(match[0].split())) for match in said.matches("route", "default .*")]
    told.sort(key=lambda words: _number(words.get("metric", "")) or 0)
    routes = (Route(words.get("via", ""), words.get("dev", "")) for words in told)
    return (route for route in routes if route.link and _is_valid(address_of, route.gateway))


def _nameservers(said: _Said) -> Iterator[str]:
    servers = dict.fromkeys(match[1] for match in said.matches("resolv", r"nameserver (\S+)"))
    outside = (server for server in servers if not server.startswith(("127.", "::1", "fe80:")))
    return (server for server in outside if _is_valid(address_of, server))


def _is_valid(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


# --- what is missing -------------------------------------------------------------------------------------------------


def _unread(said: _Said) -> Iterator[str]:
    if "missing" in said:
        yield "addresses and routes: the machine has no program `ip`"
    if not any(value for _, value in said.all("dmi", 2)) and not said.first("board"):
        yield "maker, model and firmware: there are neither DMI tables nor a device tree"
    if not said.first("virtualization"):
        yield "whether it is a virtual machine: it has no program `systemd-detect-virt`"
    if not _memory(said):
        yield "memory: there is no MemTotal in /proc/meminfo"
    if not _number(said.first("cores")):
        yield "cores: no topology in /sys/devices/system/cpu; logical processors are counted in their place"
    if "disk" in said and "alias" not in said:
        yield "stable names of the disks: there is no /dev/disk/by-id, which udev makes"
