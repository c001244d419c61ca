"""What runs on a machine before it is installed: an installer, another Linux, or a node that must stay."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from slipway.errors import InvalidInput
from slipway.hardware import probe
from slipway.hardware.facts import Hardware
from slipway.hardware.proposal import SYSTEMS
from slipway.inventory import Host as InventoryHost
from slipway.ssh.host import Host

TOOLS = ("nix-store", "nix-daemon", "nixos-install", "mount", "flock")
"""What our own steps start there."""
LOOK = 'for tool; do command -v "$tool" >/dev/null || echo "$tool"; done; echo; cat /proc/sys/kernel/random/boot_id'


class Kind(StrEnum):
    """INSTALLER: NixOS's installation medium, or what calls itself one; OTHER: any Linux beside it."""

    INSTALLER = "installer"
    OTHER = "other"


@dataclass(frozen=True)
class Machine:
    """What answers there. `boot_id` of this boot; `missing` are the tools that an installer has and this lacks."""

    hardware: Hardware
    boot_id: str
    missing: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        return Kind.INSTALLER if self.hardware.is_installer and not self.missing else Kind.OTHER

    @property
    def runs(self) -> str:
        """For people: what it is called."""
        system = self.hardware.os or "an unknown Linux"
        return f"{system} (installer)" if self.hardware.is_installer else system


def look(host: Host) -> Machine:
    """Ask it. Raises Unreachable, OddAnswer, or whatever else keeps us from asking."""
    hardware = probe.read(host)
    with host.run(["sh", "-c", LOOK, "look for an installer's tools", *TOOLS]).read() as said:
        missing, _, boot_id = said.partition("\n\n") if not said.startswith("\n") else ("", "", said.strip())
    return Machine(hardware, boot_id.strip(), tuple(missing.split()))


def refuse_unfit(wanted: InventoryHost, machine: Machine) -> None:
    """Raises InvalidInput where the system that is about to be installed could not start on this machine."""
    hardware = machine.hardware
    platform = SYSTEMS.get(hardware.platform)
    if platform != wanted.system.value:
        raise InvalidInput(
            f"{wanted.name}: the machine is {platform or hardware.platform}, the inventory says {wanted.system.value}",
            hint=f"hosts.{wanted.name}.system, or the machine at another address",
        )
    started = hardware.boot_mode
    if started and not hardware.is_container and started != wanted.boot.mode:
        raise InvalidInput(
            f"{wanted.name}: the firmware started the machine by {started}, the inventory says boot.mode "
            f"{wanted.boot.mode}: it would not start from its disk",
            hint=f"hosts.{wanted.name}.boot.mode: {started}, or the firmware's settings; then slipway generate",
        )
