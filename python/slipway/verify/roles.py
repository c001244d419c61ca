"""Which nodes a check is asked of: the marks of slipway.verify.check, and what each means."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slipway.inventory import Host

MARKS: dict[str, Callable[[Host], bool]] = {
    "controllers": lambda node: node.is_controller,
    "workers": lambda node: not node.is_controller,
    "workloads": lambda node: node.runs_workloads,
}


def meant_for(node: Host, marks: Iterable[str]) -> bool:
    """Whether a check that carries these marks is asked of `node`; without any of ours it is asked of all."""
    return all(MARKS[mark](node) for mark in marks if mark in MARKS)
