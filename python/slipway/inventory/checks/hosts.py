"""One host at a time: groups, disks, hardware, accounts, Nix."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.inventory.address import address_of, network_of, way_of
from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.messages import nearest
from slipway.inventory.model import Document, System
from slipway.inventory.source import Keys
from slipway.inventory.values import port_range

_TAKEN_MOUNT_POINTS = ("/boot", "/dev", "/etc", "/nix/store", "/proc", "/run", "/sys", "/tmp")  # noqa: S108 (names only)
_TAKEN_USERS = (
    "root",
    "nobody",
    "sshd",
    "etcd",
    "kube-apiserver",
    "kube-scheduler",
    "konnectivity-server",
    "keepalived",
)


def groups(document: Document) -> Iterator[Finding]:
    used = set()
    for name, host in document.hosts.items():
        for index, group in enumerate(host.groups):
            path = ("hosts", name, "groups", index)
            used.add(group)
            if group not in document.groups:
                near = nearest(group, document.groups)
                yield Finding(path, f"no group {group!r}" + (f"; did you mean {near!r}?" if near else " in groups"))
            elif group in host.groups[:index]:
                yield Finding(path, f"{group!r} is named twice")
    for group in document.groups:
        if group not in used:
            yield Finding(("groups", group), "no host names this group", warning=True, about_key=True)


def disks(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        mounts: dict[str, Keys] = {}
        devices: dict[str, Keys] = {}
        for disk, settings in host.disks.items():
            path: Keys = ("hosts", name, "disks", disk)
            first = mounts.setdefault(settings.mount_point, path)
            if first is not path:
                message = f"{settings.mount_point} is already the mount point of {{}}"
                yield Finding((*path, "mountPoint"), message, other=first)
            first = devices.setdefault(settings.device, path)
            if first is not path:
                yield Finding((*path, "device"), f"{settings.device} is already used by {{}}", other=first)
            if settings.mount_point in _TAKEN_MOUNT_POINTS:
                yield Finding((*path, "mountPoint"), f"{settings.mount_point} is the system's own")
        if host.disks and "/" not in mounts:
            yield Finding(("hosts", name, "disks"), "no disk is mounted at /, which holds the system", about_key=True)


def disks_of_two_hosts(document: Document) -> Iterator[Finding]:
    """A by-id name holds the serial number, so that no two machines have it; virtual disks excepted."""
    seen: dict[str, Keys] = {}
    for name, host in document.hosts.items():
        for disk, settings in host.disks.items():
            if not settings.device.startswith("/dev/disk/by-id/"):
                continue
            path: Keys = ("hosts", name, "disks", disk, "device")
            first = seen.setdefault(settings.device, path)
            if first[1] != name and not _is_virtual(settings.device):
                yield Finding(path, f"{settings.device} is already used by {{}}", other=first, warning=True)


def _is_virtual(device: str) -> bool:
    return any(word in device for word in ("QEMU", "VBOX", "VMware", "virtio", "Virtual", "Google"))


def platforms(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        arm = host.system is not System.X86_64
        cpu = host.hardware.cpu
        if cpu is not None and (cpu == "arm") != arm:
            message = f"{cpu!r} processors do not run {host.system}, {{}}"
            yield Finding(("hosts", name, "hardware", "cpu"), message, other=("hosts", name, "system"))
        if arm and host.boot.mode == "bios":
            yield Finding(("hosts", name, "boot", "mode"), f"{host.system} machines have no BIOS; did you mean uefi?")


def expected_cards(document: Document) -> Iterator[Finding]:
    """What the machine is configured to be cannot be what it must not be: the node would be red for ever."""
    for name, host in document.hosts.items():
        nic, wanted = host.hardware.nics.get(host.network.mac or ""), host.network.mtu
        if nic is not None and None not in (nic.mtu, wanted) and nic.mtu != wanted:
            path = ("hosts", name, "hardware", "nics", str(host.network.mac), "mtu")
            yield Finding(path, f"{nic.mtu} is not the MTU that {{}} gives it", other=("hosts", name, "network", "mtu"))


def users(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        for user in host.users:
            if user in _TAKEN_USERS:
                fix = "; its keys are ssh.authorizedKeys" if user == "root" else ""
                yield Finding(
                    ("hosts", name, "users", user), f"the account {user} is the system's own{fix}", about_key=True
                )


def access(document: Document) -> Iterator[Finding]:
    """Without keys nobody could log in after the first activation."""
    for name, host in document.hosts.items():
        if not host.ssh.authorized_keys and host.ssh.user not in host.users:
            message = f"no authorizedKeys for {host.ssh.user}: unless your own modules add some, nobody can log in"
            yield Finding(("hosts", name, "ssh"), message, warning=True)
            return


def jumps(document: Document) -> Iterator[Finding]:
    """A machine that is its own jump host waits for itself: a group's setting that the jump host has to take back."""
    for name, host in document.hosts.items():
        own = ((host.ssh.address or host.address).lower(), host.ssh.port)
        for index, text in enumerate(host.ssh.jump):
            way = way_of(text)
            if (way.address.lower(), way.port) == own:
                message = f"{text} is this host itself; write `jump: []` here"
                yield Finding(("hosts", name, "ssh", "jump", index), message)


def proxies(document: Document) -> Iterator[Finding]:
    """Nobody reaches a proxy that lies where pods or Services do."""
    network = document.cluster.network
    ranges = [("podCIDR", network_of(network.pod_cidr)), ("serviceCIDR", network_of(network.service_cidr))]
    for name, host in document.hosts.items():
        for key, url in (("http", host.proxy.http), ("https", host.proxy.https)) if host.proxy else ():
            found = re.match(r"https?://\[?([0-9.]+|[0-9a-f:]+:[0-9a-f:]*)\]?(:[0-9]+)?$", url or "")
            for range_key, range_ in ranges if found else ():
                if found and range_.contains(address_of(found[1])):
                    other = ("cluster", "network", range_key)
                    yield Finding(("hosts", name, "proxy", key), f"{found[1]} lies in the range of {{}}", other=other)


def firewall_rules(document: Document) -> Iterator[Finding]:
    """A rule for everybody takes back what another key limits."""
    for name, host in document.hosts.items():
        for index, rule in enumerate(host.firewall.rules):
            if rule.protocol != "tcp" or rule.from_:
                continue
            ranges = [port_range(ports) for ports in rule.ports]
            limits = [("sshFrom", host.ssh.port, host.firewall.ssh_from)]
            if host.is_controller:
                limits.append(("apiFrom", document.cluster.k0s.ports.api, host.firewall.api_from))
            for key, port, sources in limits:
                if sources and any(port in each for each in ranges):
                    path = ("hosts", name, "firewall", "rules", index)
                    other = ("hosts", name, "firewall", key)
                    yield Finding(
                        path, f"opens {port} to everybody, which {{}} limits; give the rule a `from`", other=other
                    )


def caches(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        if host.nix.substituters and not host.nix.trusted_public_keys:
            message = "needs nix.trustedPublicKeys beside it, or Nix takes nothing from there"
            yield Finding(("hosts", name, "nix", "substituters"), message)
    if document.deploy.cache and not any(host.nix.substituters for host in document.hosts.values()):
        message = "no host has nix.substituters: nobody would fetch anything from there"
        yield Finding(("deploy", "cache"), message)


_DAY = 86400


def garbage(document: Document) -> Iterator[Finding]:
    """nix-collect-garbage counts whole days."""
    for name, host in document.hosts.items():
        days, rest = divmod(int(host.nix.gc.older_than), _DAY)
        if rest:
            path = ("hosts", name, "nix", "gc", "olderThan")
            yield Finding(path, f"Nix counts whole days; did you mean {days + 1}d?")


def taints(document: Document) -> Iterator[Finding]:
    """Kubernetes takes one taint a key and effect."""
    for name, host in document.hosts.items():
        seen: dict[tuple[str, str], str] = {}
        for index, text in enumerate(host.taints):
            key, _, effect = text.rpartition(":")
            first = seen.setdefault((key.partition("=")[0], effect), text)
            if first is not text:
                message = f"{text} has the key and the effect of {first}; a node has one of them"
                yield Finding(("hosts", name, "taints", index), message)


def pull(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        if (
            host.pull is not None
            and host.pull.engine == "comin"
            and not host.pull.url.startswith(("https", "http", "ssh"))
        ):
            message = f"comin takes a Git repository such as https://git.example.org/cluster.git, not {host.pull.url}"
            yield Finding(("hosts", name, "pull", "url"), message)


def health_checks(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        check = host.deploy.health_check
        if check is not None and check.command is None and check.url is None:
            yield Finding(("hosts", name, "deploy", "healthCheck"), "checks nothing; needs a command or a url")


CHECKS: tuple[Check, ...] = (
    health_checks, groups, disks, disks_of_two_hosts, platforms, expected_cards, users, access, jumps,
    proxies, firewall_rules, caches, garbage, taints, pull,
)  # fmt: skip
