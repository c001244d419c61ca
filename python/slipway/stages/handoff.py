"""The hand-off: once every node has a fresh green verification, the cluster gets its stages.

The stage bootstrap is put up from the repository's files; then the repository is pushed, and Flux takes over: what was
put up, and all later stages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.errors import DeployFailed, SlipwayError, UsageError
from slipway.events import Events
from slipway.generate.gitops.apps import git_server, stages_of
from slipway.inventory import Inventory
from slipway.outcome import Outcome
from slipway.result import CommandFailed, CommandTimedOut
from slipway.ssh.host import Host
from slipway.ssh.tunnel import Tunnel
from slipway.stages import base_apps, bootstrap
from slipway.stages.bootstrap import Site
from slipway.stages.model import Stage
from slipway.stages.repository import MOST_NAMED, ServerAway, kustomizations, unhealthy
from slipway.stages.steps import Step, steps
from slipway.tools import helm, kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.verify.gate import GateResult
from slipway.wait import WaitedTooLong, wait_until
from slipway.words import counted, first_of

PHASE = "handoff"
LONGER = "why: slipway status --failing; to wait longer: stages.readyTimeout in inventory.yaml"


class Machines(Protocol):
    """The nodes by name, and tunnels to what they reach (ssh/pool.py)."""

    def host(self, name: str) -> Host: ...

    def tunnel(self, name: str, address: str, port: int) -> AbstractContextManager[Tunnel]: ...


def next_steps(inventory: Inventory, until: Stage) -> tuple[str, ...]:
    """What a person does after the hand-off."""
    if git_server(inventory) is None:
        return (f"Flux runs and reads {inventory.stages.source.url}: it takes over from there, stage by stage.",)
    kind = inventory.stages.git_server.kind
    later = stages_of(inventory)[stages_of(inventory).index(until) + 1 :]
    waiting = (f"Flux goes on with {', '.join(later)}: slipway status",) if later else ()
    return (
        f"Flux runs this repository from {repository_of(inventory)} in {kind.capitalize()}; a commit that is pushed "
        "there is applied within seconds. Push from here: slipway handoff",
        *waiting,
        f"Its page, and how to sign in there: slipway open {kind}",
    )


def repository_of(inventory: Inventory) -> str:
    """ORGANISATION/NAME of this repository in the cluster's Git server."""
    settings = inventory.stages.git_server
    return f"{settings.organization}/{settings.repository or inventory.cluster.name}"


class HandoffFailed(DeployFailed):
    """A step did not get where it should; what was done before it stays, and is found again."""


@dataclass(frozen=True)
class StepResult:
    """One step: `ok` if it changed something, else `unchanged`. `duration` in seconds."""

    name: str
    outcome: Outcome
    text: str
    duration: float

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.name,
            "state": self.outcome.value,
            "text": self.text,
            "duration": round(self.duration, 3),
        }


@dataclass(frozen=True)
class HandoffResult:
    """A finished hand-off. `next` is for people: what they can do now."""

    stage: Stage
    steps: tuple[StepResult, ...]
    next: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return any(step.outcome is Outcome.OK for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "Handoff",
            "stage": self.stage.value,
            "changed": self.changed,
            "steps": [step.to_json() for step in self.steps],
            "next": list(self.next),
        }


def site_of(
    inventory: Inventory, kubeconfig: Kubeconfig, machines: Machines, events: Events, phase: str = PHASE
) -> Site:
    """Where the inventory's stages are put up; progress is told of under `phase`."""
    server = git_server(inventory)
    return Site(
        root=inventory.root,
        kubeconfig=kubeconfig,
        host=machines.host,
        tunnel=machines.tunnel,
        charts=inventory.mirrors.charts,
        deadline=inventory.stages.ready_timeout,
        tell=lambda text: events.emit(phase, "progress", text=text),
        git=server.name if server else "",
        repository=repository_of(inventory),
        branch=inventory.stages.source.branch,
        proven_within=inventory.stages.proof_timeout,
    )


def handoff(
    inventory: Inventory,
    gate: GateResult,
    kubeconfig: Kubeconfig,
    machines: Machines,
    events: Events,
    until: Stage | None = None,
) -> HandoffResult:
    """Put up the stages, the last of the inventory or `until` included; a second time changes nothing.

    Raises GateRefused with everything that is missing; HandoffFailed, with the step, where one goes wrong.
    """
    gate.require()
    site, stages = site_of(inventory, kubeconfig, machines, events), wanted(inventory, until)
    taken = tuple(_take(step, site, events) for step in steps(site, stages))
    told = (*_not_healthy(site, stages), *_not_saved(site, stages))
    return HandoffResult(stages[-1], taken, (*told, *next_steps(inventory, stages[-1])))


def _not_healthy(site: Site, stages: Sequence[Stage]) -> Iterator[str]:
    """A word on the apps that keep no stage back: the user's own."""
    with suppress(CommandFailed, CommandTimedOut):
        found = kustomizations(site.kubeconfig)
        names = [each["metadata"]["name"] for stage in stages for each in unhealthy(found, stage)]
        if names:
            shown = first_of(names, MOST_NAMED)
            yield f"not healthy, {counted(len(names), 'app')}: {shown}; why: slipway status --failing"


def _not_saved(site: Site, stages: Sequence[Stage]) -> Iterator[str]:
    """A word on volumes of apps, which keep no stage back either."""
    with suppress(CommandFailed, CommandTimedOut):
        names = list(base_apps.not_saved(site)) if Stage.CLUSTER_APPS in stages else []
        if names:
            shown = first_of(names, MOST_NAMED)
            yield f"not saved, {counted(len(names), 'volume')}: {shown}; why: slipway status"


def outlook(
    inventory: Inventory, kubeconfig: Kubeconfig, machines: Machines, events: Events, until: Stage | None = None
) -> tuple[StepResult, ...]:
    """What `handoff` would find: each step with what it lacks, `blocked` where it would refuse. Changes nothing."""
    site, stages = site_of(inventory, kubeconfig, machines, events), wanted(inventory, until)
    return tuple(_looked_at(step, site, events) for step in steps(site, stages))


def wanted(inventory: Inventory, until: Stage | None) -> tuple[Stage, ...]:
    """The stages up to `until`. Raises UsageError for one that the inventory does not have."""
    there = tuple(map(Stage, stages_of(inventory)))
    if until is not None and until not in there:
        raise UsageError(
            f"--until {until}: the last stage of this inventory is {there[-1]}", hint="stages.until in inventory.yaml"
        )
    return there[: there.index(until or there[-1]) + 1]


def _take(step: Step, site: Site, events: Events) -> StepResult:
    events.emit(PHASE, "started", step=step.name, text=step.text)
    began = time.monotonic()
    try:
        changed = _done(step, site)
    except SlipwayError as error:
        events.emit(PHASE, "failed", step=step.name, text=step.name)
        if not isinstance(error, CommandFailed | CommandTimedOut | WaitedTooLong):
            raise
        raise HandoffFailed(f"stage {step.stage}, step {step.name}: {error}", hint=_way_on(error)) from error
    outcome = Outcome.OK if changed else Outcome.UNCHANGED
    text = changed if isinstance(changed, str) else step.text
    events.emit(PHASE, outcome.value, step=step.name, text=f"{step.name}: {text}")
    return StepResult(step.name, outcome, text, time.monotonic() - began)


def _way_on(error: SlipwayError) -> str:
    waited = isinstance(error, WaitedTooLong)
    return "; ".join(filter(None, (error.hint, LONGER if waited else "", "slipway handoff goes on where it stopped")))


def _done(step: Step, site: Site) -> bool | str:
    """Run the step; while nobody answers, the API server or the Git server, again: a step finds what it has done. So it
    does while a helm is at work: one that outlived its killed hand-off comes to its end, or to its time.

    Bounded as every wait of a step is.
    """
    gaps: list[str] = []

    def run() -> tuple[tuple[bool | str] | None, str]:
        try:
            return (step.run(site),), ""
        except CommandFailed as error:
            if not kubectl.unanswered(error):
                raise
            gaps.append(f"the API server does not answer: {error.result.excerpt(1).strip()}")
        except (ServerAway, helm.AtWork) as error:
            gaps.append(str(error))
        return None, gaps[-1]

    (done,) = wait_until(
        run, deadline=site.deadline, describe=step.text, interval=bootstrap.INTERVAL, on_progress=site.tell
    )
    # Nobody knows what a try has changed that was cut short.
    return done or bool(gaps)


def _looked_at(step: Step, site: Site, events: Events) -> StepResult:
    events.emit(PHASE, "started", step=step.name, text=step.text)
    began = time.monotonic()
    outcome, text = _found(step, site)
    events.emit(PHASE, "looked", step=step.name, text=f"{step.name}: {text}")
    return StepResult(step.name, outcome, text, time.monotonic() - began)


def _found(step: Step, site: Site) -> tuple[Outcome, str]:
    try:
        if step.asks_only:
            step.run(site)
        missing = step.lacking(site)
    except SlipwayError as error:
        return Outcome.BLOCKED, str(error)
    return (Outcome.OK, missing) if missing else (Outcome.UNCHANGED, step.text)
