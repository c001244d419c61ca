"""The stages as a picture: a column a stage, a box an app, an arrow to each app that it leans on; breaches in red."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from slipway.stages.law import Edge, Verdict
from slipway.words import line

App = tuple[int, str]
"""The number of a stage, and the app's name."""

WIDTH, HEIGHT, GAP, ROW = 190, 34, 90, 50
"""Of a box, and between boxes, in pixels."""
TOP = 70

STYLE = """
svg { background: #ffffff; font: 14px system-ui, sans-serif }
text { fill: #1f2328 } .stage { font-weight: 600 } .box { fill: #f6f8fa; stroke: #8c959f }
.edge { fill: none; stroke: #57606a; stroke-width: 1.3 } .head { fill: #57606a }
.breach { stroke: #cf222e; stroke-width: 2.4 } .broken { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117 } text { fill: #e6edf3 } .box { fill: #161b22; stroke: #6e7681 }
  .edge { stroke: #8b949e } .head { fill: #8b949e } .breach { stroke: #ff7b72 } .broken { fill: #ff7b72 }
}
"""


def mermaid(verdict: Verdict) -> str:
    """For Markdown that draws Mermaid: arrows point at what is leaned on."""
    names = {app: f"a{number}" for number, app in enumerate(verdict.apps)}
    lines = ["flowchart RL"]
    for number, stage in enumerate(verdict.stages):
        lines.append(f'  subgraph s{number}["{_quoted(stage)}"]')
        lines += [f'    {names[app]}["{_quoted(app[1])}"]' for app in verdict.apps if app[0] == number]
        lines.append("  end")
    edges = [edge for edge in edges_of(verdict) if edge.app in names and edge.other in names]
    lines += [f"  {names[edge.app]} {'==>' if edge.breach else '-->'} {names[edge.other]}" for edge in edges]
    broken = [str(number) for number, edge in enumerate(edges) if edge.breach]
    if broken:
        lines.append(f"  linkStyle {','.join(broken)} stroke:#cf222e,stroke-width:3px")
    return "\n".join(lines) + "\n"


def svg(verdict: Verdict) -> str:
    """A picture of its own, without anything from elsewhere, in light and dark."""
    places = _placed(verdict)
    width = len(verdict.stages) * (WIDTH + GAP) + GAP // 2
    height = TOP + ROW * max([1, *(_rows(verdict, number) for number in range(len(verdict.stages)))])
    root = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", role="img")
    root.set("width", str(width))
    ET.SubElement(root, "title").text = _title(verdict)
    ET.SubElement(root, "style").text = STYLE
    root.append(_heads())
    for edge in edges_of(verdict):
        if edge.app in places and edge.other in places:
            root.append(_arrow(edge, places[edge.app], places[edge.other]))
    for number, stage in enumerate(verdict.stages):
        ET.SubElement(root, "text", {"class": "stage", "x": str(_left(number)), "y": "36"}).text = line(stage)
    for app, place in places.items():
        root.extend(_box(app[1], place))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def edges_of(verdict: Verdict) -> list[Edge]:
    """One for each pair of apps; where one of its reasons is a breach, the breach."""
    found: dict[tuple[App, App], Edge] = {}
    for edge in verdict.edges:
        if edge.app != edge.other and (edge.breach or (edge.app, edge.other) not in found):
            found[edge.app, edge.other] = edge
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True)
class _Place:
    x: int
    y: int


def _left(stage: int) -> int:
    return GAP // 2 + stage * (WIDTH + GAP)


def _rows(verdict: Verdict, stage: int) -> int:
    return sum(1 for app in verdict.apps if app[0] == stage)


def _placed(verdict: Verdict) -> dict[App, _Place]:
    rows = dict.fromkeys(range(len(verdict.stages)), 0)
    places = {}
    for app in verdict.apps:
        places[app] = _Place(_left(app[0]), TOP - HEIGHT // 2 + rows[app[0]] * ROW)
        rows[app[0]] += 1
    return places


def _box(name: str, place: _Place) -> Iterator[ET.Element]:
    size = {"width": str(WIDTH), "height": str(HEIGHT), "rx": "6"}
    yield ET.Element("rect", {"class": "box", "x": str(place.x), "y": str(place.y), **size})
    label = ET.Element("text", {"x": str(place.x + 12), "y": str(place.y + HEIGHT // 2 + 5)})
    label.text = name if len(name) <= 22 else f"{name[:21]}…"
    if len(name) > 22:
        ET.SubElement(label, "title").text = line(name)
    label.text = line(label.text)
    yield label


def _arrow(edge: Edge, start: _Place, end: _Place) -> ET.Element:
    """From the side that faces the other column; within a column around the left side."""
    middle = HEIGHT // 2
    forward, back = edge.app[0] < edge.other[0], edge.app[0] == edge.other[0]
    x1 = start.x + (WIDTH if forward else 0)
    x2 = end.x + (0 if forward else 0 if back else WIDTH)
    bend = GAP // 3 if back else GAP // 2
    c1, c2 = (x1 + bend, x2 - bend) if forward else (x1 - bend, x2 - bend if back else x2 + bend)
    path = f"M{x1},{start.y + middle} C{c1},{start.y + middle} {c2},{end.y + middle} {x2},{end.y + middle}"
    kind = "edge breach" if edge.breach else "edge"
    arrow = ET.Element("path", {"class": kind, "d": path, "marker-end": f"url(#{'broken' if edge.breach else 'head'})"})
    verb = "must not lean on" if edge.breach else "leans on"
    ET.SubElement(arrow, "title").text = line(f"{edge.app[1]} {verb} {edge.other[1]}")
    return arrow


def _heads() -> ET.Element:
    heads = ET.Element("defs")
    for name in ("head", "broken"):
        options = {"id": name, "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerUnits": "userSpaceOnUse"}
        marker = ET.SubElement(heads, "marker", {**options, "markerWidth": "9", "markerHeight": "9", "orient": "auto"})
        ET.SubElement(marker, "path", {"class": name, "d": "M0,0 L8,4 L0,8 z"})
    return heads


def _title(verdict: Verdict) -> str:
    count = len(verdict.breaches)
    judged = "the stage law is kept" if not count else f"the stage law is broken in {count} place{'s' * (count != 1)}"
    return line(f"{' → '.join(verdict.stages)}: {judged}")


def _quoted(name: str) -> str:
    """Mermaid knows no escape for a quote in a label but its own entity."""
    return re.sub(r'["#]', lambda match: f"#{ord(match.group())};", line(name))
