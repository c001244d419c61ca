"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

InventoryOption = Annotated[
    Path,
    typer.Option("--inventory", "-i", envvar="SLIPWAY_INVENTORY", help="The inventory to work on.", metavar="FILE"),
]
INVENTORY = Path("inventory.yaml")

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
