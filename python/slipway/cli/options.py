"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

INVENTORY = Path("inventory.yaml")
INVENTORY_VARIABLE = "SLIPWAY_INVENTORY"


def find_inventory() -> Path:
    """The inventory of this folder, or of the nearest one above that has one; of this folder where none has."""
    here = Path.cwd()
    above = (folder / INVENTORY for folder in (here, *here.parents) if (folder / INVENTORY).is_file())
    found = next(above, here / INVENTORY)
    return Path(os.path.relpath(found, here))


def _chosen(context: typer.Context, parameter: typer.CallbackParam, file: Path) -> Path:
    """What was named, as it was named; else what is found."""
    source = context.get_parameter_source(parameter.name or "")
    return find_inventory() if source is not None and source.name.startswith("DEFAULT") else file


InventoryOption = Annotated[
    Path,
    typer.Option(
        "--inventory",
        "-i",
        envvar=INVENTORY_VARIABLE,
        help="The inventory to work on; default: inventory.yaml of this folder, or of the nearest above.",
        metavar="FILE",
        callback=_chosen,
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]

Selection = Annotated[
    list[str] | None,
    typer.Argument(
        help="Which nodes: names, globs, @tags, roles or groups. All of them if left out.", metavar="NODE..."
    ),
]

ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", "-x", help="Leave these out.", metavar="NODE...", show_default=False)
]

NoDrainOption = Annotated[
    bool, typer.Option("--no-drain", help="Leave the pods where they are when k0s or a node restarts.")
]
