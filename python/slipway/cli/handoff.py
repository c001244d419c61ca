"""`slipway handoff`: from a verified cluster to one that runs itself from Git."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli import gate, locked
from slipway.cli.console import print_json, print_table, progress, say
from slipway.cli.locked import BreakLockOption
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.inventory import Inventory, load
from slipway.outcome import Outcome
from slipway.rollout import lock
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffResult
from slipway.stages.model import Stage

UntilOption = Annotated[
    Stage | None,
    typer.Option("--until", help="The last stage to wait for; default: the last of the inventory.", metavar="STAGE"),
]


def handoff(
    until: UntilOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what each step lacks; change nothing, ask for no gate.")
    ] = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Hand the cluster over: put up Flux and its Git server, push this repository there, and see Flux apply it.

    Every node must be verified as it runs now. It can be stopped anywhere and run again; a second time changes nothing.
    It has the cluster's lock meanwhile, as a deploy has: what was verified does not change under it.

    Example: slipway handoff --until bootstrap
    """
    inventory = load(inventory_file)
    stages.wanted(inventory, until)
    if dry_run:
        _tell_outlook(inventory, until, json_output)
        return
    with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        run = Run.begin(inventory.root, "handoff", keep=inventory.deploy.keep_runs)
        events = Events(listener, run.listener, run=run.id)
        with run.recorded(), locked.held(inventory, pool, events, run.id, break_lock=break_lock):
            result = _hand_over(inventory, pool, events, until)
    _show(result, json_output)


def _tell_outlook(inventory: Inventory, until: Stage | None, json_output: bool) -> None:
    with Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        found = stages.outlook(inventory, kubeconfig.of(inventory, pool), pool, Events(listener), until)
    if json_output:
        print_json({"apiVersion": "slipway/v1", "kind": "HandoffOutlook", "steps": [step.to_json() for step in found]})
        return
    words = {Outcome.OK: "to do", Outcome.UNCHANGED: "already so", Outcome.BLOCKED: "refuses"}
    print_table(("step", "state", "what"), [(step.name, words[step.outcome], step.text) for step in found])


def _hand_over(inventory: Inventory, pool: Pool, events: Events, until: Stage | None) -> HandoffResult:
    found = gate.look(inventory, pool, events)
    found.require()
    return stages.handoff(inventory, found, kubeconfig.of(inventory, pool), pool, events, until)


def _show(result: HandoffResult, json_output: bool) -> None:
    if json_output:
        print_json(result.to_json())
        return
    rows = [(step.name, step.outcome.value, f"{step.duration:.1f} s", step.text) for step in result.steps]
    print_table(("step", "state", "time", "what"), rows, title=f"until stage {result.stage}")
    for line in result.next:
        say(line)
    say("kubectl: slipway kubeconfig --merge, then kubectl get nodes; without --merge, -o FILE")
