"""Admission webhooks that fail closed: until their pods serve, what they match cannot be applied at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.stages.law.provided import Provided, in_list, known_chart
from slipway.stages.law.text import Text, Value, get, items, walk, word
from slipway.stages.law.tree import Member

_KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_NAME_LABEL = "kubernetes.io/metadata.name"
_WORKLOADS = frozenset(("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "HelmRelease"))


@dataclass(frozen=True)
class Closed:
    """A webhook of `member` at `at`, which matches `victim`, a member of an earlier stage."""

    member: Member
    at: Text
    name: str
    victim: Member


def closed(provided: Provided) -> Iterator[Closed]:
    """Each webhook once, with the first object of an earlier stage that it would keep out."""
    labels = {m.name: get(m.body, "metadata", "labels") or {} for m in provided.members if m.kind == "Namespace"}
    for member in provided.members:
        for at, name, matches in _of(member, provided, labels):
            earlier = (each for each in provided.members if each.stage < member.stage)
            victim = next((each for each in earlier if matches(each)), None)
            if victim is not None:
                yield Closed(member, at, name, victim)


def _of(member: Member, provided: Provided, labels: dict[str, Value]) -> Iterator[tuple[Text, str, _Matches]]:
    if member.kind in _KINDS:
        for webhook in items(member.body, "webhooks"):
            name = get(webhook, "name")
            if isinstance(name, Text) and (word(webhook, "failurePolicy") or "Fail") == "Fail":
                yield name, name, _Matches(get(webhook, "namespaceSelector"), items(webhook, "rules"), labels)
    elif member.kind == "HelmRelease" and known_chart(provided.chart_of(member)).fails_closed:
        name = get(member.body, "metadata", "name")
        values = get(member.body, "spec", "values")
        if isinstance(name, Text) and not _fails_open(values):
            yield name, provided.chart_of(member), _Matches(_selector_in(values), [], labels)


@dataclass(frozen=True)
class _Matches:
    """Whether a member is what a webhook's selector and rules pick. No rules: everything that has a namespace."""

    selector: Value
    rules: list[Value]
    labels: dict[str, Value]

    def __call__(self, member: Member) -> bool:
        if not member.namespace or not self._selected(member.namespace):
            return False
        return not self.rules or any(self._ruled(rule, member) for rule in self.rules)

    def _selected(self, namespace: str) -> bool:
        known = {str(key): str(value) for key, value in dict(self.labels.get(namespace, {})).items()}
        known[_NAME_LABEL] = namespace
        wanted = get(self.selector, "matchLabels") or {}
        if any(known.get(str(key)) != str(value) for key, value in wanted.items()):
            return False
        return all(_fits(known, each) for each in items(self.selector, "matchExpressions"))

    def _ruled(self, rule: Value, member: Member) -> bool:
        groups, resources = in_list(rule, "apiGroups"), {each.partition("/")[0] for each in in_list(rule, "resources")}
        if {"pods", "*"} & resources and {"", "*"} & groups and member.kind in _WORKLOADS:
            return True
        return bool({member.group, "*"} & groups) and bool({_plural(member.kind), "*"} & resources)


def _fits(known: dict[str, str], expression: Value) -> bool:
    value, values = known.get(word(expression, "key")), in_list(expression, "values")
    match word(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def _plural(kind: str) -> str:
    """The resource of a kind as Kubernetes forms it."""
    low = kind.lower()
    if low.endswith(("s", "x", "ch", "sh")):
        return f"{low}es"
    return f"{low[:-1]}ies" if low.endswith("y") and low[-2:-1] not in "aeou" else f"{low}s"


def _fails_open(values: Value) -> bool:
    """Kyverno's features.forceFailurePolicyIgnore, Gatekeeper's failurePolicy settings."""
    if word(values, "features", "forceFailurePolicyIgnore", "enabled") == "true":
        return True
    policies = [value for keys, value in walk(values) if keys[-1:] and keys[-1].lower().endswith("failurepolicy")]
    return bool(policies) and all(policy == "Ignore" for policy in policies)


def _selector_in(values: Value) -> Value:
    """The first namespaceSelector in a chart's values."""
    found = (value for keys, value in walk(values) if keys[-1:] == ("namespaceSelector",) and isinstance(value, dict))
    return next(found, "")
