"""The cluster's lock for a command: how it may be broken, what happens when somebody else takes it, and all else that a
command has around it that changes a cluster: the repository's lock, connections, a run, somebody to ask."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from slipway.cli.console import aside, print_json, progress, say, somebody_is_there, tell
from slipway.errors import DeployFailed, SlipwayError, UsageError
from slipway.events import Events
from slipway.inventory import Inventory
from slipway.outcome import NodeResult
from slipway.rollout import lease, lock
from slipway.rollout.interruption import Interruption
from slipway.rollout.run import Run
from slipway.ssh.pool import Pool, Unforeseen

AGAIN = "slipway status; then the same command again, which goes on where it stopped"

BreakLockOption = Annotated[
    bool, typer.Option("--break-lock", help="Take the cluster's lock from another deployer, who then stops.")
]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and what is lost; do nothing.")]


def held(
    inventory: Inventory, pool: Pool, events: Events, run: str, *, break_lock: bool
) -> AbstractContextManager[None]:
    """rollout/lease.py; whoever loses it stops as if somebody had pressed Ctrl-C: at the next safe point."""

    def stop(_who: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    return lease.held(inventory, pool, events, run, break_it=break_lock, on_loss=stop)


@dataclass(frozen=True)
class Work:
    """What a command works with; what becomes of machines goes into `nodes`, for the run's result."""

    pool: Pool
    events: Events
    nodes: list[NodeResult]


@contextmanager
def at_work(
    command: str, inventory: Inventory, *, break_lock: bool, quiet: bool, rehearses: bool = False
) -> Iterator[Work]:
    """One run under both locks; Ctrl-C ends what is under way on any machine, and the locks are given back.

    A rehearsal changes nothing, nothing of ours either: it waits for no lock, keeps nobody waiting, and is no run.
    """
    if rehearses:
        with (
            Pool.of(inventory) as pool,
            progress(quiet=quiet) as listener,
            Interruption(pool.shut, say).heard(),
            as_a_failed_deploy(),
        ):
            yield Work(pool, Events(listener), [])
        return
    with lock.hold(inventory.root), Pool.of(inventory) as pool, progress(quiet=quiet) as listener:
        run = Run.begin(inventory.root, command, keep=inventory.deploy.keep_runs)
        events = Events(listener, run.listener, run=run.id)
        lease = held(inventory, pool, events, run.id, break_lock=break_lock)
        with Interruption(pool.shut, say).heard(), run.recorded() as nodes, as_a_failed_deploy(), lease:
            yield Work(pool, events, nodes)


@contextmanager
def as_a_failed_deploy() -> Iterator[None]:
    """A program that fails on a machine, or that is waited for in vain, is no fault of slipway's own: its exit code is
    that of a deploy that failed."""
    try:
        yield
    except Unforeseen:
        raise
    except SlipwayError as error:
        if error.exit_code != SlipwayError.exit_code:
            raise
        raise DeployFailed(str(error), hint=error.hint or AGAIN) from error


def agree(lost: Sequence[str], question: str, *, yes: bool) -> None:
    """Name what is lost, and go on where somebody agrees. Raises UsageError where nobody does, or is there to ask."""
    for line in lost:
        say(f"  {line}")
    if yes:
        return
    if not somebody_is_there():
        raise UsageError("nobody is there to agree; nothing was changed", hint="the same command with --yes")
    with aside():
        agreed = typer.confirm(question, err=True)
    if not agreed:
        raise UsageError("not agreed to; nothing was changed", hint="--dry-run says what would be done")


ByNameOption = Annotated[
    str, typer.Option("--yes", help="The cluster's name, in place of typing it when asked.", metavar="CLUSTER")
]


def agree_by_name(cluster: str, given: str, *, to: str, nothing: str, again: str) -> None:
    """Go on where the person types the cluster's name, or has `given` it. Raises UsageError, which says that `nothing`
    was done and what to type `again`."""
    if not given and somebody_is_there():
        with aside():
            tell(f"To {to}, type the name of the cluster ({cluster}):")
            given = sys.stdin.readline().strip()
    if given != cluster:
        raise UsageError(nothing, hint=f"{again} --yes {cluster}")


def rehearse(lines: Sequence[str], json_output: bool, *, key: str, said: str) -> None:
    """What --dry-run tells: the lines as JSON under `key`, or one by one behind `said`."""
    if json_output:
        print_json({key: list(lines)})
        return
    for line in lines:
        say(f"{said}: {line}")
