"""`slipway verify` and `slipway status`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli import gate as gates
from slipway.cli.console import clear, print_json, print_json_line, print_table, progress, say, tell
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, Selection
from slipway.cli.watch import Watch
from slipway.cluster import kubeconfig, members
from slipway.errors import SlipwayError, Unreachable, UsageError, VerificationRed
from slipway.events import Events, Listener
from slipway.generate.gitops.apps import git_server
from slipway.groups import named, typed
from slipway.inventory import Host, Inventory, load
from slipway.inventory.select import select
from slipway.inventory.values import duration
from slipway.report import junit, text
from slipway.report import status as reports
from slipway.rollout.interruption import Interruption
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool
from slipway.stages import overview
from slipway.stages.overview import Item, Overview
from slipway.tools import git
from slipway.tools.kubeconfig import Kubeconfig
from slipway.verify import comparison, gate, history
from slipway.verify.gate import GateResult
from slipway.verify.record import Record
from slipway.verify.result import NodeVerification, Obstacle, Verification
from slipway.verify.runner import AT_ONCE, NODE_BOUND, Limits, NotKept
from slipway.verify.runner import verify_and_keep as run_packs
from slipway.words import counted

VerifySelection = Annotated[
    list[str] | None,
    typer.Argument(
        help="Which nodes: names, globs, @tags, roles or groups. All if left out. Or `diff` and two runs.",
        metavar="NODE...",
    ),
]
PackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pack",
        "-p",
        help="Only this pack; may be given several times. Default: verify.packs and `user`.",
        metavar="PACK",
    ),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", help="Write a JUnit XML report, a test suite per node.", metavar="FILE")
]
AtOnceOption = Annotated[
    int, typer.Option("--parallel", min=1, show_default="6 a processor", help="Nodes that are asked at the same time.")
]
BoundOption = Annotated[float, typer.Option("--node-timeout", min=1.0, help="Seconds for all checks of one node.")]


HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Write a report to read in a browser, offline.", metavar="FILE")
]
WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C; a pipe is told what changes.")
]
IntervalOption = Annotated[
    float, typer.Option("--interval", min=5.0, max=86400.0, help="With --watch: seconds from one round to the next.")
]
BurnInOption = Annotated[
    str | None,
    typer.Option(
        "--burn-in",
        metavar="TIME",
        help="Load the nodes, for a time such as 10m each: network between pods, disks as etcd writes, memory.",
    ),
]
DIFF = "diff"
BURN_IN = "burnin"


def verify(
    selection: VerifySelection = None,
    exclude: ExcludeOption = None,
    pack: PackOption = None,
    burn_in: BurnInOption = None,
    watch: WatchOption = False,
    interval: IntervalOption = 60.0,
    junit_file: JunitOption = None,
    html_file: HtmlOption = None,
    at_once: AtOnceOption = AT_ONCE,
    node_timeout: BoundOption = NODE_BOUND,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Ask every node whether it is what the inventory says, and keep the answer for the gate.

    `slipway verify diff RUN RUN` says what turned red, green, new or gone between two runs: `last`, `last~1`, or an id.

    Example: slipway verify w1 w2 --pack k0s --html verify.html
    """
    inventory = load(inventory_file)
    if selection and selection[0] == DIFF:
        _differ(inventory.root, selection[1:], json_output)
        return
    nodes = select(inventory, selection or (), exclude or ())
    _require_folders(junit_file, html_file)
    limits = Limits(at_once, node_timeout, *((_seconds(burn_in),) if burn_in else ()))
    packs = [*(pack or ()), *((BURN_IN,) if burn_in else ())]

    def once(events: Events, run: Run | None = None) -> Verification:
        folder = run.folder if run else None
        return run_packs(inventory, nodes, pool.host, packs=packs, events=events, limits=limits, folder=folder)

    def write_reports(found: Verification) -> None:
        _write(inventory, found, junit_file, html_file)

    with Pool.of(inventory) as pool, Interruption(pool.shut, say).heard():
        if watch:
            Watch(inventory.root, once, write_reports, interval, json_output, keep=inventory.deploy.keep_runs).run()
        try:
            with progress(quiet=json_output and not sys.stderr.isatty()) as listener:
                found = _recorded(inventory, once, listener)
        except NotKept as error:
            _print(error.found, json_output)
            raise
    _print(found, json_output)
    write_reports(found)
    _judge(found)


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise UsageError(f"--burn-in: {error}", hint="slipway verify --burn-in 10m") from None


def _print(found: Verification, json_output: bool) -> None:
    if json_output:
        print_json(found.to_json())
    else:
        show(found)


def _recorded(inventory: Inventory, once: Callable[[Events, Run], Verification], listener: Listener) -> Verification:
    """One verification as a run of its own, which `slipway verify diff` and the history know."""
    run = Run.begin(inventory.root, "verify", keep=inventory.deploy.keep_runs)
    try:
        found = once(Events(listener, run.listener, run=run.id), run)
    except SlipwayError as error:
        # Where nothing can be written, the run's end cannot either.
        with contextlib.suppress(*((OSError,) if isinstance(error, NotKept) else ())):
            run.finish((), error)
        raise
    run.finish((), None)
    return found


def _require_folders(*files: Path | None) -> None:
    """A report that cannot be written is told before anybody waits for it."""
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {file.parent}", hint=f"mkdir -p {file.parent}")


def _write(inventory: Inventory, found: Verification, junit_file: Path | None, html_file: Path | None) -> None:
    if junit_file is not None:
        junit_file.write_text(junit.render(found), encoding="utf-8")
    if html_file is not None:
        from slipway.report import html  # here: for nothing else are templates read

        runs = history.newest(inventory.root, html.RUNS)
        html_file.write_text(html.render(found, runs, cluster=inventory.cluster.name), encoding="utf-8")


def _differ(root: Path, names: list[str], json_output: bool) -> None:
    if len(names) != 2:
        raise UsageError(
            f"two runs are compared, not {len(names)}", hint="slipway verify diff last~1 last, or ids of runs"
        )
    before, after = (history.find(root, name) for name in names)
    changes = comparison.compare(before.found, after.found)
    if json_output:
        print_json(comparison.to_json(before.run, after.run, changes))
        return
    for change in changes:
        tell(str(change))
    say(f"{before.run} to {after.run}: " + (text.changes(changes) if changes else "nothing changed"))


def show(found: Verification) -> None:
    print_table(text.columns(found), text.rows(found))
    for line in text.findings(found):
        tell(line)
    for note in text.notes(found):
        say(note)
    say(f"{counted(len(found.nodes), 'node')} in {found.duration:.1f} s")


def _judge(found: Verification) -> None:
    """Raises Unreachable where nodes could not be asked and nothing is red, VerificationRed where something is."""
    bad = [node for node in found.nodes if not node.green]
    if not bad:
        return
    names = typed([node.node for node in bad])
    asked = [node for node in bad if node.obstacle is None]
    if all(node.unreachable for node in bad):
        untrusted = [node.node for node in bad if node.obstacle is Obstacle.NOT_TRUSTED]
        first = f"slipway trust{typed(untrusted)}" if untrusted else "ping them"
        raise Unreachable(f"cannot be asked: {_with_states(bad)}", hint=f"{first}; then slipway verify{names}")
    if not asked:
        raise VerificationRed(f"cannot be verified: {_with_states(bad)}", hint=_first_step(bad))
    red = f"{_checks(sum(len(node.red) for node in asked))} red on {named([node.node for node in asked])}"
    others = [node for node in bad if node.obstacle is not None]
    also = f"; {_with_states(others)}" if others else ""
    raise VerificationRed(red + also, hint=f"mend what `fix` says, then slipway verify{names}")


def _with_states(nodes: list[NodeVerification]) -> str:
    states = dict.fromkeys(node.state for node in nodes)
    return ", ".join(f"{named([node.node for node in nodes if node.state == state])} {state}" for state in states)


def _first_step(nodes: list[NodeVerification]) -> str:
    """What to type; one deploy takes all those that want one."""
    behind = [node.node for node in nodes if node.obstacle in (Obstacle.NEVER_DEPLOYED, Obstacle.NOT_NIXOS)]
    return f"slipway deploy{typed(behind)}" if behind else next((n.hint for n in nodes if n.hint), "slipway doctor")


def _checks(number: int) -> str:
    return "1 check is" if number == 1 else f"{number} checks are"


QuickOption = Annotated[
    bool, typer.Option("--quick", help="Do not evaluate which systems the inventory wants now, which takes its time.")
]


AllOption = Annotated[bool, typer.Option("--all", help="A row for each node, also where many are alike.")]
MOST_REASONS = 8
"""Lines about the gate that fit on a screen under the table."""


@dataclass(frozen=True)
class Shown:
    """What of a status a person sees."""

    failing: bool = False
    each: bool = False
    redrawn: bool = False


def status(
    selection: Selection = None,
    exclude: ExcludeOption = None,
    quick: QuickOption = False,
    failing: Annotated[
        bool, typer.Option("--failing", help="Only what is not as it should be, with the reasons in full.")
    ] = False,
    each: AllOption = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again and again, until Ctrl-C.")] = False,
    interval: Annotated[
        float, typer.Option(min=1.0, max=86400.0, help="With --watch: seconds between two rounds.")
    ] = 10.0,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Show where every node stands, what Flux has made of the stages and why something is not Ready; and what next.

    What is not as it should be comes first. The commit is the one that the node says its system came from. Of many
    nodes, those that are alike are one row: --all has a row for each. Nodes that are named are asked alone; whether the
    gate is open is of all. With --watch a terminal is drawn anew each time, and --json is a line each time.

    Example: slipway status --failing
    """
    inventory = load(inventory_file)
    hosts = select(inventory, selection or (), exclude or ()) if selection or exclude else None
    shown = Shown(failing, each or hosts is not None, redrawn=watch and sys.stdout.isatty())
    with Pool.of(inventory) as pool, Interruption(pool.shut, say).heard():
        while True:
            with progress(quiet=json_output or shown.redrawn or not sys.stderr.isatty()) as listener:
                found = _status(inventory, pool, quick, hosts, Events(listener))
            if json_output:
                (print_json_line if watch else print_json)(found.to_json())
            else:
                _show_status(found, shown)
            if not watch:
                return
            if shown.redrawn:
                tell(f"{time.strftime('%H:%M:%S')} again every {interval:g} s; Ctrl-C ends it")
            time.sleep(interval)


def _status(
    inventory: Inventory, pool: Pool, quick: bool, hosts: Sequence[Host] | None, events: Events
) -> reports.Status:
    """The cluster's API and Flux are asked beside the nodes: neither needs what the other says."""
    with ThreadPoolExecutor(1, thread_name_prefix="slipway-api") as beside:
        cluster = beside.submit(_cluster, inventory, pool, of_all=hosts is None)
        found = _gate(inventory, pool, quick, hosts, events)
        ready, flux = cluster.result()
    return reports.gather(
        inventory,
        reports.last_deploys(inventory.root, [host.name for host in (inventory.hosts if hosts is None else hosts)]),
        {name: one for name, one in found.records.items() if isinstance(one, Record)},
        found,
        ready,
        reports.last_handoff(inventory.root),
        datetime.now(UTC),
        flux,
        git.head(inventory.root) if git_server(inventory) else "",
        hosts,
    )


def _show_status(found: reports.Status, shown: Shown) -> None:
    if shown.redrawn:
        clear()
    tell(found.summary)
    nodes = [node for node in found.nodes if node.next_step or not shown.failing]
    if nodes:
        print_table(reports.COLUMNS, reports.rows(nodes, each=shown.each))
    if found.flux and (items := found.flux.failing if shown.failing else found.flux.items):
        print_table(("stage", "what", "name", "revision", "state"), map(_flux_row, items))
        for item in found.flux.failing:
            for line in _why(item):
                tell(line)
    _say_reasons([*found.gate.lines()], None if shown.failing else MOST_REASONS)
    say(found.end)


def _why(item: Item) -> Iterator[str]:
    """What stands beneath the first reason is set in."""
    first, *beneath = item.reasons
    yield f"{item.kind} {item.name}: {first}"
    yield from (f"  {reason}" for reason in beneath)


def _say_reasons(lines: Sequence[str], most: int | None) -> None:
    for line in lines[:most]:
        say(f"gate: {line}")
    if most is not None and len(lines) > most:
        say(f"gate: and {len(lines) - most} more reasons: slipway status --failing")


def _flux_row(item: Item) -> tuple[str, ...]:
    state = "suspended" if item.suspended else "Ready" if item.ready else "not Ready"
    return (item.stage, item.kind, item.name, item.revision, state)


def _gate(inventory: Inventory, pool: Pool, quick: bool, hosts: Sequence[Host] | None, events: Events) -> GateResult:
    """With the systems that the inventory wants now, where they can be known: a generated file that is stale, or a Nix
    that is not there, keeps nobody from seeing the rest."""
    if not quick:
        try:
            return gates.look(inventory, pool, events, hosts)
        except SlipwayError as error:
            say(f"which systems the inventory wants is not known, so nobody looked for them: {error}")
    return gate.look(inventory, pool.host, hosts=hosts, events=events)


def _cluster(inventory: Inventory, pool: Pool, *, of_all: bool) -> tuple[dict[str, bool] | None, Overview | None]:
    """Which nodes Kubernetes calls Ready, and what Flux has made of the repository; None where nobody says it."""
    config = _kubeconfig(inventory, pool)
    return _ready(config), _overview(config) if of_all else None


def _kubeconfig(inventory: Inventory, pool: Pool) -> Kubeconfig | None:
    """None before the first deploy, or with the controllers away: there is no API to ask, and the table says so."""
    try:
        return kubeconfig.of(inventory, pool)
    except SlipwayError:
        return None


def _ready(config: Kubeconfig | None) -> dict[str, bool] | None:
    try:
        nodes = members.Nodes(config).all() if config else None
    except SlipwayError:
        return None
    return None if nodes is None else {name: node.ready for name, node in nodes.items()}


def _overview(config: Kubeconfig | None) -> Overview | None:
    try:
        return overview.look(config) if config else None
    except SlipwayError:
        return None
