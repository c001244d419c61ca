"""`slipway plan`, `slipway deploy`, `slipway rollback`, `slipway resume` and `slipway reboot`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Annotated, TypeVar

import typer

from slipway.cli import locked
from slipway.cli.console import print_json, print_table, progress, say, stdout, tell
from slipway.cli.locked import BreakLockOption
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, NoDrainOption, Selection
from slipway.cli.targets import one_of
from slipway.cluster import comparison
from slipway.cluster.backup import Archive
from slipway.cluster.encryption import Keys
from slipway.errors import ChangesPending, InvalidInput, SlipwayError, UsageError
from slipway.events import Events
from slipway.groups import bundled, common, kind, like
from slipway.inventory import Host, Inventory, load
from slipway.inventory.select import select
from slipway.inventory.values import share
from slipway.node.reboot import When
from slipway.outcome import NodeResult
from slipway.report import plan as report
from slipway.result import NO_SENSE
from slipway.rollout import lock
from slipway.rollout import runs as history
from slipway.rollout.engine import Deployment, Options
from slipway.rollout.engine import deploy as roll_out
from slipway.rollout.interruption import Interruption
from slipway.rollout.phases import LOCAL, REMOTE, Preparation, Return, Standing
from slipway.rollout.plan import Plan
from slipway.rollout.plan import plan as make_plan
from slipway.rollout.run import Run
from slipway.rollout.runs import Known
from slipway.secrets import at_rest, backups, logins, signing
from slipway.ssh.pool import Pool
from slipway.tools import nix
from slipway.tools.nix import CacheKeys
from slipway.words import counted

BootOption = Annotated[
    bool, typer.Option("--boot", help="Set the systems for the next boot, and activate nothing now.")
]
BuildOnOption = Annotated[
    str,
    typer.Option(
        "--build-on",
        help="Where systems are built: here (local), each on the node that it is for (remote), or all on one node. "
        "They are evaluated here, and come here from there.",
        metavar="local|remote|NODE",
    ),
]
OlderOption = Annotated[
    bool, typer.Option("--older", help="Also where nodes run what a commit says that is not in this history.")
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Go on without nodes that cannot be reached; the exit code still tells.")
]
BatchOption = Annotated[
    str,
    typer.Option(
        "--batch",
        help="Workers of one wave, as a count or a percentage: replaces deploy.waves.size.",
        metavar="SIZE",
        show_default=False,
    ),
]
NoJoinOption = Annotated[
    bool, typer.Option("--no-join", help="Activate alone: found and join no cluster, for a backup to be restored.")
]
RebootOption = Annotated[
    When,
    typer.Option("--reboot", help="Reboot what changed: where kernel, initrd or modules differ (auto), or always."),
]

Read = TypeVar("Read")

MOST_LOGS = 5
"""Nodes whose last words are shown."""

RunOption = Annotated[
    str,
    typer.Option(
        "--run", help="The run to take back; default: the newest that changed any of them.", metavar="RUN",
        show_default=False,
    ),
]  # fmt: skip
RebootSelection = Annotated[
    list[str], typer.Argument(help="Which nodes: names, globs, @tags, roles or groups.", metavar="NODE...")
]
ResumeArgument = Annotated[
    str, typer.Argument(help="The run; default: the newest deploy or rollback.", metavar="RUN", show_default=False)
]
NoCopyOption = Annotated[
    bool, typer.Option("--no-copy", help="Copy nothing: of units only nodes tell that have their new system already.")
]


def plan(
    selection: Selection = None,
    exclude: ExcludeOption = None,
    no_copy: NoCopyOption = False,
    older: OlderOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Show all that a deploy would do: versions, k0s's configuration, units, restarts, joins, reboots, in which order.

    Nothing is activated. Exit code 4: something is pending; 0: nothing is; 6: a deploy would be refused. To know the
    units, the new system is copied to one node of those that change alike, and nothing to a binary cache.

    Example: slipway plan w1
    """
    inventory = load(inventory_file)
    hosts = select(inventory, selection or (), exclude or ())
    lacking: list[SlipwayError] = []
    keys = _or_lacking(lambda: _encryption_keys(inventory, hosts), lacking)
    _or_lacking(lambda: _cache_keys(inventory), lacking)
    passwords = _or_lacking(lambda: logins.read(inventory), lacking) or {}
    with Pool.of(inventory) as pool, progress(quiet=json_output) as listener, Interruption(pool.shut, say).heard():
        preparation = Preparation(inventory, hosts, pool, Events(listener), keys, logins=passwords)
        found = make_plan(preparation, copy=not no_copy, older=older)
    found = replace(found, refused=(*lacking, *found.refused))
    if json_output:
        print_json(found.to_json())
    else:
        for line in report.render(found, stdout().width):
            tell(line)
    same = [*(selection or ()), *(word for each in exclude or () for word in ("--exclude", each))]
    same += ["--older"] if older else []
    _judge_plan(found, [host.name for host in hosts], shlex.join(["slipway", "deploy", *same]))


def _or_lacking(read: Callable[[], Read | None], lacking: list[SlipwayError]) -> Read | None:
    """A plan needs no secret; that a deploy would lack one is part of it."""
    try:
        return read()
    except SlipwayError as error:
        lacking.append(error)
        return None


def _judge_plan(found: Plan, names: Sequence[str], then: str) -> None:
    """`then`: the command that does what the plan tells."""
    comparison.refuse(found.differences, names)
    for error in found.refused:
        raise error
    changed, nodes = sum(node.pending for node in found.nodes), counted(len(found.nodes), "node")
    if found.pending:
        raise ChangesPending(f"changes are pending on {changed} of {nodes}", hint=then)
    say(f"nothing to do on {nodes}")


def deploy(
    selection: Selection = None,
    exclude: ExcludeOption = None,
    keep_going: KeepGoingOption = False,
    batch: BatchOption = "",
    no_drain: NoDrainOption = False,
    reboot: RebootOption = When.NEVER,
    boot: BootOption = False,
    no_join: NoJoinOption = False,
    older: OlderOption = False,
    build_on: BuildOnOption = LOCAL,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Build, copy, and wave by wave drain, activate, confirm, join: make the nodes run what the inventory says.

    A second time it changes nothing.

    Example: slipway deploy --batch 2 --reboot auto
    """
    inventory = load(inventory_file)
    hosts = select(inventory, selection or (), exclude or ())
    options = Options(
        boot,
        keep_going,
        _size(batch),
        not no_drain,
        reboot,
        join=not no_join,
        older=older,
        build_on=_builder(inventory, build_on),
    )
    preparing = partial(Preparation, build_on=options.build_on)
    _carry_out("deploy", preparing, inventory, hosts, options, break_lock, json_output)


def rollback(
    selection: Selection = None,
    exclude: ExcludeOption = None,
    run: RunOption = "",
    no_drain: NoDrainOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Bring nodes back to the system that each ran before a run, in waves and with confirmation as a deploy does.

    The files of the repository stay as they are: the next deploy takes the nodes forward again.

    Example: slipway rollback w1 --run 20261126T0012
    """
    inventory = load(inventory_file)
    chosen = select(inventory, selection or (), exclude or ())
    taken_back, before = _before(inventory.root, run, {host.name for host in chosen})
    hosts = [host for host in chosen if host.name in before]
    if not hosts:
        what = "that run gave none" if run else "no run that is remembered gave any"
        raise UsageError(f"{what} of these nodes another system", hint="slipway runs list")
    way_back = partial(Return, systems=before)
    say(f"back to what ran before run {taken_back}")
    options = Options(drain=not no_drain, taken_back=taken_back)
    _carry_out("rollback", way_back, inventory, hosts, options, break_lock, json_output)


def resume(
    name: ResumeArgument = "",
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Go on with a deploy or rollback that was interrupted or killed: the same nodes, with the same options.

    What it finished is not done again. A deploy goes on with what the files of the repository say now.

    Example: slipway resume
    """
    inventory = load(inventory_file)
    run = history.to_go_on_with(inventory.root, name)
    names, options = _asked(run)
    hosts = [host for host in inventory.hosts if host.name in names]
    preparing: Callable[..., Preparation] = partial(Preparation, build_on=options.build_on)
    if run.command == "rollback":
        wanted = history.systems_wanted(run)
        hosts = [host for host in hosts if host.name in wanted]
        preparing = partial(Return, systems=wanted)
    if not hosts:
        raise UsageError(f"run {run.id} was interrupted before it had anything to do", hint=f"slipway {run.command}")
    say(f"going on with run {run.id}, {run.command}")
    _carry_out(run.command, preparing, inventory, hosts, options, break_lock, json_output, resumes=run.id)


def reboot(
    selection: RebootSelection,
    exclude: ExcludeOption = None,
    keep_going: KeepGoingOption = False,
    batch: BatchOption = "",
    no_drain: NoDrainOption = False,
    break_lock: BreakLockOption = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Reboot nodes as a deploy does: in waves, drained, controllers one by one and only if the others have a quorum.

    Each is waited for until it has booted anew, runs the system that it was to boot, and is Ready again.

    Example: slipway reboot worker --batch 2
    """
    inventory = load(inventory_file)
    hosts = select(inventory, selection, exclude or ())
    options = Options(keep_going=keep_going, batch=_size(batch), drain=not no_drain, only_reboot=True)
    _carry_out("reboot", Standing, inventory, hosts, options, break_lock, json_output)


def _asked(run: Known) -> tuple[Sequence[str], Options]:
    """Nodes and options of a run, as _carry_out wrote them down. Raises InvalidInput."""
    try:
        said = run.asked["options"]
        return list(run.asked["nodes"]), Options(**{**said, "reboot": When(said["reboot"])})
    except NO_SENSE as error:
        raise InvalidInput(f"{run.folder}/run.json: {error}", hint=f"slipway {run.command}") from None


def _before(root: Path, run: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """This run, or the newest that gave any of these nodes another system, and what nodes ran before it."""
    known = [history.find(root, run)] if run else history.every(root)
    found = ((each.id, history.systems_before(each)) for each in known)
    return next(((name, before) for name, before in found if not before.keys().isdisjoint(names)), ("", {}))


def _carry_out(
    command: str,
    preparing: Callable[..., Preparation],
    inventory: Inventory,
    hosts: Sequence[Host],
    options: Options,
    break_lock: bool,
    json_output: bool,
    *,
    resumes: str = "",
) -> None:
    """One run from its locks to what is shown of it; raises what it ends with. `resumes`: the run that it goes on
    with."""
    keys = _encryption_keys(inventory, hosts)
    cache_keys = None if options.only_reboot else _cache_keys(inventory)
    passwords = {} if options.only_reboot else logins.read(inventory)
    with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=json_output) as listener:
        asked = {"nodes": [host.name for host in hosts], "options": asdict(options)}
        asked |= {history.RESUMES: resumes} if resumes else {}
        run = Run.begin(inventory.root, command, asked, keep=inventory.deploy.keep_runs)
        events = Events(listener, run.listener, run=run.id)
        interruption = Interruption(pool.shut, say)
        with interruption.heard():
            keep = partial(_keep, inventory.root)
            preparation = preparing(inventory, hosts, pool, events, keys, keep, cache_keys=cache_keys, logins=passwords)
            result = _recorded(run, preparation, interruption, options, break_lock)
    _show(run, result, json_output)
    failure = result.failure()
    if failure is not None:
        raise failure


def _keep(root: Path, archive: Archive) -> Path:
    return backups.save(root, archive).path


def _builder(inventory: Inventory, text: str) -> str:
    """Raises UsageError for what is no place to build on."""
    return text if text in (LOCAL, REMOTE) else one_of(inventory, text, hint="slipway deploy --build-on NODE").name


def _size(text: str) -> str:
    try:
        return share(text) if text else ""
    except ValueError as error:
        raise UsageError(f"--batch: {error}", hint="slipway deploy --batch 25%") from None


def _encryption_keys(inventory: Inventory, hosts: Sequence[Host]) -> Keys | None:
    """The keys for Secrets at rest, where a controller will want them."""
    wanted = inventory.cluster.k0s.encrypt_secrets and any(host.is_controller for host in hosts)
    return at_rest.read(inventory.root) if wanted else None


def _cache_keys(inventory: Inventory) -> CacheKeys | None:
    """For `deploy.cache`, where there is one that this machine can write to."""
    if inventory.deploy.cache is not None:
        nix.require_opens(inventory.deploy.cache)
    return signing.read(inventory)


def _recorded(
    run: Run, preparation: Preparation, interruption: Interruption, options: Options, break_lock: bool
) -> Deployment:
    try:
        pool, events = preparation.pool, preparation.events
        with locked.held(preparation.inventory, pool, events, run.id, break_lock=break_lock):
            result = roll_out(preparation, interruption, options)
    except SlipwayError as error:
        _write_down(run, (), error)
        raise
    _write_down(run, result.nodes, result.failure())
    return result


def _write_down(run: Run, nodes: Sequence[NodeResult], error: SlipwayError | None) -> None:
    """A disk that is full takes nobody what became of the nodes: it is shown, and the exit code is theirs."""
    try:
        run.finish(nodes, error)
    except OSError as full:
        say(f"warning: the result is not written down in {run.folder}: {full}")


def _show(run: Run, result: Deployment, json_output: bool) -> None:
    if json_output:
        error = result.failure()
        told = error and {"message": str(error), "hint": error.hint, "exitCode": error.exit_code}
        print_json({"run": run.id, "nodes": [node.to_json() for node in result.nodes], "error": told})
        return
    print_table(("node", "outcome", "time", "system", "why"), map(_row, bundled(result.nodes, _kind)))
    bad = [node for node in result.nodes if node.log and not node.outcome.good]
    for node in bad[:MOST_LOGS]:
        say(f"\n{node.node}, the last it said:\n{indent(node.log, '    ')}")
    if bad[MOST_LOGS:]:
        say(f"\nwhat {len(bad) - MOST_LOGS} more said last is in {run.folder}/result.json")
    say(f"run {run.id}: {run.folder}")


def _kind(node: NodeResult) -> tuple[str, ...]:
    """Equal for nodes that one row can stand for."""
    return node.outcome.value, kind(node.node, _first_line(node.reason))


def _row(nodes: Sequence[NodeResult]) -> tuple[str, ...]:
    longest = max(node.duration for node in nodes)
    systems = {_system(node.new_system) for node in nodes}
    return (
        like([node.node for node in nodes]),
        nodes[0].outcome.value,
        f"{'up to ' if len(nodes) > 1 else ''}{longest:.1f} s",
        systems.pop() if len(systems) == 1 else "",
        common([(node.node, _first_line(node.reason)) for node in nodes]),
    )


def _system(path: str | None) -> str:
    """A store path without what is the same in all: the first letters of its hash, and its name."""
    if path is None:
        return "none"
    digest, _, name = path.rpartition("/")[2].partition("-")
    return f"{digest[:8]} {name}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
