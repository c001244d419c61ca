"""The picture of the README, way.svg: from an inventory to a cluster that runs itself, in the words of the program.

Packs, stages and steps of the hand-off are read where the program has them. The phases of a deploy stand here in the
order of its engine, and each must be one that the program emits events of: else nothing is drawn.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from slipway.cli.reference import every_command
from slipway.stages import steps
from slipway.stages.model import Stage
from slipway.verify import catalog

SOURCE = Path(__file__).parents[1] / "python" / "slipway"
PICTURE = Path(__file__).with_name("way.svg")

ALL_NODES = ("preflight", "compare", "build", "copy")
EACH_NODE = ("drain", "activate", "confirm", "reboot", "join", "ready", "verify", "uncordon")

WIDTH, MARGIN, LINE, CHIP, GAP = 920, 24, 22, 28, 10
LETTER = 7.4
"""Width of a letter of a chip at 12 px, in whatever monospaced font there is."""


@dataclass(frozen=True)
class Row:
    """A step of the way: what is typed, what it means, and what happens in it, in this order."""

    title: str
    text: str
    parts: Sequence[str]


def rows() -> list[Row]:
    return [
        Row("slipway check, generate", "on your machine: no network, the same bytes from the same inventory",
            ("inventory.yaml", "generated/: NixOS modules, k0s.yaml", "gitops/: the stages")),
        Row("slipway deploy", "first over all nodes: whatever can fail early fails while each is as it was", ALL_NODES),
        Row("wave by wave", "controllers one by one, a canary, then batches; a node that is not reached over a new "
            "connection goes back by itself", EACH_NODE),
        Row("slipway verify", "every node, as it runs now: what is expected, what was found", packs()),
        Row("slipway gate", "opens for a fresh green record of every node of the inventory, and for nothing else", ()),
        Row(f"slipway handoff: {Stage.BOOTSTRAP}", "from here on a commit changes the cluster", first_stage()),
        Row(f"then Flux: {Stage.CLUSTER_BASE_APPS}", "what was saved comes back before anything runs on it",
            [*names(steps.OF_BASE_APPS), steps.BACKUPS.name]),
        Row(f"then Flux: {Stage.CLUSTER_APPS}", "gateway, certificates, and your own", (steps.APP_BACKUPS.name,)),
    ]  # fmt: skip


def packs() -> list[str]:
    return [name for name in catalog.ours() if name not in catalog.ON_DEMAND]


def first_stage() -> list[str]:
    return [*names(steps.BOOTSTRAP), steps.PROOF.name]


def names(found: Sequence[steps.Step]) -> list[str]:
    return [step.name for step in found]


def require_true(found: Sequence[Row], phases: frozenset[str]) -> None:
    """Raises ValueError for a phase that the program has not, and for a command that it has not."""
    lacking = sorted({*ALL_NODES, *EACH_NODE} - phases)
    typed = {words[0] for words, _ in every_command()}
    lacking += [word for row in found for word in commands(row.title) if word not in typed]
    if lacking:
        raise ValueError(f"the program has no {', '.join(lacking)} any more")


def commands(title: str) -> list[str]:
    begins, _, rest = title.partition(":")[0].partition("slipway ")
    return [] if begins else rest.replace(",", " ").split()


@cache
def emitted(source: Path = SOURCE) -> frozenset[str]:
    """Phases of events: first arguments of `emit`, and constants called PHASE."""
    return frozenset(phase for file in source.rglob("*.py") for phase in _phases(ast.parse(file.read_text())))


def _phases(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
            yield from (first.value for first in node.args[:1] if isinstance(first, ast.Constant))
        elif isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "PHASE" for to in node.targets):
            yield from [node.value.value] if isinstance(node.value, ast.Constant) else []


STYLE = """\
.paper { fill: #fbfbf9; stroke: #d5d5cf; }
.title { font: bold 14px ui-sans-serif, Helvetica, Arial, sans-serif; fill: #1d2733; }
.text { font: 13px ui-sans-serif, Helvetica, Arial, sans-serif; fill: #566170; }
.chip { fill: #e7eef6; stroke: #b9cbe0; }
.part { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1d2733; }
.line { stroke: #8fa6bf; stroke-width: 2; }
.dot { fill: #2f6fab; }
"""


def picture(found: Sequence[Row]) -> str:
    drawn, top, last = [], MARGIN, MARGIN
    for row in found:
        part, height = _drawn(row, top)
        drawn.append(part)
        top, last = top + height, top
    height = top + MARGIN // 2
    line = f'<path class="line" d="M {MARGIN + 6} {MARGIN + 8} V {last + 8}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        "<title>From an inventory to a cluster that runs itself</title>\n"
        f"<style>\n{STYLE}</style>\n"
        f'<rect class="paper" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="10"/>\n'
        f"{line}\n" + "".join(drawn) + "</svg>\n"
    )


def _drawn(row: Row, top: int) -> tuple[str, int]:
    """The row from `top` on, and how high it is."""
    left = MARGIN + 28
    made = [
        f'<circle class="dot" cx="{MARGIN + 6}" cy="{top + 8}" r="6"/>',
        f'<text class="title" x="{left}" y="{top + 13}">{escape(row.title)}</text>',
        f'<text class="text" x="{left}" y="{top + 13 + LINE}">{escape(row.text)}</text>',
    ]
    x, y = left, top + LINE + 24
    for part in row.parts:
        width = round(LETTER * len(part)) + 20
        if x + width > WIDTH - MARGIN:
            x, y = left, y + CHIP + 6
        made.append(f'<rect class="chip" x="{x}" y="{y}" width="{width}" height="{CHIP - 4}" rx="6"/>')
        made.append(f'<text class="part" x="{x + 10}" y="{y + 16}">{escape(part)}</text>')
        x += width + GAP
    return "\n".join(made) + "\n", (y - top + CHIP if row.parts else 2 * LINE) + 16


def render() -> str:
    found = rows()
    require_true(found, emitted())
    return picture(found)


if __name__ == "__main__":
    PICTURE.write_text(render())
