"""Services and public names inside texts: addresses, values of charts, scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from slipway.stages.law.breach import Rule
from slipway.stages.law.provided import Provided
from slipway.stages.law.text import Text, walk
from slipway.stages.law.tree import Member

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SERVICE_DNS = re.compile(rf"(?<![\w-])({_LABEL})\.({_LABEL})\.svc(?![\w-])")
_SHORT_DNS = re.compile(rf"(?<![\w.-])({_LABEL})\.({_LABEL})(?=[:/\s\"',]|$)")
_PATH = re.compile(rf"(?<![\w./-])({_LABEL})/({_LABEL})(?=:[a-z0-9]|$|[\s\"',])")
_SERVICES = ((_SERVICE_DNS, Rule.SERVICE_DNS), (_SHORT_DNS, Rule.SERVICE_NAME), (_PATH, Rule.SERVICE_NAME))
_PUBLIC = re.compile(r"(?<![\w.-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?![\w-])", re.IGNORECASE)

_SOURCES = frozenset(("OCIRepository", "HelmRepository", "GitRepository", "Bucket", "FluxInstance"))
_IMAGE_KEYS = frozenset(("image", "repository", "registry", "imageRegistry"))
_NAMES_OF_ITS_OWN = frozenset(
    ("HTTPRoute", "GRPCRoute", "TLSRoute", "Ingress", "IngressRoute", "Gateway", "Certificate", "DNSEndpoint")
)
_NO_VALUES = frozenset(("labels", "description", "summary", "sops", "hostnames", "dnsNames", "substitute"))
"""Keys below which words name nothing that is needed; variables count where they are used."""


@dataclass(frozen=True)
class Mention:
    """`at` and `offset` say where in which text; `providers` are those who bring what is named."""

    rule: Rule
    at: Text
    offset: int
    target: str
    providers: tuple[Member, ...]


def of(member: Member, provided: Provided) -> Iterator[Mention]:
    """Only what the tree itself brings is a name; anything else that looks like one is not."""
    for keys, value in walk(dict(member.body)):
        if isinstance(value, Text) and ("." in value or "/" in value) and not _NO_VALUES.intersection(keys):
            if value.startswith("ENC["):
                continue
            key = keys[-1] if keys else ""
            yield from _services(member, key, value, provided)
            yield from _public_names(member, key, value, provided)


def _services(member: Member, key: str, value: Text, provided: Provided) -> Iterator[Mention]:
    seen: set[tuple[str, str]] = set()
    for pattern, rule in _SERVICES:
        for match in pattern.finditer(value):
            name, namespace = match.groups() if pattern is not _PATH else reversed(match.groups())
            if (name, namespace) in seen:
                continue
            found = _providers(provided, namespace, name, surely=pattern is _SERVICE_DNS)
            if found:
                seen.add((name, namespace))
                target = f"Service {namespace}/{name}"
                yield Mention(_rule(member, key, rule), value, match.start(), target, tuple(found))


def _providers(provided: Provided, namespace: str, name: str, *, surely: bool) -> list[Member]:
    """Who runs it. A full DNS name is one in any case: then any pods of the namespace may be behind it."""
    found = provided.service(namespace, name)
    if found or not surely or provided.is_given("Service", namespace, name):
        return found
    return provided.pods_of[namespace]


def _public_names(member: Member, key: str, value: Text, provided: Provided) -> Iterator[Mention]:
    if member.kind in _NAMES_OF_ITS_OWN:
        return
    for match in _PUBLIC.finditer(value):
        routes = provided.served.get(match.group().lower(), ())
        if routes and not any(_own_name(member, route) for route in routes):
            rule = _rule(member, key, Rule.PUBLIC_NAME)
            yield Mention(rule, value, match.start(), f"the public name {match.group()}", tuple(routes))


def _own_name(member: Member, route: Member) -> bool:
    """An app may well know the name under which a later stage exposes it."""
    spaces = {route.namespace}
    for keys, value in walk(dict(route.body)):
        if isinstance(value, Text) and keys[-2:] == ("backendRefs", "namespace"):
            spaces.add(str(value))
    return bool(member.namespace) and member.namespace in spaces


def _rule(member: Member, key: str, rule: Rule) -> Rule:
    """Where a chart, an image or a repository is fetched, the address is a source."""
    return Rule.SOURCE if key in _IMAGE_KEYS or (member.kind in _SOURCES and key in ("url", "endpoint")) else rule
