"""What a person reads after a verification: a table of nodes, and under it why each red check is red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from slipway.groups import alike
from slipway.verify.comparison import Change, Changed
from slipway.verify.result import Check, Counts, Finding, Verdict, Verification

WIDEST = 400
"""Characters of one part of a finding; the whole of it stands in the JSON and JUnit reports."""


def columns(verification: Verification) -> tuple[str, ...]:
    """The head of the table, with a column for each pack."""
    return ("node", "state", *_packs(verification), "time")


def rows(verification: Verification) -> Iterator[tuple[str, ...]]:
    """One row a node: `w1  green  14 ok, 1 skipped  9 ok  17 ok  0.8 s`."""
    for node in verification.nodes:
        cells = (
            _counted(node.counts[pack]) if pack in node.packs and not node.obstacle else ""
            for pack in _packs(verification)
        )
        yield (node.node, node.state, *cells, f"{node.duration:.1f} s")


def findings(verification: Verification) -> Iterator[str]:
    """Errors of whole nodes, then the red checks: a block for each finding, with all nodes that share it."""
    failed = [node for node in verification.nodes if node.error]
    yield from alike((node.node, f"{node.error}{f'; try: {node.hint}' if node.hint else ''}") for node in failed)
    blocks: dict[tuple[Check, Finding], list[str]] = {}
    for node in verification.nodes:
        for check in node.red:
            if check.finding is not None and check.id not in node.packs:
                blocks.setdefault((replace(check, duration=0.0), check.finding), []).append(node.node)
    for (check, finding), nodes in blocks.items():
        yield from _block(check, finding, nodes)


def notes(verification: Verification) -> Iterator[str]:
    """What people should know of checks that ran, each thing once."""
    asked = (check for node in verification.nodes for check in node.checks if check.verdict is not Verdict.SKIPPED)
    yield from dict.fromkeys(check.reason for check in asked if check.reason)


def changes(found: Sequence[Changed]) -> str:
    """`2 red, 1 green, 4 new`: how many checks became what."""
    counts = Counter(each.change.value for each in found)
    return ", ".join(f"{counts[kind.value]} {kind.value}" for kind in Change if counts[kind.value])


def _block(check: Check, finding: Finding, nodes: list[str]) -> Iterator[str]:
    how = "could not be asked" if check.verdict is Verdict.ERROR else "not so"
    yield f"{', '.join(nodes)}: {check.id}: {how}: {check.title}"
    for name, text in finding.to_json().items():
        if text.strip():
            yield f"    {name:<9}{_indented(text)}"


def _indented(text: str) -> str:
    short = text.strip() if len(text) <= WIDEST else text.strip()[:WIDEST] + " ..."
    return f"\n{' ' * 13}".join(short.splitlines())


def _counted(counts: Counts) -> str:
    named = ((counts.passed, "ok"), (counts.failed + counts.errors, "red"), (counts.skipped, "skipped"))
    return ", ".join(f"{number} {name}" for number, name in named if number) or "none ran"


def _packs(verification: Verification) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pack for node in verification.nodes for pack in node.packs))
