"""What many nodes have in common, told once: a fleet of three hundred machines fits on a screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from slipway.words import first_of

MOST_NAMED = 12
"""Nodes that are named; the others are counted."""
MOST_ROWS = 16
"""Rows of a table of nodes that fit on a screen together with what stands around them; of more, equal ones are one."""
_STORE_PATH = re.compile(r"/nix/store/[^\s,;:]+")
SOME_PATH = "/nix/store/..."


def named(names: Sequence[str]) -> str:
    """`cp1 w1 w2`; of many the first ones and how many more."""
    return first_of(names, MOST_NAMED, " ")


def headed(names: Sequence[str]) -> str:
    """`w1`, or `300 nodes (w1 w2 ...)`: who it is that something is said of."""
    return names[0] if len(names) == 1 else f"{len(names)} nodes ({named(names)})"


def like(names: Sequence[str]) -> str:
    """`w12`, or `w12 and 287 more like it`: whose row it is."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more like it"


def typed(names: Sequence[str], of: int | None = None) -> str:
    """The words for a command that shall do something with these nodes, with a blank in front.

    Nothing where they are all of the `of` nodes, or more than anybody would type: without names a command takes all.
    """
    return "" if len(names) > MOST_NAMED or len(names) == of else "".join(f" {name}" for name in names)


def alike(reasons: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each reason, with all nodes that have it: pairs of a node and its reason.

    Errors of connections begin with the node and where it was looked for (`w1 (root@192.0.2.1): ...`), and each node
    has systems of its own: what differs from node to node stays where the reason is one node's alone.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in reasons:
        groups.setdefault(_STORE_PATH.sub(SOME_PATH, _without(name, reason)), []).append((name, reason))
    for members in groups.values():
        yield _told(members)


def _told(members: Sequence[tuple[str, str]]) -> str:
    """The line for nodes whose reasons are alike, with what they have in common."""
    nodes = list(dict.fromkeys(name for name, _ in members))
    said = list(dict.fromkeys(_without(name, reason) for name, reason in members))
    if len(nodes) > 1:
        return f"{headed(nodes)}: {said[0] if len(said) == 1 else _STORE_PATH.sub(SOME_PATH, said[0])}"
    name, reason = members[0]
    return reason if reason != said[0] else f"{name}: {reason}"


def _without(name: str, reason: str) -> str:
    """The reason without the node in front."""
    if reason.startswith(f"{name} ("):
        return reason.partition("): ")[2] or reason
    return reason.removeprefix(f"{name}: ")
