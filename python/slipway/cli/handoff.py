"""`slipway handoff`: from a verified cluster to its first GitOps stage."""

from __future__ import annotations

from slipway.cli.console import print_json, print_table, progress, say
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.inventory import load
from slipway.ssh.pool import Pool
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffResult
from slipway.verify import gate


def handoff(inventory: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Hand the cluster to its stage bootstrap (Flux, its key, Gitea), if every node is verified as it runs now.

    Example: slipway handoff
    """
    loaded = load(inventory)
    with Pool.of(loaded) as pool, progress(quiet=json_output) as listener:
        events = Events(listener)
        verdict = gate.look(loaded, pool.host)
        verdict.require()
        result = stages.handoff(loaded, verdict, kubeconfig.of(loaded, pool), pool.host, events)
    _show(result, json_output)


def _show(result: HandoffResult, json_output: bool) -> None:
    if json_output:
        print_json(result.to_json())
        return
    rows = [(step.name, step.outcome.value, f"{step.duration:.1f} s", step.text) for step in result.steps]
    print_table(("step", "outcome", "time", "what"), rows, title=f"stage {result.stage}")
    for line in result.next:
        say(line)
