"""What many nodes have in common, told once: a fleet of three hundred machines fits on a screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from slipway.words import first_of

MOST_NAMED = 12
"""Nodes that are named; the others are counted."""


def named(names: Sequence[str]) -> str:
    """`cp1 w1 w2`; of many the first ones and how many more."""
    return first_of(names, MOST_NAMED, " ")


def headed(names: Sequence[str]) -> str:
    """`w1`, or `300 nodes (w1 w2 ...)`: who it is that something is said of."""
    return names[0] if len(names) == 1 else f"{len(names)} nodes ({named(names)})"


def typed(names: Sequence[str], of: int | None = None) -> str:
    """The words for a command that shall do something with these nodes, with a blank in front.

    Nothing where they are all of the `of` nodes, or more than anybody would type: without names a command takes all.
    """
    return "" if len(names) > MOST_NAMED or len(names) == of else "".join(f" {name}" for name in names)


def alike(reasons: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each reason, with all nodes that have it: pairs of a node and its reason.

    Errors of connections begin with the node and where it was looked for (`w1 (root@192.0.2.1): ...`), which differs
    from node to node; it stays where the reason is one node's alone.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in reasons:
        groups.setdefault(_without(name, reason), []).append((name, reason))
    for reason, members in groups.items():
        nodes = list(dict.fromkeys(name for name, _ in members))
        if len(nodes) == 1:
            yield members[0][1] if members[0][1] != reason else f"{nodes[0]}: {reason}"
        else:
            yield f"{headed(nodes)}: {reason}"


def _without(name: str, reason: str) -> str:
    """The reason without the node in front."""
    if reason.startswith(f"{name} ("):
        return reason.partition("): ")[2] or reason
    return reason.removeprefix(f"{name}: ")
