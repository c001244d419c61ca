"""dependsOn inside a stage: whether it says what the files need, and whether it can ever end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.stages.law.flux import Unit
from slipway.stages.law.text import Text, get, word
from slipway.stages.law.tree import Member, Tree


class Order:
    """Which Kustomization comes after which others."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._after: dict[Unit, frozenset[Unit]] = {}

    def named(self, name: str, namespace: str) -> list[Unit]:
        return [unit for unit in self.tree.units if unit.is_named(name, namespace)]

    def comes_after(self, unit: Unit, other: Unit) -> bool:
        """Whether Flux applies `unit` only when `other` is ready, by any chain, also by way of a parent."""
        return other in self._all_before(unit)

    def contains(self, unit: Unit, other: Unit) -> bool:
        """Whether one of them applies the other's object: then they have their order by themselves."""
        return unit in _parents(other) or other in _parents(unit)

    def _all_before(self, unit: Unit) -> frozenset[Unit]:
        if unit not in self._after:
            self._after[unit] = frozenset()  # what leads back to itself is told as a cycle
            found: set[Unit] = set()
            for each in (unit, *_parents(unit)):
                for before in self._directly_before(each):
                    found |= {before} | self._all_before(before)
            self._after[unit] = frozenset(found)
        return self._after[unit]

    def _directly_before(self, unit: Unit) -> list[Unit]:
        own = unit.namespace
        return [
            found
            for each in unit.depends_on
            for found in self.named(word(each, "name"), word(each, "namespace") or own)
        ]


def _parents(unit: Unit) -> Iterator[Unit]:
    while unit.parent is not None:
        unit = unit.parent
        yield unit


@dataclass(frozen=True)
class Cycle:
    """`names` from one member back to itself; `at` is the dependsOn that closes it."""

    member: Member
    at: Text
    names: tuple[str, ...]


def cycles(members: tuple[Member, ...]) -> Iterator[Cycle]:
    """Each circle of dependsOn once, among Kustomizations and among HelmReleases."""
    for kind in ("Kustomization", "HelmRelease"):
        known = {member.name: member for member in members if member.kind == kind and not member.patch}
        done: set[str] = set()
        for name in known:
            yield from _from(name, known, (), done)


def _from(name: str, known: dict[str, Member], way: tuple[str, ...], done: set[str]) -> Iterator[Cycle]:
    if name in done:
        return
    for each in _waits_for(known[name]):
        if each in (*way, name):
            circle = (*way, name)[(*way, name).index(each) :]
            yield Cycle(known[name], each, (*circle, str(each)))
        elif each in known:
            yield from _from(each, known, (*way, name), done)
    done.add(name)


def _waits_for(member: Member) -> Iterator[Text]:
    depends = get(member.body, "spec", "dependsOn")
    for entry in depends if isinstance(depends, list) else ():
        name = get(entry, "name")
        if isinstance(name, Text):
            yield name
