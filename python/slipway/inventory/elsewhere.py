"""What is said elsewhere than where somebody looked for it: under another key, or in the machine's own NixOS settings.

The inventory holds what a cluster needs of its machines. What NixOS says better itself (kernel, disks beyond a file
system each, drivers) has no key here: an unknown key of that name is answered with the file and the option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from slipway.inventory.source import Keys
from slipway.pages import page
from slipway.slips import fold

HARDWARE: Final = page("how-to/own-hardware.md")
SETTINGS: Final = page("how-to/own-settings.md")
MACHINES: Final = ("defaults", "groups", "hosts")
"""Sections about machines; elsewhere `dns` would be another one than a machine's."""


@dataclass(frozen=True)
class Pointer:
    """An option of NixOS (or of disko), and the address of the page with an example."""

    option: str
    page: str


_HARDWARE: Final[dict[str, tuple[str, ...]]] = {
    "boot.kernelParams": (
        "kernelParams", "kernelParameters", "kernelArgs", "kernelArguments", "kernelCmdline", "cmdline", "bootParams",
        "hugepages", "iommu", "isolcpus",
    ),
    "boot.kernelModules": ("kernelModules", "loadModules", "modprobe"),
    "boot.blacklistedKernelModules": ("blacklistedKernelModules", "blacklistModules", "blacklist"),
    "boot.extraModprobeConfig": ("extraModprobeConfig", "modprobeConfig", "moduleOptions"),
    "boot.kernelPackages": ("kernelPackages", "kernelPackage", "kernelVersion", "kernel"),
    "boot.kernel.sysctl": ("sysctl", "sysctls", "kernelSysctl"),
    "boot.initrd.kernelModules": ("initrdKernelModules", "initrd"),
    "boot.initrd.luks.devices": (
        "luks", "luksDevices", "encryption", "encrypted", "encrypt", "diskEncryption", "fde", "crypttab", "cryptroot",
        "tpm", "tpm2", "clevis", "tang",
    ),
    "boot.initrd.network.ssh.enable": ("remoteUnlock", "unlock", "initrdSSH", "initrdNetwork", "dropbear"),
    "boot.swraid.enable": ("raid", "raid1", "mdadm", "mdraid", "swraid", "softwareRaid", "mirror", "mirrored"),
    "boot.supportedFilesystems": ("zfs", "bcachefs", "supportedFilesystems"),
    "boot.zfs.extraPools": ("zpool", "zpools", "zfsPools", "extraPools"),
    "networking.hostId": ("hostId",),
    "disko.devices": (
        "lvm", "vg", "vgs", "volumeGroup", "volumeGroups", "logicalVolumes", "partitions", "partition", "subvolumes",
        "rawDisks", "raw", "osd", "osds", "ceph", "disko",
    ),
    "fileSystems": ("fileSystems", "mounts", "mount", "fstab", "mountOptions"),
    "swapDevices": ("swapDevices", "swapFile", "swapfile"),
    "zramSwap.enable": ("zram", "zramSwap", "zswap"),
    "hardware.nvidia-container-toolkit.enable": (
        "nvidia", "gpu", "gpus", "cuda", "cdi", "nvidiaContainerToolkit", "nvidiaRuntime",
    ),
    "boot.loader.generic-extlinux-compatible.enable": (
        "raspberryPi", "rpi", "extlinux", "genericExtlinuxCompatible", "uboot", "sdImage",
    ),
    "boot.loader.grub.enable": ("bootloader", "loader", "grub", "grub2", "systemdBoot"),
    "hardware.deviceTree.overlays": ("deviceTree", "dtb", "dtbo", "overlays"),
    "hardware.firmware": ("extraFirmware", "linuxFirmware"),
    "hardware.enableRedistributableFirmware": ("enableRedistributableFirmware", "redistributableFirmware"),
    "powerManagement.cpuFreqGovernor": ("cpuFreqGovernor", "governor", "cpufreq", "powerManagement"),
    "services.udev.extraRules": ("udev", "udevRules"),
    "networking.wireless.enable": ("wifi", "wireless", "wlan"),
    "services.smartd.enable": ("smartd", "smart"),
    "services.fstrim.enable": ("fstrim", "trim"),
    "services.qemuGuest.enable": ("qemuGuest", "qemuGuestAgent", "guestAgent"),
}  # fmt: skip
"""Option to the words under which people look for it in an inventory: the machine's own metal."""

_SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "environment.systemPackages": ("packages", "systemPackages", "extraPackages", "software"),
    "environment.etc": ("etc", "files", "writeFiles"),
    "systemd.services": ("services", "units", "systemd"),
    "security.pki.certificates": ("caCertificates", "certificates", "trustedCA", "trustedCAs", "rootCA"),
    "networking.extraHosts": ("extraHosts", "etcHosts", "hostAliases"),
    "networking.wireguard.interfaces": ("wireguard", "vpn"),
    "services.tailscale.enable": ("tailscale",),
    "security.sudo.wheelNeedsPassword": ("wheelNeedsPassword", "sudo", "sudoers"),
    "services.prometheus.exporters.node.enable": ("nodeExporter", "prometheus"),
    "i18n.defaultLocale": ("locale", "i18n", "defaultLocale"),
    "console.keyMap": ("keyMap", "keyboard", "console"),
    "users.motd": ("motd",),
    "boot.tmp.useTmpfs": ("tmpfs", "useTmpfs", "tmpOnTmpfs"),
    "boot.binfmt.emulatedSystems": ("emulatedSystems", "binfmt"),
}
"""Likewise what is a matter of the system on it."""

_OURS: Final[dict[str, tuple[str, ...]]] = {
    "hosts.NAME.address": ("ip", "ipAddress", "privateAddress"),
    "hosts.NAME.network.nameservers": ("dns", "dnsServers", "resolvers"),
    "hosts.NAME.network.gateway": ("defaultGateway", "gateway4"),
    "hosts.NAME.network.interface": ("nic", "privateInterface"),
    "hosts.NAME.network.bonds.NAME.interfaces": ("slaves", "members", "slaveInterfaces"),
    "hosts.NAME.network.vlans.NAME.interface": ("link", "parent", "rawDevice"),
    "hosts.NAME.k0s.profile": ("workerProfile",),
    "hosts.NAME.ssh.authorizedKeys": ("sshKeys", "sshKey", "publicKeys"),
    "hosts.NAME.ssh.identity": ("keyPath", "privateKey", "identityFile"),
    "hosts.NAME.ssh.jump": ("bastion", "proxyJump", "jumpHost"),
    "hosts.NAME.watchdog": ("hardwareWatchdog",),
    "cluster.domain": ("clusterDomain", "dnsDomain"),
    "cluster.k0s.version": ("k0sVersion", "kubernetesVersion"),
    "cluster.network.podCIDR": ("podSubnet", "podNetwork", "podNetworkCIDR", "clusterCIDR"),
    "cluster.network.provider": ("cni",),
    "cluster.network.serviceCIDR": ("serviceSubnet", "serviceNetwork", "serviceClusterIPRange"),
    "cluster.network.vip": ("virtualIP", "virtualAddress", "keepalived", "controlPlaneLoadBalancing", "cplb"),
    "cluster.time.servers": ("ntp", "ntpServers", "timeServers", "chrony"),
    "cluster.time.zone": ("timezone", "tz"),
    "stages.registryMirror": ("spegel",),
    "mirrors.registries": ("registryMirrors", "containerdMirrors"),
}
"""Key to the words that other tools have for it."""


def said_otherwise(path: Keys, known: Sequence[str]) -> str | None:
    """The one of the `known` keys for which the unknown one at `path` is the word of another tool."""
    key = _keys().get(fold(str(path[-1])))
    if key is None or (path[0] not in MACHINES and key.startswith("hosts.")):
        return None
    last = key.rpartition(".")[2]
    return last if last in known else None


def is_of_ours(path: Keys) -> bool:
    """Whether the key at `path` is the word of another tool for one of the inventory's."""
    return fold(str(path[-1])) in _keys()


def said_elsewhere(path: Keys, known: Sequence[str]) -> str | None:
    """Where the unknown key at `path` is said: `: hosts/w1.nix, boot.kernelParams (PAGE)`, or under another key."""
    word = fold(str(path[-1]))
    key, here = _keys().get(word), said_otherwise(path, known)
    if here is not None:
        return f"; did you mean {here!r}?"
    if key is not None and (path[0] in MACHINES or not key.startswith("hosts.")):
        return f"; it is {key}"
    if word in map(fold, known):
        return None
    pointer = _pointers().get(word)
    return f": {file_of(path)}, {pointer.option} ({pointer.page})" if pointer else None


def value_elsewhere(path: Keys, value: str) -> str:
    """Likewise for a value that a key does not take, such as the file system `zfs` or the way to boot `extlinux`."""
    asked = path[-1] == "filesystem" or path[-2:] == ("boot", "mode")
    pointer = _pointers().get(_OTHER_VALUES.get(value) or fold(value)) if asked else None
    return f"; {file_of(path)} has it: {pointer.option} ({pointer.page})" if pointer else ""


def file_of(path: Keys) -> str:
    """The file of the user's repository that holds NixOS settings for what is said at `path`."""
    if path[0] == "hosts" and len(path) > 1:
        return f"hosts/{path[1]}.nix"
    return "hosts/NAME.nix" if path[0] == "groups" else "modules/*.nix"


def pointers() -> list[Pointer]:
    return sorted(set(_pointers().values()), key=lambda pointer: pointer.option)


_OTHER_VALUES: Final = {"none": "raw", "swap": "swapfile"}
"""Values to the word above that says the same."""


def other_names() -> dict[str, tuple[str, ...]]:
    """Key of the inventory to the words of other tools for it."""
    return dict(_OURS)


@lru_cache(maxsize=1)
def _pointers() -> dict[str, Pointer]:
    tables = ((_HARDWARE, HARDWARE), (_SETTINGS, SETTINGS))
    rows = ((option, words, page) for table, page in tables for option, words in table.items())
    return {fold(word): Pointer(option, page) for option, words, page in rows for word in words}


@lru_cache(maxsize=1)
def _keys() -> dict[str, str]:
    return {fold(word): key for key, words in _OURS.items() for word in words}
