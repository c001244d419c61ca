"""`slipway runs`: what was done from this repository, and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli.console import print_json, print_table, say, tell
from slipway.cli.first import WithDefault
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.inventory import load
from slipway.rollout import runs as history
from slipway.rollout.runs import Known

app = typer.Typer(
    cls=WithDefault,
    subcommand_metavar="[COMMAND] [ARGS]...",
    help="What was done from this repository, and what became of it.\n\n"
    "Without a command it lists the runs, with the options of `slipway runs list`.\n\nExample: slipway runs --limit 5",
)

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show so many of the newest.")]


@app.command("list")
def list_runs(limit: LimitOption = 20, inventory: InventoryOption = INVENTORY, json_output: JsonOption = False) -> None:
    """List the runs, newest first; one whose process was killed is interrupted.

    `slipway runs` alone does the same.

    Example: slipway runs list --limit 5
    """
    known = history.every(load(inventory).root)
    if json_output:
        print_json([run.to_json() for run in known[:limit]])
        return
    print_table(("run", "command", "state", "took", "nodes"), map(_row, known[:limit]))
    if known[limit:]:
        say(f"and {len(known) - limit} older ones")


def _row(run: Known) -> tuple[str, ...]:
    return run.id, run.command, run.state, _took(run), run.summary


def _took(run: Known) -> str:
    return "" if run.duration is None else f"{run.duration:.0f} s"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Id of the run, or its first letters.", metavar="RUN")],
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Show one run: how it ended, every node of it, and where its events are.

    Example: slipway runs show 20261126T0012
    """
    run = history.find(load(inventory).root, name)
    if json_output:
        print_json(run.to_json())
        return
    by = f" by {run.by}" if run.by else ""
    tell(f"{run.id}: {run.command}, {run.state}, {run.time}{by}{f', {_took(run)}' if run.duration else ''}")
    if run.error:
        tell(f"error: {run.error}")
    print_table(("node", "outcome"), run.nodes.items())
    say(f"events: {run.folder}/events.jsonl" + (f"; a log per node: {run.folder}/logs/" if run.has_logs else ""))
