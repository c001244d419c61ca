"""Two verifications side by side: what turned red or green between them, what is new and what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.verify.result import Check, NodeVerification, Verification


class Change(StrEnum):
    """What became of one check of one node. New and gone are checks that only one of the two asked or could ask."""

    RED = "red"
    GREEN = "green"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Changed:
    """One check that is not as it was. `before` and `after` are words for people, empty where there was no check."""

    node: str
    check: str
    change: Change
    before: str = ""
    after: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "node": self.node,
            "check": self.check,
            "change": self.change.value,
            "before": self.before,
            "after": self.after,
        }

    def __str__(self) -> str:
        return f"{self.node}: {self.check}: {_WORDS[self.change].format(before=self.before, after=self.after)}"


_WORDS = {
    Change.RED: "turned red: {after}",
    Change.GREEN: "turned green; it was: {before}",
    Change.NEW: "new: {after}",
    Change.GONE: "gone; it was: {before}",
}

WHOLE_NODE = "node"
"""What stands for the check where a node as a whole could not be asked."""


def compare(before: Verification, after: Verification) -> tuple[Changed, ...]:
    """Pure. By node, in the order of `after`; what passed and passes, and what was skipped and is, is no change."""
    old, new = _by_node(before), _by_node(after)
    return tuple(change for node in {**new, **old} for change in _of_node(node, old.get(node, {}), new.get(node, {})))


def to_json(before: str, after: str, changes: tuple[Changed, ...]) -> dict[str, Any]:
    """`before` and `after` are the ids of the two runs."""
    return {"before": before, "after": after, "changes": [change.to_json() for change in changes]}


Told = dict[str, tuple[bool, str]]
"""Id of a check to (whether it is red, how it ended in words)."""


def _by_node(found: Verification) -> dict[str, Told]:
    return {node.node: _told(node) for node in found.nodes}


def _told(node: NodeVerification) -> Told:
    if node.obstacle is not None:
        return {WHOLE_NODE: (True, f"{node.obstacle.value}: {node.error}")}
    return {check.id: (check.verdict.red, _ended(check)) for check in node.checks}


def _ended(check: Check) -> str:
    return check.finding.found.partition("\n")[0] if check.finding else check.verdict.value


def _of_node(node: str, old: Told, new: Told) -> Iterator[Changed]:
    if WHOLE_NODE in new and WHOLE_NODE not in old:
        # Its checks were not asked, which says nothing about them.
        yield Changed(node, WHOLE_NODE, Change.RED if old else Change.NEW, "", new[WHOLE_NODE][1])
        return
    if WHOLE_NODE in old and WHOLE_NODE not in new:
        yield Changed(node, WHOLE_NODE, Change.GREEN if new else Change.GONE, old[WHOLE_NODE][1])
        old = {}
        new = {name: told for name, told in new.items() if told[0]}
    for name in {**new, **old}:
        change = _change(old.get(name), new.get(name))
        if change is not None:
            yield Changed(node, name, change, old.get(name, (False, ""))[1], new.get(name, (False, ""))[1])


def _change(old: tuple[bool, str] | None, new: tuple[bool, str] | None) -> Change | None:
    match old, new:
        case None, _:
            return Change.NEW
        case _, None:
            return Change.GONE
        case (False, _), (True, _):
            return Change.RED
        case (True, _), (False, _):
            return Change.GREEN
        case _:
            return None
