"""What verification found: one frozen object, of which text, JSON, JUnit and HTML are views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from slipway.verify.digests import Digests


class Verdict(StrEnum):
    """How one check ended. An error is a check that could not run, which is neither a pass nor a finding."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def red(self) -> bool:
        return self in (Verdict.FAILED, Verdict.ERROR)


@dataclass(frozen=True)
class Finding:
    """Why a check is red, in the four parts that a person needs. Any of them may be empty but `found`."""

    found: str
    expected: str = ""
    command: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        return {"expected": self.expected, "found": self.found, "command": self.command, "fix": self.fix}

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(fields["found"], fields["expected"], fields["command"], fields["fix"])


@dataclass(frozen=True)
class Way:
    """A port of the node `to` as the asked node found it: `open`, `refused` (the way is free and nobody listens) or
    `silent`. `amiss` says that it should be otherwise."""

    to: str
    port: int
    state: str
    amiss: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"to": self.to, "port": self.port, "state": self.state, "amiss": self.amiss}

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(fields["to"], fields["port"], fields["state"], fields["amiss"])


@dataclass(frozen=True)
class Check:
    """One check of one node. `id` is pack.subject.check; `duration` in seconds; `reason` says why one was skipped,
    or what people should know of another."""

    id: str
    pack: str
    title: str
    verdict: Verdict
    duration: float = 0.0
    finding: Finding | None = None
    reason: str = ""
    ways: tuple[Way, ...] = ()
    """Ports of other nodes that the check tried."""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "verdict": self.verdict.value,
            "duration": round(self.duration, 3),
            "finding": self.finding.to_json() if self.finding else None,
            "reason": self.reason,
            "ways": [way.to_json() for way in self.ways],
        }

    @classmethod
    def of_json(cls, pack: str, fields: Mapping[str, Any]) -> Self:
        """What `to_json` made of a check of `pack`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            id=fields["id"],
            pack=pack,
            title=fields["title"],
            verdict=Verdict(fields["verdict"]),
            duration=fields["duration"],
            finding=Finding.of_json(fields["finding"]) if fields["finding"] else None,
            reason=fields["reason"],
            ways=tuple(map(Way.of_json, fields["ways"])),
        )


@dataclass(frozen=True)
class Counts:
    """How the checks of one pack ended on one node."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, checks: tuple[Check, ...]) -> Counts:
        seen = Counter(check.verdict for check in checks)
        return cls(seen[Verdict.PASSED], seen[Verdict.FAILED], seen[Verdict.ERROR], seen[Verdict.SKIPPED])

    @property
    def green(self) -> bool:
        """Something passed and nothing is red: a pack of which no check ran has shown nothing."""
        return self.passed > 0 and not self.failed and not self.errors

    def to_json(self) -> dict[str, int]:
        return {"passed": self.passed, "failed": self.failed, "errors": self.errors, "skipped": self.skipped}


class Obstacle(StrEnum):
    """Why a node was asked nothing: that is told once, and no check of it is."""

    UNREACHABLE = "unreachable"
    NOT_TRUSTED = "not trusted"
    NEVER_DEPLOYED = "never deployed"
    NOT_NIXOS = "not NixOS"


@dataclass(frozen=True)
class NodeVerification:
    """Everything asked of one node.

    `system` is the toplevel that it ran and `boot_id` the boot it was in when the checks began; both empty if it could
    not be reached. `error` says why checks are missing, and `hint` what to type: an obstacle, and then there are none;
    or connection lost, no end in time, and then every pack that it cut short holds an error, too.
    """

    node: str
    packs: tuple[str, ...]
    system: str = ""
    boot_id: str = ""
    checks: tuple[Check, ...] = ()
    duration: float = 0.0
    error: str = ""
    obstacle: Obstacle | None = None
    hint: str = ""

    @property
    def unreachable(self) -> bool:
        """Whether nothing at all was learned about it."""
        return self.obstacle in (Obstacle.UNREACHABLE, Obstacle.NOT_TRUSTED)

    @property
    def state(self) -> str:
        """One word for a table: `green`, `red`, or the obstacle."""
        return self.obstacle.value if self.obstacle else "green" if self.green else "red"

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Pack name to counts, in the order in which the packs were asked for."""
        return {pack: Counts.of(tuple(c for c in self.checks if c.pack == pack)) for pack in self.packs}

    @property
    def red(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.verdict.red)

    @property
    def green(self) -> bool:
        return bool(self.packs) and all(counts.green for counts in self.counts.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "green": self.green,
            "state": self.state,
            "system": self.system,
            "bootId": self.boot_id,
            "duration": round(self.duration, 3),
            "error": self.error,
            "hint": self.hint,
            "unreachable": self.unreachable,
            "packs": {
                pack: {**counts.to_json(), "checks": [c.to_json() for c in self.checks if c.pack == pack]}
                for pack, counts in self.counts.items()
            },
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        packs: Mapping[str, Any] = fields["packs"]
        return cls(
            node=fields["node"],
            packs=tuple(packs),
            system=fields["system"],
            boot_id=fields["bootId"],
            checks=tuple(Check.of_json(name, check) for name, pack in packs.items() for check in pack["checks"]),
            duration=fields["duration"],
            error=fields["error"],
            obstacle=Obstacle(fields["state"]) if fields["state"] in set(Obstacle) else None,
            hint=fields["hint"],
        )


@dataclass(frozen=True)
class Verification:
    """One run of packs over nodes, in inventory order. `time` is ISO 8601 UTC, when it began."""

    time: str
    nodes: tuple[NodeVerification, ...] = field(default=())
    duration: float = 0.0
    digests: Digests = field(default_factory=Digests)
    """What the inventory and the packs were when it began."""

    @property
    def green(self) -> bool:
        return bool(self.nodes) and all(node.green for node in self.nodes)

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "Verification",
            "time": self.time,
            "duration": round(self.duration, 3),
            "green": self.green,
            "nodes": [node.to_json() for node in self.nodes],
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """What `to_json` made, without the digests. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(fields["time"], tuple(map(NodeVerification.of_json, fields["nodes"])), fields["duration"])
