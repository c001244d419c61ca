"""The hand-off: once every node has a fresh green verification, the cluster gets its stage bootstrap.

From then on GitOps owns what was applied: the same files, which Flux finds in the repository later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.generate.gitops.apps import git_server
from slipway.inventory import Inventory
from slipway.outcome import Outcome
from slipway.result import CommandFailed, CommandTimedOut
from slipway.secrets import store
from slipway.ssh.host import Host
from slipway.stages.bootstrap import Site, Step, steps
from slipway.stages.model import Stage
from slipway.tools.kubeconfig import Kubeconfig
from slipway.verify.gate import GateResult
from slipway.wait import WaitedTooLong

PHASE = "handoff"


def next_steps(inventory: Inventory) -> tuple[str, ...]:
    """What a person does after the hand-off."""
    server = git_server(inventory)
    if server is None:
        return (f"Flux runs and reads {inventory.stages.source.url}: it takes over from there, stage by stage.",)
    settings = inventory.stages.git_server
    where = f"{settings.organization}/{settings.repository or inventory.cluster.name}"
    return (
        f"Flux and {settings.kind.capitalize()} run. Next: this repository goes into {where} there, and Flux takes "
        "over from there, stage by stage.",
        "kubectl for this machine: slipway kubeconfig --merge",
        f"Sign in as {store.GITEA_USER}: kubectl --namespace {server.namespace} port-forward "
        f"service/{server.name}-http 3000, then http://127.0.0.1:3000; the password: sops decrypt {store.GITEA_ADMIN}",
    )


class HandoffFailed(DeployFailed):
    """A step of the stage did not get where it should; what was done before it stays, and is found again."""


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


def handoff(
    inventory: Inventory, gate: GateResult, kubeconfig: Kubeconfig, host: Callable[[str], Host], events: Events
) -> HandoffResult:
    """Put up the stage bootstrap; a second time finds it there and changes nothing.

    Raises GateRefused with everything that is missing; HandoffFailed, with the step, where one goes wrong.
    """
    gate.require()
    server = git_server(inventory)
    site = Site(
        root=inventory.root,
        kubeconfig=kubeconfig,
        host=host,
        charts=inventory.mirrors.charts,
        deadline=inventory.stages.ready_timeout,
        tell=lambda text: events.emit(PHASE, "progress", text=text),
        git=server.name if server else "",
    )
    taken = tuple(_take(step, site, events) for step in steps(site))
    return HandoffResult(Stage.BOOTSTRAP, taken, next_steps(inventory))


def _take(step: Step, site: Site, events: Events) -> StepResult:
    events.emit(PHASE, "started", step=step.name, text=step.text)
    began = time.monotonic()
    try:
        outcome = Outcome.OK if step.run(site) else Outcome.UNCHANGED
    except (CommandFailed, CommandTimedOut, WaitedTooLong) as error:
        events.emit(PHASE, "failed", step=step.name, text=step.name)
        raise HandoffFailed(
            f"stage {Stage.BOOTSTRAP}, step {step.name}: {error}", hint="slipway handoff goes on where it stopped"
        ) from error
    events.emit(PHASE, outcome.value, step=step.name, text=f"{step.name}: {step.text}")
    return StepResult(step.name, outcome, step.text, time.monotonic() - began)
