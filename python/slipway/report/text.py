"""What a person reads after a verification: a table of nodes, and under it why each red check is red."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.verify.result import Check, Counts, NodeVerification, Verification

WIDEST = 400
"""Characters of one part of a finding; the whole of it stands in the JSON and JUnit reports."""


def columns(verification: Verification) -> tuple[str, ...]:
    """The head of the table, with a column for each pack."""
    return ("node", "state", *_packs(verification), "time")


def rows(verification: Verification) -> Iterator[tuple[str, ...]]:
    """One row a node: `w1  green  14 passed, 1 skipped  9 passed  17 passed  0.8 s`."""
    for node in verification.nodes:
        cells = (_counted(node.counts[pack]) if pack in node.packs else "" for pack in _packs(verification))
        yield (node.node, state(node), *cells, f"{node.duration:.1f} s")


def state(node: NodeVerification) -> str:
    return "unreachable" if node.unreachable else "green" if node.green else "red"


def findings(verification: Verification) -> Iterator[str]:
    """The red checks, a line for each part of what was found; errors of whole nodes first in their block."""
    for node in verification.nodes:
        if node.error:
            yield f"{node.node}: {node.error}"
        for check in node.red:
            if check.id not in node.packs:
                yield from _finding(node.node, check)


def _finding(node: str, check: Check) -> Iterator[str]:
    yield (
        f"{node}: {check.id}: not so: {check.title}"
        if check.verdict == "failed"
        else (f"{node}: {check.id}: could not be asked: {check.title}")
    )
    if check.finding is None:
        return
    for name, text in check.finding.to_json().items():
        if text.strip():
            yield f"    {name:<9}{_indented(text)}"


def _indented(text: str) -> str:
    short = text.strip() if len(text) <= WIDEST else text.strip()[:WIDEST] + " ..."
    return f"\n{' ' * 13}".join(short.splitlines())


def _counted(counts: Counts) -> str:
    named = (
        (counts.passed, "passed"), (counts.failed, "failed"), (counts.errors, "errors"), (counts.skipped, "skipped"),
    )  # fmt: skip
    return ", ".join(f"{number} {name}" for number, name in named if number) or "none ran"


def _packs(verification: Verification) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pack for node in verification.nodes for pack in node.packs))
