"""Verify nodes: ask each for its facts, run the packs against all of them at once, gather one result.

Commands travel over the connections that the caller's pool holds already. The checks run in forked processes of their
own (worker.py); this side answers their questions (session.py) and bounds all of it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.events import Events
from slipway.inventory import Host, Inventory
from slipway.verify import catalog, copies, digests, history, record
from slipway.verify.asked import Job, Question
from slipway.verify.result import NodeVerification, Verification
from slipway.verify.session import PHASE, Connect, Session

NODE_BOUND = 180.0
"""Seconds that all checks of one node may take together."""
BURN_IN = 60.0
BURN_IN_PARTS = 3
AT_ONCE = max(8, 6 * (os.cpu_count() or 1))
"""Nodes asked at the same time: the checks wait for the network most of their time, each in a process of 8 MB."""


class NotKept(SlipwayError):
    """The nodes were asked, and what was `found` could not be written: people shall see it all the same."""

    def __init__(self, found: Verification, why: Exception) -> None:
        super().__init__(
            f"what was found is not written, and opens no gate: {why}",
            hint="df -h .slipway; ls -ld .slipway .slipway/*; then slipway verify",
        )
        self.found = found


@dataclass(frozen=True)
class Limits:
    """How long and how wide a verification may run."""

    at_once: int = AT_ONCE
    node: float = NODE_BOUND
    burn_in: float = BURN_IN
    """Seconds for each of the three parts of a burn-in."""


def verify(
    inventory: Inventory,
    nodes: Sequence[Host],
    connect: Connect,
    *,
    packs: Iterable[str] = (),
    events: Events | None = None,
    limits: Limits | None = None,
) -> Verification:
    """Run `packs` (default: those of the inventory and the user's own) on `nodes`, all in parallel.

    A node that cannot be asked, hangs or is lost on the way has its error in the result; nothing here raises for it.
    Raises UsageError for an unknown pack, SlipwayError when the checks cannot be started at all.
    """
    chosen = catalog.chosen(inventory, packs)
    questions = tuple(Question(node.name, node) for node in nodes)
    began, now = time.monotonic(), datetime.now(UTC)
    about = digests.of(inventory, nodes, chosen)
    results = ask(inventory, questions, connect, chosen, events=events, limits=limits)
    return Verification(now.isoformat(timespec="seconds"), results, time.monotonic() - began, about)


def verify_and_keep(
    inventory: Inventory,
    nodes: Sequence[Host],
    connect: Connect,
    *,
    packs: Iterable[str] = (),
    events: Events | None = None,
    limits: Limits | None = None,
    folder: Path | None = None,
) -> Verification:
    """Verify packs `packs` on `nodes` as a step of something larger, such as the gate after a wave of a deployment.

    Like `verify`, and keeps what was found: the record of each node for the gate, a copy of it on the node, and the
    whole in `folder`, where the run that this is part of keeps its things. A copy that cannot be left is told as an
    event of the node, and is no failure. Whether the wave may go on is `found.green`; `session.summary` says in a line
    of one node why not.

    >>> found = verify_and_keep(inventory, wave, pool.host, packs=["os", "k0s"], events=events, folder=run.folder)
    >>> found.green
    False
    >>> [f"{node.node}: {session.summary(node)}" for node in found.nodes if not node.green]
    ['w1: 1 of 52 checks red: os.units.none_has_failed']
    """
    found = verify(inventory, nodes, connect, packs=packs, events=events, limits=limits)
    # A node that was lost on the way would only cost its time-outs again.
    answering = {node.node for node in found.nodes if not node.error}
    try:
        records = {name: content for name, content in record.keep(inventory.root, found).items() if name in answering}
        if folder is not None:
            history.keep(inventory.root, folder, found)
    except (OSError, SlipwayError) as error:
        raise NotKept(found, error) from error
    for name, lost in copies.leave(records, connect).items():
        (events or Events()).emit(PHASE, "progress", name, text=f"its copy of the record is not written: {lost}")
    return found


def ask(
    inventory: Inventory,
    questions: tuple[Question, ...],
    connect: Connect,
    packs: Mapping[str, Path],
    *,
    events: Events | None = None,
    limits: Limits | None = None,
) -> tuple[NodeVerification, ...]:
    """Like `verify`, for keys in place of names; results in the order of `questions`."""
    if not questions:
        return ()
    with tempfile.TemporaryDirectory(prefix="slipway-verify-") as folder:
        job = _job(inventory, questions, packs, Path(folder) / "line", limits or Limits())
        return Session(job, connect, events or Events()).run()


def _job(
    inventory: Inventory, questions: tuple[Question, ...], packs: Mapping[str, Path], line: Path, bounds: Limits
) -> Job:
    """For a burn-in with the time that it takes, and all nodes at once: they send to each other in turns."""
    if any(pack in catalog.ON_DEMAND for pack in packs):
        bound = bounds.node + BURN_IN_PARTS * bounds.burn_in
        return Job(inventory, packs, questions, line, bound, len(questions), bounds.burn_in)
    return Job(inventory, packs, questions, line, bounds.node, min(bounds.at_once, len(questions)))
