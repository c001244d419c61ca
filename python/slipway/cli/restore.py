"""`slipway restore`: a cluster out of its backup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_json, print_table, say
from slipway.cli.locked import BreakLockOption, DryRunOption, YesOption, agree, at_work, rehearse
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import restore as control_plane
from slipway.cluster.backup import Archive
from slipway.cluster.restore import Ground
from slipway.errors import DeployFailed
from slipway.inventory import Inventory, load
from slipway.outcome import NodeResult
from slipway.secrets import at_rest, backups

FileArgument = Annotated[Path, typer.Argument(help="The backup, encrypted or not.", metavar="FILE")]


def restore(
    file: FileArgument,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Bring a cluster back from its backup, on controllers that have none: lost their data, or were deployed --no-join.

    The first controller gets it, the others join it, the workers come back. A controller that has a cluster, the same
    or another, is refused: nothing that lives is overwritten.

    Example: slipway restore .slipway/backups/homelab-20261126T014500Z.tar.gz.age
    """
    inventory = load(inventory_file)
    archive = backups.load(inventory.root, file)
    keys = at_rest.read(inventory.root) if inventory.cluster.k0s.encrypt_secrets else None
    with at_work("restore", inventory, break_lock=break_lock, quiet=json_output, rehearses=dry_run) as work:
        ground = control_plane.require_cold(inventory, work.pool, archive)
        lost = list(_lost(inventory, archive, ground))
        if dry_run:
            rehearse(lost, json_output, key="wouldDo", said="would")
            return
        agree(lost, f"Restore the cluster on {ground.first}?", yes=yes)
        results = control_plane.restore(inventory, work.pool, work.events, archive, ground, keys)
        work.nodes.extend(results.values())
        _show(archive, work.nodes, json_output)
        _judge(work.nodes)


def _lost(inventory: Inventory, archive: Archive, ground: Ground) -> Sequence[str]:
    about = archive.about
    when = f"its state of {about.time}" if about.time else "of an unknown time"
    others = [host.name for host in inventory.controllers if host.name != ground.first]
    lines = [
        f"cluster {about.cluster or 'without a name'} ({about.identity[:12]}), {when}: what was written to it later is "
        "lost; volumes of pods are not touched",
        f"{ground.first} gets it" + (f"; {' '.join(others)} join it" if others else "") + "; k0s restarts on workers",
    ]
    return [*lines, *(f"{name} does not answer, and is left out" for name in ground.silent)]


def _show(archive: Archive, nodes: Sequence[NodeResult], json_output: bool) -> None:
    if json_output:
        print_json({"backup": archive.about.to_json(), "nodes": [node.to_json() for node in nodes]})
        return
    rows = [(node.node, node.outcome.value, f"{node.duration:.1f} s", node.reason.partition("\n")[0]) for node in nodes]
    print_table(("node", "outcome", "time", "why"), rows)
    say("next: slipway deploy; slipway verify")


def _judge(nodes: Sequence[NodeResult]) -> None:
    bad = [f"{node.node} ({node.outcome})" for node in nodes if not node.outcome.good]
    if bad:
        raise DeployFailed(f"did not come back: {', '.join(bad)}", hint="slipway deploy, when that is mended")
