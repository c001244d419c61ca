"""The canaries of one run: placed by the first controller that takes them, when a check first asks for them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Self

from slipway.errors import SlipwayError
from slipway.ssh.host import Host as Connection
from slipway.verify import canary
from slipway.verify.asked import Job
from slipway.verify.canary import Canaries


class Flock:
    """Entered, it has none yet; left, there is none any more. `told` is for several threads at once."""

    def __init__(self, job: Job, connect: Callable[[str], Connection]) -> None:
        self._job = job
        self._connect = connect
        self._turn = threading.Lock()
        self._told: dict[str, Any] | None = None
        self._stack = contextlib.ExitStack()

    def told(self) -> dict[str, Any]:
        """What a check is answered: `canaries` by node, or why there are none as `failed`. Waits for them to run."""
        with self._turn:
            if self._told is None:
                self._told = self._place()
            return self._told

    def _place(self) -> dict[str, Any]:
        inventory = self._job.inventory
        wanted = [host.name for host in inventory.hosts if host.runs_workloads]
        why = "the inventory has no controller"
        for controller in inventory.controllers:
            try:
                found = self._enter(controller.name, wanted)
            except SlipwayError as error:
                why = f"{controller.name}: {str(error).splitlines()[0]}"
            else:
                return {"canaries": {name: asdict(each) for name, each in found.items()}}
        return {"failed": f"no controller takes canaries: {why}"}

    def _enter(self, controller: str, wanted: list[str]) -> Canaries:
        # A connection of their own: commands take turns, and the checks of that controller have theirs.
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._connect(controller).fresh())
            found = stack.enter_context(canary.placed(connection, wanted, self._job.burn_in))
            self._stack = stack.pop_all()
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
