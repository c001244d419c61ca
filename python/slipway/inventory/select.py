"""Choosing hosts by what the inventory says, without Nix.

    w1  cp*           names and globs
    controller        roles: controller (with workloads or without), controller+worker, worker, single
    @rack-a  @rack-*  tags and groups
    w1,w2             either
    worker+@rack-a    both: the workers of rack-a

Several patterns, and the parts of one between commas, add up; `+` binds closer. None of these characters means
anything to a shell, except `*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from slipway.errors import UsageError
from slipway.inventory.load import Inventory
from slipway.inventory.messages import nearest
from slipway.inventory.model import Host, Role

_WHOLE_ROLE: Final = "controller+worker"


def select(inventory: Inventory, patterns: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[Host, ...]:
    """The hosts that the patterns name, all without any, minus those of `exclude`; in inventory order.

    Raises UsageError for a word that names nothing, with the nearest that does, and where nothing is left. A role that
    no host has is no slip.
    """
    chosen = _union(inventory, patterns) if patterns else {host.name for host in inventory.hosts}
    without = _union(inventory, exclude)
    left = tuple(host for host in inventory.hosts if host.name in chosen and host.name not in without)
    if not left:
        shown = " ".join(patterns) or "all hosts"
        left_out = f" without {' '.join(exclude)}" if exclude else ""
        raise UsageError(f"no host is left of {shown}{left_out}", hint="slipway inventory list")
    return left


def _union(inventory: Inventory, patterns: Iterable[str]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        for part in pattern.split(","):
            names |= _intersection(inventory, part)
    return names


def _intersection(inventory: Inventory, text: str) -> set[str]:
    sets = [_matching(inventory, word) for word in _words(text)]
    return set.intersection(*sets)


def _words(text: str) -> Iterator[str]:
    """The words between `+`; the role controller+worker is one word."""
    left = [word.strip() for word in text.split("+")]
    while left:
        word = left.pop(0)
        if word == Role.CONTROLLER and left and left[0] == Role.WORKER:
            word = f"{word}+{left.pop(0)}"
        yield word


def _matching(inventory: Inventory, word: str) -> set[str]:
    if not word:
        raise UsageError("an empty word in the selection; expected a name, a glob, a role or @tag")
    found = {host.name for host in inventory.hosts if _is_meant(host, word)}
    if not found and word not in tuple(Role):
        known = list(_known_words(inventory))
        raise names_no_host(word, nearest(word, known) or nearest(f"@{word}", known))
    return found


def names_no_host(word: str, near: str | None) -> UsageError:
    """What is said of a word of the command line that means no host; `near` is one that does."""
    return UsageError(
        f"{word!r} names no host" + (f"; did you mean {near!r}?" if near else ""), hint="slipway inventory list"
    )


def _is_meant(host: Host, word: str) -> bool:
    if word.startswith("@"):
        return any(fnmatchcase(mark, word[1:]) for mark in (*host.tags, *host.groups))
    if word == Role.CONTROLLER:
        return host.is_controller
    if word in (Role.WORKER, Role.SINGLE, _WHOLE_ROLE):
        return host.role == word
    return fnmatchcase(host.name, word)


def _known_words(inventory: Inventory) -> Iterator[str]:
    yield from (role.value for role in Role)
    for host in inventory.hosts:
        yield host.name
        yield from (f"@{mark}" for mark in (*host.tags, *host.groups))
