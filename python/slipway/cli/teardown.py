"""`slipway teardown`: the stages taken down again, in the reverse order."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.cli.console import print_json, progress, say
from slipway.cli.locked import BreakLockOption, ByNameOption, DryRunOption, agree_by_name, held, rehearse
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig
from slipway.events import Events, Listener
from slipway.inventory import Inventory, load
from slipway.rollout import lock
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool
from slipway.stages import teardown as stages
from slipway.stages.bootstrap import Site
from slipway.stages.handoff import site_of
from slipway.stages.teardown import Removal
from slipway.words import counted


def teardown(
    dry_run: DryRunOption = False,
    yes: ByNameOption = "",
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take the stages down in the reverse order of the hand-off, after asking; volumes and the network stay.

    What is left is the cluster as `slipway deploy` made it, with the data of its volumes. `slipway handoff` puts the
    stages up again, and takes a teardown back that did not come to its end.

    Example: slipway teardown --dry-run
    """
    inventory = load(inventory_file)
    cached: Sequence[str] = ()
    if dry_run:
        with Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
            removals = _planned(inventory, pool, listener)
        rehearse([*map(str, removals)], json_output, key="wouldRemove", said="would go")
    else:
        with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
            removals = _planned(inventory, pool, listener)
            if removals:
                cached = _take_down(inventory, pool, listener, removals, yes, break_lock=break_lock)
        if json_output:
            gone = [each.to_json() for each in removals]
            print_json({"apiVersion": "slipway/v1", "kind": "Teardown", "removed": gone, "caches": list(cached)})
        elif removals:
            also = f", and {counted(len(cached), 'cache')} of backups" if cached else ""
            say(f"{len(removals)} removed{also}; volumes and their data are still there. Up again: slipway handoff")
    if not removals:
        say(f"nothing of the stages is in the cluster {inventory.cluster.name}")


def _planned(inventory: Inventory, pool: Pool, listener: Listener) -> Sequence[Removal]:
    return stages.planned(_site(inventory, pool, Events(listener)))


def _take_down(
    inventory: Inventory, pool: Pool, listener: Listener, removals: Sequence[Removal], yes: str, *, break_lock: bool
) -> Sequence[str]:
    for each in removals:
        say(f"goes: {each}")
    name, nothing = inventory.cluster.name, "nothing was taken down"
    agree_by_name(name, yes, to="take this down", nothing=nothing, again="slipway teardown")
    run = Run.begin(inventory.root, "teardown", keep=inventory.deploy.keep_runs)
    events = Events(listener, run.listener, run=run.id)
    with run.recorded(), held(inventory, pool, events, run.id, break_lock=break_lock):
        return stages.teardown(_site(inventory, pool, events), removals)


def _site(inventory: Inventory, pool: Pool, events: Events) -> Site:
    return site_of(inventory, kubeconfig.of(inventory, pool), pool, events, "teardown")
