"""What many nodes have in common, told once: a fleet of three hundred machines fits on a screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from slipway.words import first_of

Member = TypeVar("Member")
MOST_NAMED = 12
"""Nodes that are named; the others are counted."""
MOST_ROWS = 16
"""Rows of a table of nodes that fit on a screen together with what stands around them; of more, equal ones are one."""
_STORE_PATH = re.compile(r"/nix/store/[^\s,;:]+")
SOME_PATH = "/nix/store/..."
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/=]+")
SOME_KEY = "SHA256:..."


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
    has systems and a host key of its own: what differs from node to node stays where the reason is one node's alone.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in reasons:
        groups.setdefault(kind(name, reason), []).append((name, reason))
    for members in groups.values():
        nodes = list(dict.fromkeys(name for name, _ in members))
        if len(nodes) > 1:
            yield f"{headed(nodes)}: {common(members)}"
        else:
            name, reason = members[0]
            yield reason if reason != without(name, reason) else f"{name}: {reason}"


def kind(name: str, reason: str) -> str:
    """What makes two reasons alike, each of another node."""
    return _FINGERPRINT.sub(SOME_KEY, _STORE_PATH.sub(SOME_PATH, without(name, reason)))


def common(members: Sequence[tuple[str, str]]) -> str:
    """What nodes whose reasons are alike have in common; all of it where it is of one node."""
    said = {reason if len(members) == 1 else without(name, reason) for name, reason in members}
    return said.pop() if len(said) == 1 else kind(*members[0])


def bundled(members: Sequence[Member], alike_by: Callable[[Member], object]) -> list[list[Member]]:
    """Rows of a table: each member its own, as long as they fit on a screen; of more, those that are alike are one."""
    if len(members) <= MOST_ROWS:
        return [[each] for each in members]
    groups: dict[object, list[Member]] = {}
    for each in members:
        groups.setdefault(alike_by(each), []).append(each)
    return list(groups.values())


def without(name: str, reason: str) -> str:
    """The reason without the node in front."""
    if reason.startswith(f"{name} ("):
        return reason.partition("): ")[2] or reason
    return reason.removeprefix(f"{name}: ")
