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

from slipway.events import Events
from slipway.inventory import Host, Inventory
from slipway.verify import catalog, digests
from slipway.verify.asked import Job, Question
from slipway.verify.result import NodeVerification, Verification
from slipway.verify.session import Connect, Session

NODE_BOUND = 180.0
"""Seconds that all checks of one node may take together."""
AT_ONCE = max(8, 6 * (os.cpu_count() or 1))
"""Nodes asked at the same time: the checks wait for the network most of their time, each in a process of 8 MB."""


@dataclass(frozen=True)
class Limits:
    """How long and how wide a verification may run."""

    at_once: int = AT_ONCE
    node: float = NODE_BOUND


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
    bounds = limits or Limits()
    if not questions:
        return ()
    with tempfile.TemporaryDirectory(prefix="slipway-verify-") as folder:
        job = Job(inventory, packs, questions, Path(folder) / "line", bounds.node, min(bounds.at_once, len(questions)))
        return Session(job, connect, events or Events()).run()
