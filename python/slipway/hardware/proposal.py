"""The entry of inventory.yaml that a machine's hardware proposes, as commented YAML.

What the inventory should say stands there; what a person may want to choose instead stands beside it as a comment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from slipway.hardware.facts import Hardware, Link
from slipway.hardware.proposed_disks import choose, device_of, disks
from slipway.hardware.proposed_network import network, own_address, same
from slipway.hardware.yamltext import indented, listed, one_line, remark, scalar, size_of
from slipway.inventory.kubernetes import slug
from slipway.inventory.values import RESERVED_NAMES, SIZE_UNITS, with_unit
from slipway.ssh.connection import Endpoint

SYSTEMS = {"x86_64": "x86_64-linux", "aarch64": "aarch64-linux", "armv7l": "armv7l-linux"}
"""Platforms of `uname -m` in the inventory's words."""
INITRD_MODULES = frozenset(
    (
        *("aacraid", "arcmsr", "hpsa", "isci", "megaraid_sas", "mpi3mr", "mpt3sas", "mptsas", "mptspi", "mvsas"),
        *("pm80xx", "smartpqi", "vmd"),
        *("virtio_blk", "virtio_mmio", "virtio_pci", "virtio_scsi", "hv_storvsc", "vmw_pvscsi", "xen_blkfront"),
        *("sdhci_acpi", "sdhci_pci", "uas", "usb_storage"),
    )
)
"""Modules that disks hang on and that NixOS's initrd does not have by itself: RAID controllers, hypervisors, memory
cards and USB. No others are proposed, since a name that NixOS's kernel does not have would break the build."""
_GIB, _MIB = 1 << 30, 1 << 20
_SLOWEST, _FASTEST = 10, 1_600_000
"""Mbit/s that the inventory takes."""
_TOO_LARGE = 10**9
"""GiB that it does not."""


@dataclass(frozen=True)
class Entry:
    """What the hardware cannot tell: name, how the machine was reached, and its role, where the inventory has one."""

    name: str
    endpoint: Endpoint
    role: str | None = None


def free_name(hardware: Hardware, endpoint: Endpoint, taken: Collection[str]) -> str:
    """A name for a machine that has none yet: its own, or one of its address where that says nothing."""
    own = slug(hardware.hostname.partition(".")[0])
    if own in ("", "nixos", *RESERVED_NAMES):
        own = slug(f"node-{own_address(hardware, endpoint)[0].partition('/')[0]}")
    numbered = (f"{own}-{number}" for number in range(2, len(taken) + 3))
    return own if own not in taken else next(name for name in numbered if name not in taken)


def propose(hardware: Hardware, entry: Entry) -> str:
    """The entry, indented to stand under `hosts:`."""
    lines = [*_about(hardware), f"{entry.name}:", *indented(_settings(hardware, entry))]
    return "".join(f"{one_line(line)}\n" for line in indented(lines))


def _settings(hardware: Hardware, entry: Entry) -> Iterator[str]:
    address, link = own_address(hardware, entry.endpoint)
    own = address.partition("/")[0]
    yield f"address: {scalar(own)}" + remark(_about_address(hardware, own, link, entry.endpoint.address))
    yield f"role: {entry.role}" if entry.role else "role: worker  # or controller, controller+worker, single"
    yield from _system(hardware)
    if not hardware.is_installer:  # its account `nixos` is not the machine's
        yield from _ssh(entry.endpoint, own)
    yield from network(hardware, address, link)
    yield from disks(hardware)
    yield from _boot(hardware)
    yield from _hardware(hardware)


def _about_address(hardware: Hardware, own: str, link: Link | None, wanted: str) -> str | None:
    if link is None:
        return "no link with this address was found"
    is_own = same(f"{own}/32", wanted)
    return f"the installer was reached as {wanted}" if hardware.is_installer and not is_own else None


# --- what it is ------------------------------------------------------------------------------------------------------


def summary(hardware: Hardware) -> str:
    """The machine in one line."""
    processor = hardware.processor
    many = f"{processor.sockets} x " if processor.sockets > 1 else ""
    maker = hardware.maker if hardware.maker and hardware.maker not in (hardware.model or "") else None
    parts = [
        " ".join(filter(None, (maker, hardware.model))),
        f"{many}{processor.model or hardware.platform}, "
        f"{_count(processor.cores, 'core')}, {_count(processor.threads, 'thread')}",
        f"{size_of(hardware.memory)} of memory" if hardware.memory else "",
        _count(len(hardware.disks), "disk"),
        _count(sum(link.kind == "card" for link in hardware.links), "card"),
    ]
    return "; ".join(filter(None, parts))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _about(hardware: Hardware) -> Iterator[str]:
    yield f"# {summary(hardware)}"
    secure = {True: ", Secure Boot on", False: "", None: ""}[hardware.secure_boot]
    if hardware.firmware:
        yield f"# firmware {hardware.firmware}{secure}"
    running = hardware.os + (" (installer)" if hardware.is_installer else "")
    yield f"# runs {running or 'an unknown system'}, Linux {hardware.kernel}, as {hardware.hostname}"
    if hardware.virtualization not in (None, "none"):
        yield f"# virtual: {hardware.virtualization}"
    if hardware.secure_boot:
        yield "# Secure Boot starts only what is signed, and NixOS is not: turn it off in the firmware's settings."
    for text in hardware.unread:
        yield f"# not read: {text}"


def _system(hardware: Hardware) -> Iterator[str]:
    system = SYSTEMS.get(hardware.platform)
    if system is None:
        yield f"# system: {hardware.platform} machines are none that slipway knows"
    elif system != "x86_64-linux":
        yield f"system: {system}"


def _ssh(endpoint: Endpoint, own: str) -> Iterator[str]:
    """The way that we came in by."""
    settings = [] if same(f"{own}/32", endpoint.address) else [f"address: {scalar(endpoint.address)}"]
    settings += [f"user: {endpoint.user}"] if endpoint.user != "root" else []
    settings += [f"port: {endpoint.port}"] if endpoint.port != 22 else []
    if settings:
        yield f"ssh: {{{', '.join(settings)}}}"


# --- boot ------------------------------------------------------------------------------------------------------------


def _boot(hardware: Hardware) -> Iterator[str]:
    if hardware.is_container:
        yield "# boot: this is a container, which the machine below it starts"
        return
    if hardware.boot_mode is None:
        yield "# boot: neither UEFI nor BIOS started it, and slipway's boot loaders need one of them:"
        yield "#   give the board UEFI firmware, or set its own boot loader in hosts/<name>.nix"
        return
    chosen = choose(hardware.disks)
    modules = [module for module in chosen.modules if module in INITRD_MODULES] if chosen else []
    more = f", initrdModules: {listed(modules)}" if modules else ""
    yield f"boot: {{mode: {hardware.boot_mode}{more}}}"


# --- what verification expects ---------------------------------------------------------------------------------------


def _hardware(hardware: Hardware) -> Iterator[str]:
    processor, memory = hardware.processor, expected_memory(hardware.memory)
    macs = dict.fromkeys(link.mac for link in hardware.links if link.mac and link.kind == "card")
    settings = [f"cpu: {processor.maker}"] if processor.maker else []
    settings += [f"cores: {min(processor.cores, 4096)}"]
    settings += [f"memory: {with_unit(memory, SIZE_UNITS)}"] if memory else []
    settings += [f"macs: {listed(list(macs))}"] if macs else []
    more = [*_model(hardware), *_expected_disks(hardware), *_expected_cards(hardware)]
    if not more:
        yield f"hardware: {{{', '.join(settings)}}}{remark('at least')}"
        return
    yield f"hardware:{remark('what verification expects: at least this')}"
    yield from indented([*settings, *more])


def _model(hardware: Hardware) -> Iterator[str]:
    """Parts that another machine in its place would have otherwise; a container's are not its own."""
    if hardware.is_container:
        return
    for key, text in (("model", hardware.processor.model), ("machine", hardware.model)):
        if text and text.isascii() and text.isprintable():
            yield f"{key}: {scalar(text)}"
    if hardware.has_bmc:
        yield "bmc: true"


def _expected_disks(hardware: Hardware) -> Iterator[str]:
    """Those that stay in the machine, whatever they are for."""
    fixed = {device_of(disk): disk.size // _GIB for disk in hardware.disks if not disk.is_removable}
    sized = {device: size for device, size in fixed.items() if device and 1 <= size < _TOO_LARGE}
    if sized and not hardware.is_container:
        yield "disks:"
        yield from indented(f"{scalar(device)}: {{size: {size}Gi}}" for device, size in sized.items())


def _expected_cards(hardware: Hardware) -> Iterator[str]:
    """Those whose cable is in; a speed that differs later is a cable or a switch that went bad."""
    speeds = ((link, link.speed or 0) for link in hardware.links if link.kind == "card" and link.mac and link.is_up)
    cards = {link.mac: link for link, speed in speeds if _SLOWEST <= speed <= _FASTEST}
    if cards:
        yield "nics:"
        yield from indented(f'"{mac}": {{{", ".join(_runs(card))}}}' for mac, card in cards.items())


def _runs(card: Link) -> Iterator[str]:
    if card.driver and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", card.driver):
        yield f"driver: {scalar(card.driver)}"
    yield f"speed: {card.speed}"


def expected_memory(usable: int) -> int:
    """Bytes that the machine must have: a little less than it has, since each kernel keeps another part for itself."""
    unit = _GIB if usable >= 8 * _GIB else 256 * _MIB
    return int(usable * 0.98) // unit * unit
