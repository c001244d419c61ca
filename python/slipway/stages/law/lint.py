"""The law applied: every reference of every member, looked up among what the stages bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from slipway.errors import InvalidInput, StageLawBroken
from slipway.stages.law import order, references, strings, webhooks
from slipway.stages.law.breach import Breach, Place, Rule
from slipway.stages.law.flux import Unit
from slipway.stages.law.layout import Layout
from slipway.stages.law.provided import LOAD_BALANCER, Provided
from slipway.stages.law.text import Text, walk
from slipway.stages.law.tree import Member, Tree, read
from slipway.words import counted

_SOFT = frozenset((Rule.SOURCE, Rule.ROUTE, Rule.READINESS, Rule.DEPENDS_ON, Rule.PUBLIC_NAME))
"""What Flux tries again by itself: within a stage it needs no dependsOn."""
_INITIALISES = ("operator init", "operator unseal")
"""Words of a Job that makes Vault or OpenBao ready."""


@dataclass(frozen=True)
class Edge:
    """An app leans on another; `breach` if it may not."""

    app: tuple[int, str]
    other: tuple[int, str]
    breach: bool = False


@dataclass(frozen=True)
class Verdict:
    """`stages` by name; `apps` are pairs of a stage's number and an app; `unread` are files that are not YAML."""

    stages: tuple[str, ...]
    objects: int
    apps: tuple[tuple[int, str], ...]
    breaches: tuple[Breach, ...]
    edges: tuple[Edge, ...]
    unread: Mapping[PurePosixPath, str]

    def require(self) -> None:
        """Raises StageLawBroken, or InvalidInput where files could not be read: then nobody knows."""
        if self.breaches:
            count = len(self.breaches)
            raise StageLawBroken(
                f"the stage law is broken in {counted(count, 'place')}",
                hint="slipway stages graph -o stages.svg draws who leans on whom",
            )
        if self.unread:
            raise InvalidInput("\n".join(self.unread.values()), hint="mend these files: they were not judged")

    def to_json(self) -> dict[str, Any]:
        return {
            "apiVersion": "slipway/v1",
            "kind": "StageLaw",
            "stages": list(self.stages),
            "objects": self.objects,
            "kept": not self.breaches and not self.unread,
            "breaches": [breach.to_json() for breach in self.breaches],
            "unread": [{"file": str(path), "reason": reason} for path, reason in self.unread.items()],
        }


def lint(layout: Layout) -> Verdict:
    """Read the tree and judge it. Pure but for reading files."""
    tree = read(layout)
    judge = _Judge(tree)
    breaches = sorted(dict.fromkeys(judge.breaches()))
    members = [member for member in tree.members if not member.patch]
    return Verdict(
        stages=tuple(stage.name for stage in layout.stages),
        objects=len({(member.file, member.kind, member.namespace, member.name) for member in members}),
        apps=tuple(dict.fromkeys(sorted((member.stage, member.app) for member in members))),
        breaches=tuple(breaches),
        edges=tuple(dict.fromkeys(judge.edges)),
        unread=tree.unread,
    )


class _Judge:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.provided = Provided(tree.members, tree.layout.given)
        self.order = order.Order(tree)
        self.edges: list[Edge] = []

    def breaches(self) -> Iterator[Breach]:
        for member in self.tree.members:
            yield from self._references(member)
            yield from self._mentions(member)
            yield from self._addresses(member)
        yield from self._webhooks()
        yield from self._initialised()
        yield from self._cycles()

    # --- one rule after the other ---

    def _references(self, member: Member) -> Iterator[Breach]:
        for reference in references.of(member):
            providers = self._providers(reference)
            subject = f"{member} {reference.text} {reference.target}"
            place = member.at(reference.at)
            yield from self._judged(member, reference.rule, place, subject, providers)

    def _providers(self, reference: references.Reference) -> list[Member]:
        kind, namespace, name = reference.kind, reference.namespace, reference.name
        if self.provided.is_given(kind, namespace, name):
            return []
        if kind == "group":
            return self.provided.group(name)
        if kind == "Service":
            return self.provided.service(namespace, name)
        if reference.rule is Rule.DEPENDS_ON:
            return self.provided.objects(kind, namespace, name) or self.provided.objects(kind, "", name)
        return self.provided.objects(kind, namespace, name)

    def _mentions(self, member: Member) -> Iterator[Breach]:
        if (member.kind, member.name) in self.tree.variables:
            return
        for mention in strings.of(member, self.provided):
            place = member.at(mention.at, mention.offset)
            yield from self._judged(member, mention.rule, place, f"{member} names {mention.target}", mention.providers)

    def _addresses(self, member: Member) -> Iterator[Breach]:
        """A Service of type LoadBalancer is ready when something gives it an address."""
        for keys, value in walk(dict(member.body)):
            if isinstance(value, Text) and value == "LoadBalancer" and keys[-1:] == ("type",):
                pools = self.provided.by_key["pool", "", LOAD_BALANCER]
                subject = f"{member} waits for {LOAD_BALANCER}"
                yield from self._judged(member, Rule.READINESS, member.at(value), subject, pools)

    def _webhooks(self) -> Iterator[Breach]:
        for each in webhooks.closed(self.provided):
            message = f"{each.member} has webhook {each.name}, which fails closed and matches {each.victim}"
            yield self._breach(each.member, Rule.WEBHOOK, each.member.at(each.at), message, each.victim)

    def _initialised(self) -> Iterator[Breach]:
        """A vault whose first opening is a Job of a later stage is not ready before that stage, which waits for it."""
        for job in self.provided.members:
            if job.kind not in ("Job", "CronJob"):
                continue
            texts = [value for _, value in walk(dict(job.body)) if isinstance(value, Text)]
            if any(words in value for value in texts for words in _INITIALISES):
                for mention in strings.of(job, self.provided):
                    for vault in mention.providers:
                        if vault.stage < job.stage:
                            message = f"{vault} becomes ready only by {job}"
                            yield self._breach(vault, Rule.READINESS, vault.place, message, job)

    def _cycles(self) -> Iterator[Breach]:
        for cycle in order.cycles(self.tree.members):
            message = f"{cycle.member.kind}s wait for each other: {' -> '.join(cycle.names)}"
            yield self._breach(cycle.member, Rule.CYCLE, cycle.member.at(cycle.at), message, cycle.member)

    # --- the law itself ---

    def _judged(
        self, member: Member, rule: Rule, place: Place, subject: str, providers: Sequence[Member]
    ) -> Iterator[Breach]:
        """Earlier is right, the same stage wants an order, and only later is a breach."""
        others = [each for each in providers if each.file != member.file or each.stage != member.stage]
        if not others or len(others) < len(providers):
            return
        in_time = [each for each in others if each.stage <= member.stage]
        if not in_time:
            yield self._breach(member, rule, place, subject, others[0])
        elif all(each.stage == member.stage for each in in_time):
            yield from self._ordered(member, rule, place, subject, in_time)
        # Everything lies in some namespace: an arrow for that would hide those that say something.
        if in_time and rule is not Rule.NAMESPACE:
            self.edges.append(Edge(_app(member), _app(in_time[0])))

    def _ordered(
        self, member: Member, rule: Rule, place: Place, subject: str, providers: Sequence[Member]
    ) -> Iterator[Breach]:
        """Within a stage: one of those who provide it comes first, or belongs to the same Kustomization."""
        if rule in _SOFT or member.unit is None:
            return
        units = [each.unit for each in providers]
        if any(unit is None or self._in_order(member, rule, unit) for unit in units):
            return
        other = providers[0]
        names = " or ".join(sorted({unit.name for unit in units if unit is not None}))
        message = f"{subject}, and Kustomization {member.unit.name} has no dependsOn {names}"
        yield self._breach(member, Rule.ORDER, place, message, other)

    def _in_order(self, member: Member, rule: Rule, unit: Unit) -> bool:
        own = member.unit
        if own is None or unit == own or self.order.comes_after(own, unit) or self.order.contains(own, unit):
            return True
        # The other one may well name us in return, as a server knows its client: then that order is the right one.
        return rule in (Rule.SERVICE_DNS, Rule.SERVICE_NAME) and self.order.comes_after(unit, own)

    def _breach(self, member: Member, rule: Rule, place: Place, message: str, other: Member) -> Breach:
        names = [stage.name for stage in self.tree.layout.stages]
        if other.stage > member.stage:
            message += f", of the later stage {names[other.stage]}"
        self.edges.append(Edge(_app(member), _app(other), breach=True))
        return Breach(place, rule, message, names[member.stage], names[other.stage], other.place, member.app, other.app)


def _app(member: Member) -> tuple[int, str]:
    return member.stage, member.app
