"""What one lab is called, where it keeps its things, and which machines it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from slipway.errors import UsageError
from slipway.paths import cache_dir

LABS = 10
"""Labs that fit on one machine: their subnets stop short of the default Service network 10.96.0.0/12."""
FOR_TESTS = (7, 8, 9)
"""Numbers of the labs that slipway's own tests make and take away as they need: a user's lab stays as it is."""

WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command that must not outlive this process, even if it is killed."""

_FIRST_CONTROLLER = 11
_FIRST_WORKER = 21
_MOST_WORKERS = 200
_CONTROLLERS = (1, 3, 5)


class Fault(StrEnum):
    """What can be made to go wrong with a machine (lab/faults.py)."""

    CUT_NETWORK = "cut-network"
    KILL = "kill"
    FREEZE = "freeze"
    HANG_ACTIVATION = "hang-activation"
    FILL_DISK = "fill-disk"
    FILL_RUN = "fill-run"
    SLOW_LINK = "slow-link"
    EMERGENCY = "emergency"
    OOM = "oom"


class LabRole(StrEnum):
    CONTROLLER = "controller"
    WORKER = "worker"


@dataclass(frozen=True)
class Lab:
    """One lab. Its number separates it from another on the same machine: state, bridge, subnet, control groups."""

    number: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.number < LABS:
            raise UsageError(f"lab {self.number}: labs are numbered 0 to {LABS - 1}")

    @property
    def name(self) -> str:
        return "slipway-lab" if self.number == 0 else f"slipway-lab-{self.number}"

    @property
    def state(self) -> Path:
        return Path("/var/lib") / self.name

    @property
    def lock(self) -> Path:
        return Path("/run") / f"{self.name}.lock"

    @property
    def bridge(self) -> str:
        return f"slipway{self.number}"

    @property
    def ipv6_mark(self) -> Path:
        """There in a lab whose machines have IPv6 alone (lab/family.py)."""
        return self.state / "ipv6"

    @property
    def subnet(self) -> IPv4Network | IPv6Network:
        part = 77 + self.number
        return IPv6Network(f"fd00:10:{part}::/64") if self.ipv6_mark.exists() else IPv4Network(f"10.{part}.0.0/24")

    @property
    def host_address(self) -> IPv4Address | IPv6Address:
        return self.address(1)

    @property
    def virtual_address(self) -> IPv4Address | IPv6Address:
        """The one that controllers hand on among each other, where there are several."""
        return self.address(10)

    def address(self, host_part: int) -> IPv4Address | IPv6Address:
        """The address of the lab that ends with these digits, in either family: .11 and ::11."""
        subnet = self.subnet
        return subnet[int(str(host_part), 16) if subnet.version == 6 else host_part]

    @property
    def identity(self) -> Path:
        """The private key that every machine of the lab lets in as root."""
        return self.state / "ssh" / "id_ed25519"

    @property
    def k0s(self) -> Path:
        """What the machines have of the real k0s; not there in a lab with the stand-in."""
        return self.state / "k0s"

    @property
    def images(self) -> Path:
        """The archives of container images that its machines see: those of the slipway that brought the lab up last."""
        return self.state / "images"

    @property
    def known_hosts(self) -> Path:
        return self.state / "ssh" / "known_hosts"

    def machine(self, name: str, role: LabRole, host_part: int) -> Machine:
        return Machine(self, name, str(self.address(host_part)), role)

    def machines(self, controllers: int, workers: int) -> tuple[Machine, ...]:
        """cp1.. on .11.., w1.. on .21.. (or ::11.., ::21..): the founding controller first. Raises UsageError."""
        if controllers not in _CONTROLLERS:
            raise UsageError(f"--controllers {controllers}: etcd wants an odd number, 1, 3 or 5")
        if not 0 <= workers <= _MOST_WORKERS:
            raise UsageError(f"--workers {workers}: the lab's network has room for 0 to {_MOST_WORKERS}")
        return (
            *(self.machine(f"cp{n + 1}", LabRole.CONTROLLER, _FIRST_CONTROLLER + n) for n in range(controllers)),
            *(self.machine(f"w{n + 1}", LabRole.WORKER, _FIRST_WORKER + n) for n in range(workers)),
        )


@dataclass(frozen=True)
class Machine:
    """One machine of a lab and where its parts lie on the host. Its disk outlives a power cut."""

    lab: Lab
    name: str
    address: str
    role: LabRole

    @property
    def folder(self) -> Path:
        return self.lab.state / "nodes" / self.name

    @property
    def disk(self) -> Path:
        """Where the machine's own disk is mounted: what it writes lies there, but for containerd's store."""
        return self.folder / "disk"

    @property
    def image(self) -> Path:
        """The file that is the machine's disk."""
        return self.folder / "disk.img"

    @property
    def root(self) -> Path:
        """The mounted root file system, while the machine is up."""
        return self.folder / "root"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / "nspawn.pid"

    @property
    def binds(self) -> dict[str, Path]:
        """Plain folders of the host that the machine writes to; containerd's may not lie on an overlay."""
        return {"/var/lib/k0s/containerd": self.containerd, "/data": self.folder / "data"}

    @property
    def containerd(self) -> Path:
        """Content, snapshots and databases of the machine's containerd."""
        return self.folder / "containerd"

    def changes(self, name: str) -> Path:
        """What the machine changed in the overlaid folder `name`."""
        return self.disk / f"{name}-changes"

    @property
    def machine_name(self) -> str:
        """nspawn's own name for it, unique on the host; it decides the name of the link."""
        return self.name if self.lab.number == 0 else f"{self.lab.number}-{self.name}"

    @property
    def link(self) -> str:
        """The host's end of the machine's network cable."""
        return f"vb-{self.machine_name}"

    @property
    def keeper_cgroup(self) -> str:
        """Where the process that starts nspawn sits: outside of the machine's group, which nspawn divides."""
        return f"{self.lab.name}/keeper-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"{self.lab.name}/{self.name}"


def lab_cache() -> Path:
    return cache_dir() / "lab"


PROGRAMS = "/opt/slipway-lab/bin"
"""Where every machine sees the lab's programs, read-only: those of the cache, under the lab's own real k0s if any."""

IMAGES = "/var/lib/k0s/images"
"""Where every machine sees the lab's images. What it changes there is its own: k0s sets the folder's mode, and ends if
it cannot."""
