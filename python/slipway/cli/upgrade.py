"""`slipway upgrade`: to another release of k0s, a minor release at a time, by deploy's own waves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli import deploy as deploying
from slipway.cli import generate as generating
from slipway.cli.console import print_json, say, tell
from slipway.cli.deploy import BatchOption, RebootOption
from slipway.cli.locked import BreakLockOption, DryRunOption, YesOption, agree
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption, NoDrainOption
from slipway.cluster import upgrade as releases
from slipway.errors import UsageError
from slipway.generate import tree, writer
from slipway.inventory import Inventory, edit, load
from slipway.inventory.releases import minor_of
from slipway.node.reboot import When
from slipway.ssh.pool import Pool
from slipway.words import first_of

VersionArgument = Annotated[
    str,
    typer.Argument(
        help="A release (1.36.3+k0s.2), or a minor for its newest (1.36); default: the newest known.",
        metavar="VERSION",
        show_default=False,
    ),
]
KEYS = ("cluster", "k0s", "version")
"""The one place in the inventory."""
NAMED = 8
"""Nodes of one release that are named."""


def upgrade(
    version: VersionArgument = "",
    batch: BatchOption = "",
    no_drain: NoDrainOption = False,
    reboot: RebootOption = When.NEVER,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take the cluster to another release of k0s: say the steps, and do the first that is left.

    What runs now is asked of every node. A step is one minor release: the one place in the inventory is changed, with
    its comments kept, the files are generated, and a deploy brings the controllers one by one, then the workers. Never
    goes back. The same command again does the next step.

    Example: slipway upgrade --dry-run

    Example: slipway upgrade 1.36 --batch 2
    """
    inventory = load(inventory_file)
    _require_one_place(inventory)
    wanted = releases.target(version)
    with Pool.of(inventory) as pool:
        now = releases.running(inventory, pool)
    todo = releases.steps(tuple(now.values()), wanted)
    told = {"running": dict(now), "target": wanted, "steps": list(todo)}
    _tell(inventory, now, todo, wanted, quiet=json_output)
    if dry_run or not todo:
        _end(told, json_output)
        return
    _require_generated(inventory)
    agree(_changes(inventory, now, todo[0]), f"Upgrade to {todo[0]}?", yes=yes)
    if inventory.cluster.k0s.version != todo[0]:
        edit.change(inventory.path, KEYS, todo[0])
        _generate(inventory_file)
    deploying.deploy(
        batch=batch, no_drain=no_drain, reboot=reboot, break_lock=break_lock, inventory_file=inventory_file,
        json_output=json_output,
    )  # fmt: skip
    say(f"next: slipway upgrade {wanted}" if todo[1:] else "next: slipway verify")


def _require_one_place(inventory: Inventory) -> None:
    own = [host.name for host in inventory.hosts if host.k0s.version]
    if own:
        raise UsageError(
            f"{', '.join(own)}: the inventory has a release of their own (k0s.version), which this would leave behind",
            hint="change those by hand, then slipway generate; slipway deploy",
        )


def _require_generated(inventory: Inventory) -> None:
    """What somebody changed and did not deploy yet is no part of an upgrade."""
    stale = writer.changes(inventory.root, tree.render(inventory))
    if stale:
        raise UsageError(
            f"{len(stale)} generated files do not follow from the inventory: an upgrade would bring other changes, too",
            hint="slipway generate; slipway plan; slipway deploy, then the upgrade",
        )


def _tell(inventory: Inventory, now: Mapping[str, str], todo: Sequence[str], wanted: str, *, quiet: bool) -> None:
    if quiet:
        return
    names: dict[str, list[str]] = defaultdict(list)
    for name, release in now.items():
        names[release].append(name)
    for release, hosts in names.items():
        tell(f"k0s {release}: {first_of(hosts, NAMED, ' ')}")
    if not todo:
        tell(f"all run {wanted}: nothing to do")
    for number, release in enumerate(todo, 1):
        tell(f"step {number}: {release}" + (" (the inventory has it)" if _has(inventory, release) else ""))


def _has(inventory: Inventory, release: str) -> bool:
    return inventory.cluster.k0s.version == release


def _changes(inventory: Inventory, now: Mapping[str, str], release: str) -> Sequence[str]:
    had = inventory.cluster.k0s.version
    place = edit.where(inventory.path, KEYS)
    lines = [] if had == release else [f"{place}: {had} -> {release}, and the files that are generated of it"]
    lines += ["every node gets its new system, wave by wave; k0s restarts there, and pods leave a node before it"]
    rises = any(minor_of(now[host.name]) != minor_of(release) for host in inventory.controllers)
    if inventory.deploy.backup_before_upgrade and rises:
        lines.append("a backup of the control plane before that")
    return lines


def _generate(inventory_file: Path) -> None:
    inventory = load(inventory_file)
    different = writer.changes(inventory.root, tree.render(inventory))
    writer.write(inventory.root, different)
    generating.tell_git_of_new(inventory.root, different)


def _end(told: dict[str, Any], json_output: bool) -> None:
    if json_output:
        print_json(told)
