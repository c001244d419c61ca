"""`slipway gate`: what keeps the cluster from its hand-off, in words."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.cli.console import print_json, progress, say, tell
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.errors import GateRefused
from slipway.events import Events
from slipway.groups import named
from slipway.inventory import Host, Inventory, load
from slipway.rollout.interruption import Interruption
from slipway.ssh.pool import Pool
from slipway.verify import gate as gates
from slipway.verify.gate import GateResult


def gate(inventory_file: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """Say whether the gate to the hand-off is open, and what is missing where it is shut. Nothing is changed.

    Every node runs what the inventory wants now, and has a fresh green record of it, written by this deployer.

    Example: slipway gate
    """
    inventory = load(inventory_file)
    with Pool.of(inventory) as pool, progress(quiet=json_output) as listener, Interruption(pool.shut, say).heard():
        found = look(inventory, pool, Events(listener))
    if json_output:
        print_json(found.to_json())
    else:
        _show(found)
    if not found.open:
        raise GateRefused(f"the gate is shut for {named(found.nodes)}", hint=found.hint)


def look(inventory: Inventory, pool: Pool, events: Events, hosts: Sequence[Host] | None = None) -> GateResult:
    """The gate as it is now, or what of it is of some `hosts`; builds the systems that the inventory wants, to know
    them."""
    from slipway.rollout.phases import Preparation  # here: `status --quick` builds nothing

    preparation = Preparation(inventory, inventory.hosts if hosts is None else hosts, pool, events)
    preparation.require_generated()
    return gates.look(inventory, pool.host, preparation.build(), hosts=hosts, events=events)


def _show(found: GateResult) -> None:
    for line in found.shown():
        tell(line)
    if found.open:
        say("the gate is open: slipway handoff")
