"""Where every node of the inventory stands: last deploy, verification, Kubernetes, and what to do next."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from slipway.groups import bundled, like, named, typed
from slipway.inventory import Host, Inventory
from slipway.outcome import Outcome
from slipway.paths import state_dir
from slipway.rollout import run
from slipway.stages.overview import Overview
from slipway.verify.gate import GateResult
from slipway.verify.record import Record
from slipway.verify.running import Running

SHORT = 12
"""Characters of a commit that a person is shown."""


LEFT = {"node remove": "removed", "node replace": "to be replaced", "reset": "reset"}
"""Commands after which a node has no part in its cluster, each with the word for such a node."""


@dataclass(frozen=True)
class LastDeploy:
    """How a node came out of the last run that touched it, and that run's command. `time` is ISO 8601."""

    outcome: Outcome
    time: str
    reason: str = ""
    command: str = "deploy"

    @property
    def left(self) -> str:
        """The word of LEFT for a node that left its cluster; empty for any other."""
        return LEFT.get(self.command, "") if self.outcome.good else ""

    def to_json(self) -> dict[str, str]:
        return {"outcome": self.outcome.value, "time": self.time, "reason": self.reason, "command": self.command}


class Step(Enum):
    """What brings a node further."""

    NONE = ""
    REMOVED = "delete{names} from the inventory, or slipway deploy{names}"
    DEPLOY = "slipway deploy{names}"
    VERIFY = "slipway verify{names}"
    REBOOT = "reboot {it}, then slipway verify{names}"

    def of(self, names: Sequence[str]) -> str:
        """What to type for these nodes."""
        return self.value.format(names=typed(names), it="it" if len(names) == 1 else "them")


@dataclass(frozen=True)
class NodeStatus:
    """One line of `slipway status`. `ready` is None where the API did not say; `missing` is what the gate lacks."""

    host: Host
    deploy: LastDeploy | None
    record: Record | None
    missing: tuple[str, ...]
    ready: bool | None
    age: float | None
    behind: bool = False
    """Whether it runs another system than the inventory wants."""
    running: Running | None = None
    """What it says itself; None where it did not answer."""

    @property
    def commit(self) -> str:
        """The commit that it says its system was made from; empty where it says none."""
        return self.running.commit if self.running else ""

    @property
    def verification(self) -> str:
        """`green`, `red`, `stale` (green once, but not for what runs now), or `never`."""
        if self.record is None:
            return "never"
        if not self.record.green:
            return "red"
        return "stale" if self.missing else "green"

    @property
    def step(self) -> Step:
        """What brings the node further."""
        if self.deploy is not None and self.deploy.left:
            return Step.REMOVED if self.deploy.command == "node remove" else Step.DEPLOY
        if self.behind or (self.deploy is None and not (self.record and self.record.green)):
            return Step.DEPLOY
        if self.deploy is not None and self.deploy.outcome is Outcome.REBOOT_REQUIRED:
            return Step.REBOOT
        if self.deploy is not None and not self.deploy.outcome.good:
            return Step.DEPLOY
        return Step.VERIFY if self.missing or self.ready is False else Step.NONE

    @property
    def next_step(self) -> str:
        """The same as somebody would type it; empty if nothing is left to do for it."""
        return self.step.of([self.host.name])

    @property
    def deployed(self) -> str:
        """The outcome of the last deploy in one word, or what took the node out of its cluster since."""
        return (self.deploy.left or self.deploy.outcome.value) if self.deploy else "never"

    @property
    def kubernetes(self) -> str:
        """What Kubernetes says of it, in words; empty where it is no node there."""
        return {True: "Ready", False: "not Ready", None: "" if not self.host.runs_workloads else "unknown"}[self.ready]

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for nodes that one row can stand for."""
        return (self.host.role, self.deployed, self.verification, self.kubernetes, self.step)

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.host.name,
            "role": self.host.role.value,
            "address": self.host.address,
            "system": (self.running.system if self.running else "") or None,
            "commit": self.commit or None,
            "deploy": self.deploy.to_json() if self.deploy else None,
            "verification": {
                "state": self.verification,
                "time": self.record.time if self.record else None,
                "ageSeconds": None if self.age is None else round(self.age),
                "red": list(self.record.red) if self.record else [],
                "missing": list(self.missing),
            },
            "ready": self.ready,
            "next": self.next_step,
        }


@dataclass(frozen=True)
class Status:
    """The nodes in inventory order, whether the gate is open, and when a hand-off last came to its end (ISO 8601)."""

    nodes: tuple[NodeStatus, ...]
    gate: GateResult
    """Of these nodes; the gate itself is of all, so that of some it is not said whether it is open."""
    handed_over: str | None
    flux: Overview | None = None
    """What Flux has made of the repository; None where no API server answered."""
    commit: str = ""
    """What the checkout has, where Flux reads from the cluster's own Git server."""
    of_all: bool = True
    """Whether these are all nodes of the inventory."""

    @property
    def unpushed(self) -> bool:
        """Whether Flux has another commit than this checkout."""
        at = self.flux.commit if self.flux else ""
        return bool(at and self.commit) and not self.commit.startswith(at)

    @property
    def summary(self) -> str:
        """One line: how many nodes are as they should be, the gate, and what Flux has."""
        done = sum(not node.next_step for node in self.nodes)
        gate = ["gate open" if self.gate.open else "gate shut"] if self.of_all else []
        flux = [self.flux.summary] if self.flux and self.flux.items else []
        return ", ".join([f"nodes {done}/{len(self.nodes)}", *gate, *flux])

    @property
    def next_step(self) -> str:
        """What to do with the cluster as a whole, or with these nodes of it; empty if nothing."""
        if not self.of_all:
            return next((step.of(names) for step in Step if step.value and (names := self._for(step))), "")
        if removed := self._for(Step.REMOVED):  # first: a deploy of all would take them in again
            return Step.REMOVED.of(removed)
        if self._for(Step.DEPLOY):
            return "slipway deploy"
        if not self.gate.open:
            return "slipway verify"
        return "" if self.handed_over and not self.unpushed else "slipway handoff"

    def _for(self, step: Step) -> list[str]:
        return [node.host.name for node in self.nodes if node.step is step]

    @property
    def end(self) -> str:
        """The last line for a person."""
        if not self.of_all:
            return f"next: {self.next_step}" if self.next_step else f"nothing is left to do for {self._named()}"
        if self.handed_over and self.unpushed:
            return f"next: slipway handoff: Flux has another commit than this checkout ({self.commit[:12]})"
        if self.next_step:
            return f"next: {self.next_step}"
        if self.flux and self.flux.failing:
            return f"handed over {self.handed_over}; not Ready of what Flux runs: {len(self.flux.failing)}, see above"
        return f"handed over {self.handed_over}; nothing is left to do"

    def _named(self) -> str:
        return named([node.host.name for node in self.nodes])

    def to_json(self) -> dict[str, Any]:
        """All nodes, whatever a person is shown."""
        return {
            "nodes": [node.to_json() for node in self.nodes],
            "gate": self.gate.to_json() if self.of_all else None,
            "handedOver": self.handed_over,
            "summary": self.summary,
            "flux": self.flux.to_json() if self.flux else None,
            "next": self.next_step,
        }


def gather(
    inventory: Inventory,
    deploys: Mapping[str, LastDeploy],
    records: Mapping[str, Record],
    gate: GateResult,
    ready: Mapping[str, bool] | None,
    handed_over: str | None,
    now: datetime,
    flux: Overview | None = None,
    commit: str = "",
    hosts: Sequence[Host] | None = None,
) -> Status:
    """Pure: put together what was found, of all hosts or of some `hosts`. `ready` is None where no API server
    answered."""

    missing, behind = defaultdict[str, list[str]](list), gate.behind
    for reason in gate.reasons:
        missing[reason.node].append(reason.what)

    def one(host: Host) -> NodeStatus:
        record = records.get(host.name)
        return NodeStatus(
            host=host,
            deploy=deploys.get(host.name),
            record=record,
            missing=tuple(missing.get(host.name, ())),
            ready=_ready(host, ready),
            # A record may come from a deployer whose clock is ahead of ours.
            age=max(0.0, (now - datetime.fromisoformat(record.time)).total_seconds()) if record else None,
            behind=host.name in behind,
            running=gate.seen.get(host.name),
        )

    chosen = inventory.hosts if hosts is None else hosts
    # Since then the stages may have been taken down, or the cluster built anew.
    gone = flux is not None and not flux.items
    at = None if gone else handed_over
    return Status(tuple(map(one, chosen)), gate, at, flux, commit, of_all=len(chosen) == len(inventory.hosts))


def _ready(host: Host, ready: Mapping[str, bool] | None) -> bool | None:
    """A controller without workloads is no node of Kubernetes, and neither Ready nor not."""
    return None if ready is None or not host.runs_workloads else ready.get(host.name, False)


COLUMNS = ("node", "role", "address", "deploy", "commit", "verified", "age", "Kubernetes", "next")


def rows(nodes: Sequence[NodeStatus], *, each: bool = False) -> Iterator[tuple[str, ...]]:
    """Cells for COLUMNS, nodes with something left to do first. Of many nodes, those that are alike are one row unless
    `each` is wanted; a group's address is empty."""
    ordered = sorted(nodes, key=lambda node: node.step is Step.NONE)
    groups = [[node] for node in ordered] if each else bundled(ordered, lambda node: node.kind)
    return map(_row, groups)


def _row(members: Sequence[NodeStatus]) -> tuple[str, ...]:
    first, names = members[0], [node.host.name for node in members]
    return (
        like(names),
        first.host.role.value,
        first.host.address if len(members) == 1 else "",
        first.deployed,
        _commits({node.commit for node in members if node.commit}),
        first.verification,
        _ages([node.age for node in members if node.age is not None]),
        first.kubernetes,
        first.step.of(names),
    )


def _commits(commits: Collection[str]) -> str:
    """Its beginning, or how many there are: who did not change keeps the commit of the last change."""
    return f"{len(commits)} commits" if len(commits) > 1 else "".join(commits)[:SHORT]


def _ages(ages: Sequence[float]) -> str:
    """`3 h`, `3 h to 5 d`; empty for none."""
    return " to ".join(dict.fromkeys(map(age_of, (min(ages), max(ages))))) if ages else ""


def last_deploys(root: Path, names: Iterable[str]) -> dict[str, LastDeploy]:
    """Node name to how it came out of the newest run that came to a result for it (rollout/run.py).

    Runs are kept by the hundred: older ones are left alone once each of `names` is known.
    """
    found: dict[str, LastDeploy] = {}
    unknown = set(names)
    for path in sorted((state_dir(root) / "runs").glob("*/events.jsonl"), reverse=True):
        if not unknown:
            break
        for name, each in _deploys_of(path).items():
            # A reboot takes no machine into the cluster again that it has left.
            if name not in found or (name in unknown and each.left):
                found[name] = each
            if each.command != "reboot":
                unknown.discard(name)
    return found


def _deploys_of(events: Path) -> dict[str, LastDeploy]:
    results = [event for event in _results(events) if event["phase"] == "result" and event["node"]]
    command = str(run.read(events.with_name(run.BEGUN)).get("command", "")) if results else ""
    return {
        event["node"]: LastDeploy(
            Outcome(event["state"]), event["time"], str(event["data"].get("reason", "")), command or "deploy"
        )
        for event in results
    }


def last_handoff(root: Path) -> str | None:
    """When the newest hand-off that came to its end began (ISO 8601); None if there was none."""
    newest_first = sorted((state_dir(root) / "runs").glob("*/result.json"), reverse=True)
    ended = (each for each in map(_end, newest_first) if each.get("command") == "handoff" and not each["error"])
    return next((str(each["time"]) for each in ended), None)


def _results(events: Path) -> Iterator[dict[str, Any]]:
    """What a run wrote down of each node. Only such lines are parsed, since others may be many; a run that was killed
    may have left half a line, and one that is forgotten meanwhile has nothing more to say."""
    with suppress(FileNotFoundError), events.open(encoding="utf-8") as lines:
        for line in lines:
            if '"result"' in line:
                with suppress(ValueError):
                    yield json.loads(line)


def _end(result: Path) -> dict[str, Any]:
    """Of a run; nothing of one that is forgotten meanwhile."""
    with suppress(FileNotFoundError):
        return dict(json.loads(result.read_text(encoding="utf-8")))
    return {}


def age_of(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
