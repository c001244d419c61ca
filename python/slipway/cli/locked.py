"""The cluster's lock for a command: how it may be broken, and what happens when somebody else takes it."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from slipway.events import Events
from slipway.inventory import Inventory
from slipway.rollout import lease
from slipway.ssh.pool import Pool

BreakLockOption = Annotated[
    bool, typer.Option("--break-lock", help="Take the cluster's lock from another deployer, who then stops.")
]


def held(
    inventory: Inventory, pool: Pool, events: Events, run: str, *, break_lock: bool
) -> AbstractContextManager[None]:
    """rollout/lease.py; whoever loses it stops as if somebody had pressed Ctrl-C: at the next safe point."""

    def stop(_who: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    return lease.held(inventory, pool, events, run, break_it=break_lock, on_loss=stop)
