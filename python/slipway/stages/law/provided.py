"""What each stage brings: objects by name, kinds by API group, Services, and the public names of its routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from slipway.stages.law.layout import Given
from slipway.stages.law.text import Text, Value, get, items, walk, word
from slipway.stages.law.tree import Member, cluster_wide

_PODS = frozenset(("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet", "HelmRelease"))
_ROUTES = frozenset(("HTTPRoute", "GRPCRoute", "TLSRoute", "Ingress", "IngressRoute", "DNSEndpoint"))
_POOLS = frozenset(("CiliumLoadBalancerIPPool", "IPAddressPool"))
_SOURCES = frozenset(("OCIRepository", "HelmRepository", "GitRepository", "Bucket"))
LOAD_BALANCER = "addresses for load balancers"


@dataclass(frozen=True)
class Chart:
    """What a well-known chart brings (charts.yaml)."""

    groups: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    fails_closed: bool = False


class Provided:
    """By key, the members that provide it. Keys: (kind, namespace, name), ("group", "", group) and the like."""

    def __init__(self, members: Iterable[Member], given: Given) -> None:
        self.members = [member for member in members if not member.patch]
        self.given = given
        self.by_key: dict[tuple[str, str, str], list[Member]] = defaultdict(list)
        self.pods_of: dict[str, list[Member]] = defaultdict(list)
        self.served: dict[str, list[Member]] = defaultdict(list)
        self.releases: dict[str, list[Member]] = defaultdict(list)
        self._sources = {(member.kind, member.name): member for member in self.members if member.kind in _SOURCES}
        for member in self.members:
            self._take(member)

    def objects(self, kind: str, namespace: str, name: str) -> list[Member]:
        """Who provides this object; a namespace that is not known matches any."""
        if cluster_wide(kind):
            return self.by_key[kind, "", name]
        found = self.by_key[kind, namespace, name]
        return found or ([] if namespace else self.by_key[kind, "*", name])

    def is_given(self, kind: str, namespace: str, name: str) -> bool:
        return f"{kind}/{name}" in self.given.objects or f"{kind}/{namespace}/{name}" in self.given.objects

    def group(self, group: str) -> list[Member]:
        return [] if group in self.given.groups else self.by_key["group", "", group]

    def service(self, namespace: str, name: str) -> list[Member]:
        """Who brings a Service: the object, or the release of a chart in that namespace whose name it begins with."""
        if self.is_given("Service", namespace, name):
            return []
        found = self.by_key["Service", namespace, name]
        return found or [member for member in self.releases[namespace] if named_after(name, release_name(member))]

    def chart_of(self, member: Member) -> str:
        """The name of a HelmRelease's chart; "" where the tree does not say it."""
        direct = word(member.body, "spec", "chart", "spec", "chart")
        reference = get(member.body, "spec", "chartRef")
        source = self._sources.get((word(reference, "kind"), word(reference, "name")))
        url = word(source.body, "spec", "url") if source else ""
        return (direct or url).rstrip("/").rpartition("/")[2]

    # --- how it is filled ---

    def _take(self, member: Member) -> None:
        for kind, namespace, name in self._keys(member):
            self.by_key[kind, namespace, name].append(member)
            self.by_key[kind, "*", name].append(member)
        if member.kind in _PODS:
            self.pods_of[member.namespace].append(member)
        if member.kind == "HelmRelease":
            self.releases[member.namespace].append(member)
        if member.kind in _ROUTES:
            for host in hostnames(member.body):
                self.served[host].append(member)

    def _keys(self, member: Member) -> Iterator[tuple[str, str, str]]:
        if member.remote is not None:
            yield from (("group", "", group) for group in _groups_in_address(member.remote))
            return
        if member.name:
            yield member.kind, member.namespace, member.name
        yield from _made_by(member)
        if member.kind == "HelmRelease":
            yield from _of_chart(member, known_chart(self.chart_of(member)))
        if member.kind == "Kustomization" and member.group.startswith("kustomize.toolkit"):
            # A Kustomization of another repository, such as the CRDs of a project.
            known = known_chart(word(member.body, "spec", "sourceRef", "name"))
            yield from (("group", "", group) for group in known.groups)


def known_chart(name: str) -> Chart:
    return _charts().get(name, Chart())


def named_after(name: str, release: str) -> bool:
    return name == release or name.startswith(f"{release}-")


def release_name(member: Member) -> str:
    return word(member.body, "spec", "releaseName") or member.name


def hostnames(body: Value) -> Iterator[str]:
    """Public names in a route or an ingress; those with wildcards say too little."""
    for keys, value in walk(body):
        if isinstance(value, Text) and keys and keys[-1] in ("hostnames", "host", "dnsName") and "*" not in value:
            yield value.lower()


def _made_by(member: Member) -> Iterator[tuple[str, str, str]]:
    """What controllers make of an object under a name that is known beforehand."""
    namespace, body = member.namespace, member.body
    if member.kind == "CustomResourceDefinition":
        yield "group", "", word(body, "spec", "group")
    elif member.kind in ("ExternalSecret", "ClusterExternalSecret", "SealedSecret"):
        yield "Secret", namespace, word(body, "spec", "target", "name") or member.name
    elif member.kind == "Certificate":
        yield "Secret", namespace, word(body, "spec", "secretName")
    elif member.kind == "Cluster" and member.group == "postgresql.cnpg.io":
        yield from (("Secret", namespace, f"{member.name}-{role}") for role in ("app", "superuser", "ca"))
        yield from (("Service", namespace, f"{member.name}-{end}") for end in ("rw", "ro", "r"))
    elif member.kind in _POOLS:
        yield "pool", "", LOAD_BALANCER


def _of_chart(member: Member, chart: Chart) -> Iterator[tuple[str, str, str]]:
    yield from (("group", "", group) for group in chart.groups)
    for each in chart.classes:
        kind, _, name = each.partition("/")
        yield kind, "", name
    for keys, value in walk(get(member.body, "spec", "values")):
        if isinstance(value, Text) and keys[-1:] == ("name",):
            owner = keys[-2] if len(keys) > 1 else ""
            if owner in ("storageClass", "storageClasses"):
                yield "StorageClass", "", value
            elif owner in ("ingressClassResource", "ingressClass"):
                yield "IngressClass", "", value
            elif owner in ("volumeSnapshotClass", "volumeSnapshotClasses"):
                yield "VolumeSnapshotClass", "", value


def _groups_in_address(address: str) -> Iterator[str]:
    for name, chart in _charts().items():
        if f"/{name}/" in address or f"/{name}?" in address:
            yield from chart.groups


@cache
def _charts() -> Mapping[str, Chart]:
    data: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "charts.yaml").read_text())
    found = {}
    for name, entry in data.items():
        chart = Chart(
            tuple(entry.get("groups", ())), tuple(entry.get("classes", ())), bool(entry.get("fails-closed", False))
        )
        found.update({each: chart for each in (name, *entry.get("also", ()))})
    return found


def in_list(value: Value, *keys: str) -> set[str]:
    """The texts of a list."""
    return {str(item) for item in items(value, *keys) if isinstance(item, Text)}
