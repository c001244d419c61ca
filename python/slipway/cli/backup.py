"""`slipway backup`: the control plane in a file, for the day on which it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.console import print_json, print_table, progress, say, tell
from slipway.cli.locked import as_a_failed_deploy
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import backup as control_plane
from slipway.errors import UsageError
from slipway.events import Events
from slipway.inventory import load
from slipway.rollout.run import Run
from slipway.secrets import backups, store
from slipway.secrets.backups import Saved
from slipway.ssh.pool import Pool
from slipway.words import in_bytes

ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to",
        help="A new file, or a folder; default: .slipway/backups in the repository.",
        metavar="FILE|DIR",
        show_default=False,
    ),
]
PlainOption = Annotated[
    bool, typer.Option("--plain", help="Do not encrypt. The file holds every secret of the cluster, in plain text.")
]
ListOption = Annotated[bool, typer.Option("--list", help="List the backups there are, and make none.")]


def backup(
    to: ToOption = None,
    plain: PlainOption = False,
    list_only: ListOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Bring a copy of the control plane here: etcd, authorities and keys, encrypted to the recipients in .sops.yaml.

    No volumes of pods and no images are in it. Keep a copy away from the cluster, and the age key apart from it.

    Example: slipway backup

    Example: slipway backup --to /mnt/offsite

    Example: slipway backup --list
    """
    inventory = load(inventory_file)
    if list_only:
        _list(backups.known(to or backups.folder_of(inventory.root)), json_output)
        return
    if not plain:
        store.recipients_of(inventory.root)
    if to is not None and to.exists() and not to.is_dir():
        raise UsageError(f"{to} exists; it is not overwritten", hint="slipway backup --to another name, or a folder")
    with Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        run = Run.begin(inventory.root, "backup", keep=inventory.deploy.keep_runs)
        with run.recorded(), as_a_failed_deploy():
            archive = control_plane.make(inventory, pool, Events(listener, run.listener, run=run.id))
            saved = backups.save(inventory.root, archive, to, plain=plain)
    _show(saved, json_output)


def _show(saved: Saved, json_output: bool) -> None:
    if json_output:
        print_json(saved.to_json())
        return
    about = saved.about
    tell(f"{saved.path}: {in_bytes(saved.size)}, sha256 {saved.digest}")
    tell(f"cluster {about.cluster} ({about.identity[:12]}), k0s {about.k0s}, by {about.controller} at {about.time}")
    if not saved.recipients:
        say("warning: it is not encrypted, and holds every secret of the cluster")
    say(f"next: keep a copy elsewhere; slipway restore {saved.path} brings it back")


def _list(saved: Sequence[Saved], json_output: bool) -> None:
    if json_output:
        print_json([each.to_json() for each in saved])
        return
    print_table(("file", "time", "identity", "k0s", "size"), map(_row, saved))


def _row(saved: Saved) -> tuple[str, ...]:
    about, size = saved.about, in_bytes(saved.size) + ("" if saved.recipients else ", not encrypted")
    return saved.path.name, about.time.replace("+00:00", "Z"), about.identity[:12], about.k0s, size
