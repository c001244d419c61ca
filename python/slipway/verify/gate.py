"""The gate before the hand-off: every node of the inventory has a fresh green record of what it runs now.

There is no way round it: what is missing is to be verified, not to be forced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.errors import GateRefused, SlipwayError
from slipway.inventory import Inventory
from slipway.ssh.pool import for_each
from slipway.verify import record as records_of
from slipway.verify.facts import gather
from slipway.verify.record import PackRecord, Record
from slipway.verify.session import Connect

AHEAD = timedelta(minutes=5)
"""How far in the future a record's time may lie: clocks of two deployers differ."""

SHOWN = 3
"""Red checks that a reason names; the record has them all."""

Live = Mapping[str, tuple[str, str]]
"""Node name to (system, boot id) as the node says now; a node that did not answer is not in it."""


@dataclass(frozen=True)
class Reason:
    """One thing that keeps the gate shut."""

    node: str
    what: str

    def __str__(self) -> str:
        return f"{self.node}: {self.what}"


@dataclass(frozen=True)
class GateResult:
    """All that keeps the gate shut, by node in inventory order; open if there is nothing."""

    reasons: tuple[Reason, ...]

    @property
    def open(self) -> bool:
        return not self.reasons

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that something is missing of."""
        return tuple(dict.fromkeys(reason.node for reason in self.reasons))

    def require(self) -> None:
        """Raises GateRefused with every reason, unless the gate is open."""
        if self.open:
            return
        lines = "\n".join(f"  {reason}" for reason in self.reasons)
        raise GateRefused(
            f"the gate stays shut, {len(self.nodes)} nodes are not verified as they run now:\n{lines}",
            hint=f"slipway verify {' '.join(self.nodes)}",
        )

    def to_json(self) -> dict[str, Any]:
        return {"open": self.open, "reasons": [{"node": each.node, "what": each.what} for each in self.reasons]}


def check(inventory: Inventory, records: Mapping[str, Record], live: Live, now: datetime) -> GateResult:
    """Pure: the records and what the nodes say against what the inventory requires."""
    reasons: list[Reason] = []
    for host in inventory.hosts:
        found = _missing(inventory, records.get(host.name), live.get(host.name), now)
        reasons += [Reason(host.name, what) for what in found]
    return GateResult(tuple(reasons))


def look(inventory: Inventory, connect: Connect) -> GateResult:
    """Ask every node what it runs, read the records, and check."""
    names = [host.name for host in inventory.hosts]
    answers = for_each(lambda name: gather(connect(name)), names)
    live = {name: (seen.system, seen.boot_id) for name, seen in answers.items() if not isinstance(seen, SlipwayError)}
    return check(inventory, records_of.read_all(inventory.root), live, datetime.now(UTC))


def _missing(inventory: Inventory, record: Record | None, live: tuple[str, str] | None, now: datetime) -> Iterator[str]:
    if live is None:
        yield "does not answer, so nobody knows what it runs"
    if record is None:
        yield "never verified"
        return
    if live is not None:
        yield from _changed(record, live)
    for name in dict.fromkeys([*inventory.verify.packs, *record.packs]):
        pack = record.packs.get(name)
        if pack is None:
            yield f"pack {name} never ran on this system in this boot"
        else:
            yield from _stale(name, pack, inventory.verify.fresh_for, now)


def _changed(record: Record, live: tuple[str, str]) -> Iterator[str]:
    system, boot_id = live
    if record.system != system:
        yield f"runs {system or 'no system of NixOS'}, verified was {record.system or 'none'}"
    if record.boot_id != boot_id:
        yield "rebooted since it was verified"


def _stale(name: str, pack: PackRecord, fresh_for: float, now: datetime) -> Iterator[str]:
    if not pack.counts.green:
        yield f"pack {name} is red: {_named(pack.red) or 'no check of it passed'}"
    age = now - datetime.fromisoformat(pack.time)
    if age > timedelta(seconds=fresh_for):
        yield f"pack {name} ran {_hours(age)} ago, which is more than {_hours(timedelta(seconds=fresh_for))}"
    if age < -AHEAD:
        yield f"pack {name} ran {_hours(-age)} in the future: is the clock here right?"


def _named(checks: tuple[str, ...]) -> str:
    more = f" and {len(checks) - SHOWN} more" if len(checks) > SHOWN else ""
    return ", ".join(checks[:SHOWN]) + more


def _hours(age: timedelta) -> str:
    """`36 h`, or `12 min` for what is shorter than two hours."""
    minutes = int(age.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"
