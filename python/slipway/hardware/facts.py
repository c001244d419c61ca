"""What a machine is made of: processor, memory, disks, links, firmware. probe.py reads it.

A fact that could not be read is None or empty, and named in `Hardware.unread`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

CONTAINERS = frozenset(
    ("container-other", "docker", "lxc", "lxc-libvirt", "openvz", "podman", "pouch", "proot", "rkt", "systemd-nspawn")
)
"""Words of systemd-detect-virt for what has no kernel of its own."""


@dataclass(frozen=True)
class Processor:
    """`maker` is intel, amd or arm; `model` as /proc/cpuinfo has it, None on most ARM machines."""

    maker: str | None
    model: str | None
    sockets: int
    cores: int
    """Cores that are on, over all sockets; as many as `threads` where the machine does not tell."""
    threads: int
    """Logical processors."""


@dataclass(frozen=True)
class Disk:
    """A whole disk with a device file. `name` is the kernel's of today, and may be another disk's after a boot."""

    name: str
    size: int
    """Bytes."""
    transport: str
    """nvme, sata, sas, usb, mmc, virtio, iscsi, xen, or scsi for what is behind a RAID controller."""
    is_rotating: bool
    """As the kernel believes; virtual disks mostly say so too."""
    is_removable: bool
    is_read_only: bool
    model: str | None
    by_id: tuple[str, ...]
    """Names in /dev/disk/by-id."""
    by_path: tuple[str, ...]
    """Names in /dev/disk/by-path: the socket that it sits in."""
    modules: tuple[str, ...]
    """Kernel modules between the disk and the processor, the disk's own first."""
    mounts: tuple[str, ...]
    """Where file systems on it are mounted now, through partitions, LVM, encryption and RAID."""


@dataclass(frozen=True)
class Link:
    """A network link: a card, or a bond, bridge or VLAN made of others."""

    name: str
    kind: str
    """card, wireless, bond, bridge, vlan, or other (veth, dummy, tunnels)."""
    mac: str | None
    """The card's permanent address, lower case; None where it has none of its own."""
    addresses: tuple[str, ...]
    """Global addresses with prefix length, such as 10.0.0.21/24."""
    leased: tuple[str, ...]
    """Those of them that DHCP or a router gave."""
    is_up: bool
    speed: int | None
    """Mbit/s of the cable."""
    mtu: int
    driver: str | None
    parts: tuple[str, ...]
    """Links right below: ports of a bond or bridge, carrier of a VLAN."""
    bond_mode: str | None
    vlan_id: int | None


@dataclass(frozen=True)
class Route:
    """A default route."""

    gateway: str
    link: str


@dataclass(frozen=True)
class Hardware:
    """One machine. Texts are as the machine says them, on one line and printable."""

    hostname: str
    os: str
    """Such as `Debian GNU/Linux 12 (bookworm)`; empty where /etc/os-release is missing."""
    is_nixos: bool
    is_installer: bool
    """Whether NixOS's installation medium runs, whose own disk is not the machine's."""
    kernel: str
    platform: str
    """`uname -m`: x86_64, aarch64, armv7l."""
    virtualization: str | None
    """systemd-detect-virt's word, such as kvm or systemd-nspawn; `none` on metal, None where it could not be asked."""
    maker: str | None
    """Of the machine (DMI's sys_vendor)."""
    model: str | None
    """DMI's product name, or the board's model in the device tree."""
    firmware: str | None
    """Maker, version and date of the firmware."""
    boot_mode: str | None
    """How it was started: uefi, bios, or None on a board whose own boot loader starts Linux."""
    secure_boot: bool | None
    """Whether UEFI starts only what is signed; None without UEFI, or where it does not tell."""
    has_bmc: bool
    """Whether it has a management controller that Linux can talk to (IPMI)."""
    processor: Processor
    memory: int
    """Bytes that Linux can use (MemTotal): some per cent less than what is built in."""
    disks: tuple[Disk, ...]
    links: tuple[Link, ...]
    """Without the loopback."""
    routes: tuple[Route, ...]
    nameservers: tuple[str, ...]
    """Without those on the machine itself."""
    connection: str | None
    """The machine's own address of the SSH connection that read this."""
    unread: tuple[str, ...]
    """What could not be read, and why."""

    @property
    def is_container(self) -> bool:
        """Whether disks, firmware and processors are another machine's."""
        return self.virtualization in CONTAINERS

    @cached_property
    def by_name(self) -> dict[str, Link]:
        return {link.name: link for link in self.links}

    def to_json(self) -> dict[str, Any]:
        """Plain data, keys in camelCase."""
        data: dict[str, Any] = _camel_case(asdict(self))
        return data


def _camel_case(value: object) -> Any:  # noqa: ANN401 (plain data)
    if isinstance(value, dict):
        return {re.sub(r"_(.)", lambda found: found[1].upper(), key): _camel_case(v) for key, v in value.items()}
    return [_camel_case(item) for item in value] if isinstance(value, list | tuple) else value
