"""What an installation wipes, and whether a cluster's data is among it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import InvalidInput, SlipwayError
from slipway.hardware.yamltext import size_of
from slipway.ssh.host import Host

SCRIPT = Path(__file__).with_name("disks.sh")
TIMEOUT = 120.0
"""Seconds; a disk that is about to fail takes its time."""
RUNNING = "running"
"""How disks.sh calls the system that it runs on."""


class HoldsACluster(SlipwayError):
    """A disk that would be wiped holds what a member of a cluster keeps."""

    exit_code = InvalidInput.exit_code


@dataclass(frozen=True)
class Part:
    """A disk, or a part of it; `filesystem` is empty where there is none, `mounted` where it is not mounted."""

    device: str
    size: int
    """Bytes."""
    filesystem: str
    label: str
    mounted: str

    @property
    def is_empty(self) -> bool:
        return not (self.filesystem or self.label or self.mounted)

    def __str__(self) -> str:
        told = [self.filesystem or "nothing known"]
        told += [f"label {self.label}"] if self.label else []
        told += [f"mounted at {self.mounted}"] if self.mounted else []
        return f"{self.device}, {size_of(self.size)}: {', '.join(told)}"


@dataclass(frozen=True)
class Target:
    """A disk that the configuration names, as it is on the machine. `named` is its lasting name."""

    named: str
    device: str
    size: int
    model: str
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return f"{self.named} ({self.device}), {size_of(self.size)}" + (f", {self.model}" if self.model else "")

    def lines(self) -> Iterator[str]:
        """The disk, and what on it goes."""
        yield str(self)
        kept = [part for part in self.parts if not part.is_empty]
        yield from (f"  {part}" for part in kept)
        if not kept:
            yield "  empty, as far as one can see"

    @property
    def carries(self) -> str:
        """Where its file systems are mounted now: somebody uses it."""
        return next((part.mounted for part in self.parts if part.mounted.startswith("/")), "")


@dataclass(frozen=True)
class Sight:
    """All targets, parts that hold a cluster's data by their path, parts that could not be looked into."""

    targets: tuple[Target, ...]
    missing: tuple[str, ...] = ()
    clusters: tuple[tuple[str, str], ...] = ()
    closed: tuple[tuple[str, str], ...] = ()


def look(host: Host, devices: Sequence[str]) -> Sight:
    """What the named disks hold. Raises OddAnswer, Unreachable, or whatever else keeps us from asking."""
    script = SCRIPT.read_text(encoding="utf-8")
    with host.run(["sh", "-c", script, "look at disks", *devices], timeout=TIMEOUT).read() as said:
        return parse(said)


def parse(said: str) -> Sight:
    """Pure. Raises ValueError for lines that disks.sh does not print."""
    lines = [line.split("\t") for line in said.splitlines() if "\t" in line]
    parts: dict[str, list[Part]] = {}
    for named, device, size, filesystem, label, mounted in (rest for kind, *rest in lines if kind == "part"):
        parts.setdefault(named, []).append(Part(device, int(size), filesystem, label, mounted))
    targets = [
        Target(named, device, int(size), model.strip(), tuple(parts.get(named, ())))
        for named, device, size, model in (rest for kind, *rest in lines if kind == "disk")
    ]
    pairs: Mapping[str, list[tuple[str, str]]] = {
        wanted: [(rest[0], rest[1]) for kind, *rest in lines if kind == wanted] for wanted in ("cluster", "closed")
    }
    missing = tuple(rest[0] for kind, *rest in lines if kind == "missing")
    return Sight(tuple(targets), missing, tuple(pairs["cluster"]), tuple(pairs["closed"]))


def refuse(node: str, sight: Sight) -> None:
    """Raises InvalidInput for disks that are not there or the installer runs from, HoldsACluster for what must stay."""
    if sight.missing:
        raise InvalidInput(
            f"{node}: the machine has no disk {', '.join(sight.missing)}",
            hint="slipway discover prints the names of its disks; put them into inventory.yaml, then slipway generate",
        )
    for part, path in sight.clusters:
        where = f"it runs with {path}" if part == RUNNING else f"{part} holds {path}"
        raise HoldsACluster(
            f"{node}: {where}, what a member of a cluster keeps: nothing is wiped",
            hint=_way_out(sight, part),
        )


def refuse_in_use(node: str, sight: Sight) -> None:
    """Raises InvalidInput where an installer would wipe what it runs from, or somebody works on."""
    used = next((target for target in sight.targets if target.carries), None)
    if used:
        raise InvalidInput(
            f"{node}: {used.named} is in use there, mounted at {used.carries}",
            hint=f"umount {used.carries} there, if nobody needs it; a stick that the installer runs from is no target",
        )


def _way_out(sight: Sight, part: str) -> str:
    named = next((each.named for each in sight.targets if part in [one.device for one in each.parts]), "")
    return "take it out of its cluster first; if that cluster is gone for good, erase it by hand: " + (
        f"wipefs --all {part}" if named else "boot it from the installer, then again"
    )
