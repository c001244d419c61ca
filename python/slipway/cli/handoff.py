"""`slipway handoff`: from a verified cluster to its first GitOps stage."""

from __future__ import annotations

from slipway.cli import gate, locked
from slipway.cli.console import print_json, print_table, progress, say
from slipway.cli.locked import BreakLockOption
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig
from slipway.errors import SlipwayError
from slipway.events import Events
from slipway.inventory import Inventory, load
from slipway.rollout import lock
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffResult


def handoff(
    break_lock: BreakLockOption = False, inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False
) -> None:
    """Hand the cluster to its stage bootstrap (Flux, its key, Gitea), if every node is verified as it runs now.

    It has the cluster's lock meanwhile, as a deploy has: what was verified does not change under it.

    Example: slipway handoff
    """
    inventory = load(inventory_file)
    with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        run = Run.begin(inventory.root, "handoff")
        result = _recorded(run, inventory, pool, Events(listener, run.listener, run=run.id), break_lock)
    _show(result, json_output)


def _recorded(run: Run, inventory: Inventory, pool: Pool, events: Events, break_lock: bool) -> HandoffResult:
    try:
        with locked.held(inventory, pool, events, run.id, break_lock=break_lock):
            result = _hand_over(inventory, pool, events)
    except SlipwayError as error:
        run.finish((), error)
        raise
    run.finish((), None)
    return result


def _hand_over(inventory: Inventory, pool: Pool, events: Events) -> HandoffResult:
    found = gate.look(inventory, pool, events)
    found.require()
    return stages.handoff(inventory, found, kubeconfig.of(inventory, pool), pool.host, events)


def _show(result: HandoffResult, json_output: bool) -> None:
    if json_output:
        print_json(result.to_json())
        return
    rows = [(step.name, step.outcome.value, f"{step.duration:.1f} s", step.text) for step in result.steps]
    print_table(("step", "state", "time", "what"), rows, title=f"stage {result.stage}")
    for line in result.next:
        say(line)
    say("kubectl: slipway kubeconfig --merge, then kubectl get nodes; without --merge, -o FILE")
