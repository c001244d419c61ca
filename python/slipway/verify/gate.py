"""The gate before the hand-off: every node of the inventory has a fresh green record of what it runs now, which is what
the inventory wants.

There is no way round it: what is missing is to be verified, not to be forced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.errors import GateRefused, InvalidInput, SlipwayError
from slipway.events import Events
from slipway.groups import MOST_ROWS, alike, typed, without
from slipway.inventory import Host, Inventory
from slipway.ssh.pool import for_each
from slipway.verify import catalog, digests, running
from slipway.verify import record as records_of
from slipway.verify.digests import Digests
from slipway.verify.record import PackRecord, Record
from slipway.verify.running import Running
from slipway.verify.session import Connect
from slipway.words import counted, first_of

AHEAD = timedelta(minutes=5)
"""How far in the future a record's time may lie: clocks of two deployers differ."""

SHOWN = 3
"""Red checks that a reason names; the record has them all."""

Live = Mapping[str, tuple[str, str]]
"""Node name to (system, boot id) as the node says now; a node that did not answer is not in it."""
Records = Mapping[str, Record | InvalidInput]


@dataclass(frozen=True)
class Present:
    """How things are now: what the nodes run, what inventory and packs are, and which systems the inventory wants; None
    where that was not evaluated."""

    live: Live
    digests: Digests
    wanted: Mapping[str, str] | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    """What the copy on a node tells of (copies.py), for nodes that we have no record of."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Why nodes could not be asked, in a line."""


@dataclass(frozen=True)
class Reason:
    """One thing that keeps the gate shut."""

    node: str
    what: str
    behind: bool = False
    """Whether only a deploy helps."""
    no_pack: str = ""
    """A pack that the inventory requires and nobody has: only another inventory helps, or the pack."""
    of_many: str = ""
    """What is said of several nodes where `what` is of this one alone: an age, a file."""

    def __str__(self) -> str:
        return f"{self.node}: {self.what}"


@dataclass(frozen=True)
class GateResult:
    """All that keeps the gate shut, by node in inventory order; open if there is nothing."""

    reasons: tuple[Reason, ...]
    records: Records = field(default_factory=dict, compare=False, repr=False)
    seen: Mapping[str, Running] = field(default_factory=dict, compare=False, repr=False)
    """Both are by what it was judged: `seen` has what those nodes say that answered."""

    @property
    def open(self) -> bool:
        return not self.reasons

    @property
    def hint(self) -> str:
        """What to type, where the gate is shut."""
        verify = f"slipway verify{typed(self.nodes)}"
        lacking = dict.fromkeys(reason.no_pack for reason in self.reasons if reason.no_pack)
        if lacking:
            return f"take {', '.join(lacking)} out of verify.packs, or write its checks; then {verify}"
        behind = list(dict.fromkeys(reason.node for reason in self.reasons if reason.behind))
        return f"slipway deploy{typed(behind)}; {verify}" if behind else verify

    @property
    def behind(self) -> frozenset[str]:
        """The nodes that only a deploy brings further."""
        return frozenset(reason.node for reason in self.reasons if reason.behind)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that something is missing of."""
        return tuple(dict.fromkeys(reason.node for reason in self.reasons))

    def lines(self) -> Iterator[str]:
        """Each reason once, with the nodes that have it."""
        said: dict[str, set[str]] = defaultdict(set)
        for reason in self.reasons:
            said[reason.of_many].add(reason.what)
        # Ages and files that differ from node to node make no reason another.
        return alike(
            (reason.node, reason.of_many if reason.of_many and len(said[reason.of_many]) > 1 else reason.what)
            for reason in self.reasons
        )

    def shown(self) -> Iterator[str]:
        """As many of the lines as fit on a screen, and how many more there are."""
        lines = [*self.lines()]
        most = len(lines) if len(lines) <= MOST_ROWS else MOST_ROWS - 1
        yield from lines[:most]
        if lines[most:]:
            yield f"and {counted(len(lines) - most, 'more reason')}: slipway gate --json has each"

    def require(self) -> None:
        """Raises GateRefused with every reason, unless the gate is open."""
        if self.open:
            return
        lines = "\n".join(f"  {line}" for line in self.shown())
        raise GateRefused(
            f"the gate stays shut, {_not_verified(len(self.nodes))}:\n{lines}",
            hint=self.hint,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "open": self.open,
            "reasons": [{"node": each.node, "what": each.what} for each in self.reasons],
            "next": "" if self.open else self.hint,
        }


def check(
    inventory: Inventory, records: Records, present: Present, now: datetime, hosts: Sequence[Host] | None = None
) -> GateResult:
    """Pure: the records and how things are against what the inventory requires; of all hosts, or of some."""
    reasons: list[Reason] = []
    for host in inventory.hosts if hosts is None else hosts:
        reasons += _behind(host.name, present)
        reasons += _without_pack(inventory, host.name, present)
        reasons += _missing(inventory, host.name, records.get(host.name), present, now)
    return GateResult(tuple(reasons), records)


def look(
    inventory: Inventory,
    connect: Connect,
    wanted: Mapping[str, str] | None = None,
    *,
    hosts: Sequence[Host] | None = None,
    events: Events | None = None,
) -> GateResult:
    """Ask every node, or some `hosts`, what it runs, read the records, and check.

    `wanted` is the system of each host as the inventory has it now; without it nobody looks whether a node is behind.
    """
    chosen = inventory.hosts if hosts is None else hosts
    records = records_of.read_all(inventory.root)
    answers = _asked(chosen, connect, records, events or Events())
    seen = {name: said for name, said in answers.items() if not isinstance(said, SlipwayError)}
    silent = {name: _in_a_line(name, why) for name, why in answers.items() if isinstance(why, SlipwayError)}
    live = {name: (said.system, said.boot_id) for name, said in seen.items()}
    told = {name: said.told for name, said in seen.items() if said.told}
    about = digests.of(inventory, chosen, catalog.available(inventory))
    found = check(inventory, records, Present(live, about, wanted, told, silent), datetime.now(UTC), chosen)
    return replace(found, seen=seen)


def _in_a_line(name: str, error: SlipwayError) -> str:
    return without(name, str(error).partition("\n")[0])


def _asked(
    hosts: Sequence[Host], connect: Connect, records: Records, events: Events
) -> dict[str, Running | SlipwayError]:
    """What the nodes say, or why they say nothing. The copy on a node is of interest where we have no record of it."""

    def ask(name: str) -> Running:
        events.emit("ask", "started", name)
        try:
            return running.ask(connect(name), copy=not isinstance(records.get(name), Record))
        finally:
            events.emit("ask", "done", name, quiet=True)

    return for_each(ask, [host.name for host in hosts])


def _behind(name: str, present: Present) -> Iterator[Reason]:
    wanted = (present.wanted or {}).get(name)
    if wanted is not None and name in present.live and present.live[name][0] != wanted:
        system = present.live[name][0] or "no system of NixOS"
        yield Reason(name, f"runs {system}, the inventory wants {wanted}", behind=True)


def _without_pack(inventory: Inventory, name: str, present: Present) -> Iterator[Reason]:
    for pack in inventory.verify.packs:
        if pack not in present.digests.packs:
            yield Reason(name, f"pack {pack} is required by verify.packs, and there is none", no_pack=pack)


def _missing(
    inventory: Inventory, name: str, record: Record | InvalidInput | None, present: Present, now: datetime
) -> Iterator[Reason]:
    if name not in present.live:
        why = present.silent.get(name, "")
        yield Reason(name, "cannot be asked, so nobody knows what it runs" + (f": {why}" if why else ""))
    if isinstance(record, Record):
        yield from (Reason(name, what) for what in _changed(record, present))
        yield from _of_packs(inventory, record, present, now)
        return
    said = "never verified" if record is None else f"its record does not count: {record}"
    of_many = said.replace(f"{name}.json", "NODE.json")
    if name in present.told:
        by_us = " by this deployer" if record is None else ""
        said += f"{by_us}; its own copy tells of {present.told[name]}, which nobody here can vouch for"
        of_many += f"{by_us}; for what copies on the nodes tell nobody here can vouch"
    yield Reason(name, said, of_many=of_many)


def _of_packs(inventory: Inventory, record: Record, present: Present, now: datetime) -> Iterator[Reason]:
    """Packs of which the same is to be said are named together."""
    # What ran once and exists no more asks nothing of anybody; what is required and was never there is told elsewhere.
    asked = dict.fromkeys([*inventory.verify.packs, *record.packs])
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pack in (each for each in asked if each in present.digests.packs):
        if pack not in record.packs:
            found["{} never ran on this system in this boot", ""].append(pack)
        else:
            for words in _stale(pack, record.packs[pack], present.digests.packs[pack], inventory.verify.fresh_for, now):
                found[words].append(pack)
    for (what, of_many), packs in found.items():
        named = ("pack " if len(packs) == 1 else "packs ") + ", ".join(packs)
        yield Reason(record.node, what.replace("{}", named), of_many=of_many.replace("{}", named))


def _changed(record: Record, present: Present) -> Iterator[str]:
    if record.inventory != present.digests.nodes.get(record.node):
        yield "the inventory says something else of it than when it was verified"
    if record.node not in present.live:
        return
    system, boot_id = present.live[record.node]
    if record.system != system:
        yield f"runs {system or 'no system of NixOS'}, verified was {record.system or 'none'}"
    if record.boot_id != boot_id:
        yield "rebooted since it was verified"


def _stale(name: str, pack: PackRecord, content: str, fresh_for: float, now: datetime) -> Iterator[tuple[str, str]]:
    """What is said of a pack, and of the same one on several nodes where that is something else; `{}` stands for it
    and for others of which the same is said."""
    if pack.content != content:
        yield "the checks of {} are others than those that ran", ""
    if not pack.counts.green:
        yield f"pack {name} is red: {first_of(pack.red, SHOWN) or 'no check of it passed'}", ""
    age = now - datetime.fromisoformat(pack.time)
    longest = _hours(timedelta(seconds=fresh_for))
    if age > timedelta(seconds=fresh_for):
        yield f"{{}} ran {_hours(age)} ago, which is more than {longest}", f"{{}} ran more than {longest} ago"
    if age < -AHEAD:
        future = "in the future: is the clock here right?"
        yield f"{{}} ran {_hours(-age)} {future}", f"{{}} ran {future}"


def _not_verified(number: int) -> str:
    return "1 node is not verified as it is now" if number == 1 else f"{number} nodes are not verified as they are now"


def _hours(age: timedelta) -> str:
    """`36 h`, `12 min` for what is shorter than two hours, `40 s` for what is shorter than two minutes."""
    seconds = abs(int(age.total_seconds()))
    return f"{seconds // 3600} h" if seconds >= 7200 else f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
