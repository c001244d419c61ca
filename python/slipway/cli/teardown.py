"""`slipway teardown`: the stages taken down again, in the reverse order."""

from __future__ import annotations

from slipway.cli import locked
from slipway.cli.console import print_json, progress, say
from slipway.cli.locked import BreakLockOption, ByNameOption
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.inventory import load
from slipway.rollout import lock
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool
from slipway.stages import teardown as stages
from slipway.stages.handoff import site_of


def teardown(
    yes: ByNameOption = "",
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take the stages down in the reverse order of the hand-off, after asking; volumes and the network stay.

    What is left is the cluster as `slipway deploy` made it, with the data of its volumes. `slipway handoff` puts the
    stages up again.

    Example: slipway teardown
    """
    inventory = load(inventory_file)
    with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        config = kubeconfig.of(inventory, pool)
        removals = stages.planned(site_of(inventory, config, pool, Events(listener)))
        for each in removals:
            say(f"goes: {each}")
        name, nothing = inventory.cluster.name, "nothing was taken down"
        locked.agree_by_name(name, yes, to="take this down", nothing=nothing, again="slipway teardown")
        run = Run.begin(inventory.root, "teardown", keep=inventory.deploy.keep_runs)
        events = Events(listener, run.listener, run=run.id)
        with run.recorded(), locked.held(inventory, pool, events, run.id, break_lock=break_lock):
            stages.teardown(site_of(inventory, config, pool, events), removals)
    if json_output:
        print_json({"apiVersion": "slipway/v1", "kind": "Teardown", "removed": [each.to_json() for each in removals]})
    else:
        say(f"{len(removals)} removed; volumes and their data are still there. Up again: slipway handoff")
