"""The report as one HTML file: nodes by packs, why each red check is red, ports, and the runs before.

It needs no network and runs no script: its policy forbids both. Every text in it passes through `_text`, which
makes it plain; the template escapes all that it prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from slipway.paths import resource
from slipway.report.text import notes
from slipway.verify.history import Kept
from slipway.verify.result import Check, Counts, NodeVerification, Verdict, Verification
from slipway.words import plain

RUNS = 30
"""Runs of before that are drawn."""
SPELLED = 40
"""Nodes up to which every port between them is spelled out; of more, those between which something is amiss."""
DRAWN = 150
"""Nodes up to which every pair is drawn as a square."""


@dataclass(frozen=True)
class Cell:
    """One node in one pack. `state` is `green`, `red`, `skipped` (nothing of it was asked) or `none`."""

    state: str
    text: str
    target: str = ""
    """Where in the page the reasons stand; empty where there are none."""


@dataclass(frozen=True)
class Row:
    """One node of the matrix: a cell for each pack, or one word why it was asked nothing."""

    node: NodeVerification
    id: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """The checks of one pack on one node that somebody has to read, under the id that its cell leads to."""

    id: str
    node: str
    pack: str
    red: tuple[Check, ...]


@dataclass(frozen=True)
class Square:
    """All ports from one node to another, at column `x` and row `y`: `red` where one is amiss, else `green`."""

    x: int
    y: int
    state: str
    text: str


@dataclass(frozen=True)
class Port:
    """A port as one node found it at another. `state` is `open`, `refused` or `silent`."""

    number: int
    state: str
    red: bool


def render(found: Verification, history: Sequence[Kept] = (), *, cluster: str = "") -> str:
    """The whole page. `history` are the verifications up to this one, oldest first; `cluster` is its name."""
    packs = tuple(dict.fromkeys(pack for node in found.nodes for pack in node.packs))
    names, between = [node.node for node in found.nodes], ports(found)
    rows = tuple(_row(number, node, packs) for number, node in enumerate(found.nodes))
    return _template().render(
        cluster=cluster,
        found=found,
        packs=packs,
        rows=rows,
        counts=Counts.of(tuple(check for node in found.nodes for check in node.checks)),
        obstacles=[row for row in rows if row.node.obstacle],
        groups=tuple(group for row in rows for group in _groups(row)),
        skipped=[(node.node, check) for node in found.nodes for check in node.checks if _is_skipped(check)],
        ports=between,
        names=names,
        spelled=spelled(names, between),
        squares=squares(names, between) if len(names) <= DRAWN else (),
        notes=tuple(notes(found)),
        history=list(history)[-RUNS:],
        past={kept.run: {node.node: node for node in kept.found.nodes} for kept in list(history)[-RUNS:]},
    )


Ports = Mapping[str, Mapping[str, tuple[Port, ...]]]


def ports(found: Verification) -> Ports:
    """From node to node to the ports that were tried, lowest first; empty where no check tried any."""
    tried: dict[str, dict[str, dict[int, Port]]] = {}
    for node in found.nodes:
        for check in node.checks:
            for way in check.ways:
                to = tried.setdefault(node.node, {}).setdefault(way.to, {})
                if not (way.port in to and to[way.port].red):
                    to[way.port] = Port(way.port, way.state, check.verdict.red and way.amiss)
    return {
        source: {to: tuple(at[number] for number in sorted(at)) for to, at in targets.items()}
        for source, targets in tried.items()
    }


def squares(names: Sequence[str], between: Ports) -> tuple[Square, ...]:
    """One for each pair of nodes of which one tried a port of the other."""
    return tuple(
        Square(x, y, "red" if any(port.red for port in tried) else "green", f"{source} to {to}: {_told(tried)}")
        for y, source in enumerate(names)
        for x, to in enumerate(names)
        if (tried := between.get(source, {}).get(to, ()))
    )


def _told(tried: Sequence[Port]) -> str:
    return ", ".join(f"{port.number} {port.state}" for port in tried)


def spelled(names: Sequence[str], between: Ports) -> list[str]:
    """The nodes whose ports are spelled out."""
    if len(names) <= SPELLED:
        return list(names)
    pairs = [(source, to) for source, at in between.items() for to, tried in at.items() if any(p.red for p in tried)]
    amiss = {name for pair in pairs for name in pair}
    return [name for name in names if name in amiss][:SPELLED]


def _row(number: int, node: NodeVerification, packs: tuple[str, ...]) -> Row:
    place = f"n{number}"
    return Row(node, place, tuple(_cell(f"{place}-{pack}", node, pack) for pack in packs))


def _cell(place: str, node: NodeVerification, pack: str) -> Cell:
    if pack not in node.packs:
        return Cell("none", "not asked")
    counts = node.counts[pack]
    red = counts.failed + counts.errors
    if red:
        return Cell("red", f"{red} red", place)
    if not counts.passed:
        return Cell("skipped", "none ran")
    return Cell("green", f"{counts.passed} ok" + (f", {counts.skipped} skipped" if counts.skipped else ""))


def _groups(row: Row) -> Iterator[Group]:
    for pack in row.node.packs:
        red = tuple(check for check in row.node.red if check.pack == pack)
        if red:
            yield Group(f"{row.id}-{pack}", row.node.node, pack, red)


def _is_skipped(check: Check) -> bool:
    return check.verdict is Verdict.SKIPPED


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(resource("templates")),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report/verification.html.j2")


def _text(value: object) -> object:
    """What is about to be printed: words of nodes become plain here, and the template's autoescape makes them HTML."""
    return value if isinstance(value, Markup) else plain(str(value))
