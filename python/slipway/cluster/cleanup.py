"""What must be cleared up, however a run ends."""

from __future__ import annotations

from collections.abc import Callable

from slipway.errors import Interrupted
from slipway.ssh.host import Host


def at_last(machine: Host, act: Callable[[Host], object]) -> None:
    """`act` on the machine; over a connection of its own where an interruption has shut those of the run.

    As bounded as connecting and the commands of `act` are.
    """
    try:
        act(machine)
    except Interrupted:
        with machine.fresh() as other:
            act(other)
