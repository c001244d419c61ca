"""`slipway ssh`, `slipway exec` and `slipway logs`: work on nodes, over the ways in that the inventory knows."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from slipway.cli.console import print_json, print_json_line, progress, say, tell
from slipway.cli.dashes import as_argv, as_line, command_of
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, Selection
from slipway.cli.targets import one_of
from slipway.cluster.unit import UNIT
from slipway.errors import Interrupted, SlipwayError, Unreachable, UsageError
from slipway.events import Events
from slipway.groups import named, typed
from slipway.inventory import load
from slipway.inventory.select import select
from slipway.node import journal
from slipway.report import answers as report
from slipway.rollout.ask import Answer, Round, groups
from slipway.rollout.interruption import Interruption
from slipway.ssh import openssh
from slipway.ssh.host import DEFAULT_TIMEOUT
from slipway.ssh.pool import LIMIT, Pool
from slipway.tools import run

LONGEST_TIMEOUT = 86400.0
POLL = 1.0
"""Seconds between two looks for entries of the journal that are new."""
LINES = 100
BEHIND = 10
"""Entries that are shown before those that come, where nobody says how many."""

NodeArgument = Annotated[str, typer.Argument(help="A node of the inventory.", metavar="NODE")]
TtyOption = Annotated[bool, typer.Option("--tty", "-t", help="Give the command a terminal, as `ssh -t` does.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.1, max=LONGEST_TIMEOUT, help="Seconds for the command on each node.")
]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=500, help="Nodes at the same time.")]
UnitOption = Annotated[
    list[str] | None,
    typer.Option("--unit", "-u", help=f"Only this unit; may be given several times. Default: {UNIT}.", metavar="UNIT"),
]
AllUnitsOption = Annotated[bool, typer.Option("--all", help="The journal of all units.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")]
SinceOption = Annotated[
    str, typer.Option("--since", help="Not what is older: `10 min ago`, `today`.", metavar="TIME", show_default=False)
]
LinesOption = Annotated[
    int | None,
    typer.Option(
        "--lines",
        "-n",
        min=1,
        max=journal.MOST_LINES,
        help="At most so many entries, the newest.",
        show_default=f"{LINES}; {BEHIND} with --follow",
    ),
]


def ssh(
    ctx: typer.Context, node: NodeArgument, tty: TtyOption = False, inventory_file: InventoryOption = INVENTORY
) -> None:
    """Log in on a node with OpenSSH, or run one command there: with the pinned host key and the inventory's way in.

    Your own ~/.ssh/config is left out. The exit code is the command's; 255 is ssh's own, where it got no further.

    Example: slipway ssh w1 -- systemctl status k0s
    """
    inventory = load(inventory_file)
    host = one_of(inventory, node)
    words = command_of(ctx)
    with Pool.of(inventory) as pool, pool.openssh(host.name) as options:
        endpoint = pool.endpoints[host.name]
        wish = ["-t"] if tty else []
        argv = ["ssh", *openssh.attended(options), *wish, f"{endpoint.user}@{endpoint.name}", *as_line(words)]
        code = run.call(argv, timeout=None)
    raise typer.Exit(code)


def exec_(
    ctx: typer.Context,
    selection: Selection = None,
    exclude: ExcludeOption = None,
    timeout: TimeoutOption = DEFAULT_TIMEOUT,
    parallel: ParallelOption = LIMIT,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Run one command as root on many nodes at once, and show equal answers once.

    One word after `--` is a line for the shell, several are a program and its arguments. The exit code is the
    command's where all that failed gave the same one, 1 where they differ, and 5 where a node was not reached.

    Example: slipway exec worker --exclude w3 -- 'uname -r; uptime -p'
    """
    words = command_of(ctx)
    if not words:
        raise UsageError("no command: it follows after --", hint="slipway exec -- uptime")
    inventory = load(inventory_file)
    names = [host.name for host in select(inventory, selection or (), exclude or ())]
    with Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        asking = Round(pool, Events(listener), as_argv(words), timeout)
        # After an interruption the answers that came are shown.
        with Interruption(pool.shut, say).heard(), suppress(KeyboardInterrupt):
            asking.ask(names, limit=parallel)
    if json_output:
        print_json({"nodes": {name: asking.answers[name].to_json() for name in names if name in asking.answers}})
    else:
        for line in report.render(groups(asking.answers, names)):
            tell(line)
    _judge(asking.answers, names, words)


def _judge(answers: dict[str, Answer], names: Sequence[str], words: Sequence[str]) -> None:
    missing = [name for name in names if name not in answers]
    if missing:
        raise Interrupted(f"interrupted; no answer of {named(missing)}: the command may go on there")
    lost = [name for name in names if answers[name].unreachable]
    if lost:
        raise Unreachable(f"not reached: {named(lost)}", hint=_way_to(lost, answers, words))
    unfinished = [name for name in names if answers[name].error]
    if unfinished:
        raise SlipwayError(f"no end of the command on {named(unfinished)}", hint="--timeout gives it more time")
    codes = {answer.exit_code for answer in answers.values() if not answer.ok}
    if codes:
        raise typer.Exit((codes.pop() if len(codes) == 1 else None) or 1)


def _way_to(lost: Sequence[str], answers: dict[str, Answer], words: Sequence[str]) -> str:
    """What to type for nodes that were not reached; with names, however many: the others had the command already."""
    untrusted = [name for name in lost if answers[name].untrusted]
    return f"slipway trust{typed(untrusted)}" if untrusted else f"slipway exec {' '.join(lost)} -- {shlex.join(words)}"


def logs(
    node: NodeArgument,
    unit: UnitOption = None,
    all_units: AllUnitsOption = False,
    follow: FollowOption = False,
    since: SinceOption = "",
    lines: LinesOption = None,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Show the journal of a node: k0s, or other units. With --json an object a line.

    `--follow` goes on when the node is back from a reboot.

    Example: slipway logs cp1 --since "10 min ago" --follow
    """
    inventory = load(inventory_file)
    host = one_of(inventory, node)
    units = [] if all_units else unit or [UNIT]
    with Pool.of(inventory) as pool, Interruption(pool.shut, say).heard():
        part = journal.read(pool.host(host.name), units, lines=lines or (BEHIND if follow else LINES), since=since)
        _print(part.entries, json_output)
        if not part.entries:
            say(f"{host.name}: no entries of {' '.join(units) or 'the journal'}")
        while follow:
            time.sleep(POLL)
            part = _more(pool, host.name, units, part)
            _print(part.entries, json_output)


def _more(pool: Pool, name: str, units: Sequence[str], before: journal.Part) -> journal.Part:
    """What came since; nothing from a node that is away for the moment."""
    try:
        if not before.cursor:
            return journal.read(pool.host(name), units, lines=BEHIND)
        return journal.read(pool.host(name), units, lines=journal.MOST_LINES, after=before.cursor)
    except Unreachable as away:
        say(f"{away}; trying again")
        return journal.Part((), before.cursor)


def _print(entries: Sequence[journal.Entry], json_output: bool) -> None:
    for entry in entries:
        if json_output:
            print_json_line(entry.to_json())
        else:
            tell(f"{entry.time[:23]}Z {entry.unit.removesuffix('.service')}: {entry.message}")
