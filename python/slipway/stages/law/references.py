"""What an object leans on by name: read by the keys that Kubernetes, Flux and well-known charts use for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.stages.law.breach import Rule
from slipway.stages.law.text import Text, Value, get, walk, word
from slipway.stages.law.tree import Member, cluster_wide


@dataclass(frozen=True)
class Reference:
    """`at` is the text that names the target; kind "group" means an API group, which a CRD brings."""

    rule: Rule
    kind: str
    namespace: str
    name: str
    at: Text
    text: str

    @property
    def target(self) -> str:
        if self.kind == "group":
            return f"the kinds of {self.name}"
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


_NAMED_BY_TEXT: dict[str, tuple[Rule, str]] = {
    "secretName": (Rule.REFERENCE, "Secret"),
    "existingSecret": (Rule.REFERENCE, "Secret"),
    "pullSecret": (Rule.REFERENCE, "Secret"),
    "existingConfigMap": (Rule.REFERENCE, "ConfigMap"),
    "claimName": (Rule.REFERENCE, "PersistentVolumeClaim"),
    "existingClaim": (Rule.REFERENCE, "PersistentVolumeClaim"),
    "serviceAccountName": (Rule.REFERENCE, "ServiceAccount"),
    "storageClassName": (Rule.CLASS, "StorageClass"),
    "storageClass": (Rule.CLASS, "StorageClass"),
    "cacheStorageClassName": (Rule.CLASS, "StorageClass"),
    "volumeSnapshotClassName": (Rule.CLASS, "VolumeSnapshotClass"),
    "priorityClassName": (Rule.CLASS, "PriorityClass"),
    "runtimeClassName": (Rule.CLASS, "RuntimeClass"),
    "gatewayClassName": (Rule.ROUTE, "GatewayClass"),
    "ingressClassName": (Rule.ROUTE, "IngressClass"),
    "kubernetes.io/ingress.class": (Rule.ROUTE, "IngressClass"),
    "cert-manager.io/cluster-issuer": (Rule.CLASS, "ClusterIssuer"),
    "cert-manager.io/issuer": (Rule.CLASS, "Issuer"),
}
"""Keys whose text is the name itself."""

_NAMED_BY_OBJECT: dict[str, tuple[Rule, str]] = {
    "secretRef": (Rule.REFERENCE, "Secret"),
    "secretKeyRef": (Rule.REFERENCE, "Secret"),
    "passwordSecretRef": (Rule.REFERENCE, "Secret"),
    "certSecretRef": (Rule.REFERENCE, "Secret"),
    "configMapRef": (Rule.REFERENCE, "ConfigMap"),
    "configMapKeyRef": (Rule.REFERENCE, "ConfigMap"),
    "configMap": (Rule.REFERENCE, "ConfigMap"),
    "imagePullSecrets": (Rule.REFERENCE, "Secret"),
    "certificateRefs": (Rule.ROUTE, "Secret"),
    "serviceAccountRef": (Rule.REFERENCE, "ServiceAccount"),
    "providerRef": (Rule.REFERENCE, "Provider"),
    "parentRefs": (Rule.ROUTE, "Gateway"),
    "backendRefs": (Rule.ROUTE, "Service"),
    "storeRef": (Rule.STORE, "SecretStore"),
    "secretStoreRef": (Rule.STORE, "SecretStore"),
    "secretStoreRefs": (Rule.STORE, "SecretStore"),
    "issuerRef": (Rule.CLASS, "Issuer"),
    "sourceRef": (Rule.SOURCE, "GitRepository"),
    "chartRef": (Rule.SOURCE, "OCIRepository"),
    "substituteFrom": (Rule.SUBSTITUTE, "ConfigMap"),
    "healthChecks": (Rule.READINESS, ""),
    "roleRef": (Rule.REFERENCE, "Role"),
    "dataSource": (Rule.REFERENCE, "PersistentVolumeClaim"),
    "dataSourceRef": (Rule.REFERENCE, "PersistentVolumeClaim"),
}
"""Keys of a mapping, or a list of mappings, with `name` and perhaps `kind` and `namespace`; with the default kind."""

_SWITCHES: dict[str, str] = {
    "serviceMonitor": "monitoring.coreos.com",
    "podMonitor": "monitoring.coreos.com",
    "prometheusRule": "monitoring.coreos.com",
    "httpRoute": "gateway.networking.k8s.io",
    "certManager": "cert-manager.io",
    "certmanager": "cert-manager.io",
}
"""Values of charts whose `enabled: true` makes the chart write objects of that API group."""

_MOVERS = frozenset(("restic", "kopia", "rclone"))
"""VolSync's movers, whose `repository` is the name of a Secret."""

_LOOSE = frozenset(("subjects", "eventSources", "target", "ownerReferences", "involvedObject", "from", "to"))
"""Keys of mappings with kind and name that wait for nothing: what they name may come any time later."""

_OUTPUTS = {"Certificate": ("secretName",)}
"""Keys that name what an object makes, not what it needs."""

_OWN_GROUPS = frozenset(("", "apps", "batch", "autoscaling", "policy", "kustomize.config.k8s.io"))


def of(member: Member) -> Iterator[Reference]:
    """Everything that a member names; where it names nothing in particular there is nothing to break."""
    if member.patch and not member.kind:
        body: Any = member.body
    else:
        body = {key: value for key, value in member.body.items() if key not in ("kind", "sops", "status")}
        yield from _own(member)
    for keys, value in walk(body):
        key = keys[-1] if keys else ""
        if isinstance(value, Text):
            yield from _by_text(member, keys, value)
        elif isinstance(value, dict):
            yield from _by_object(member, key, value)
            yield from _by_switch(keys, value)


def _own(member: Member) -> Iterator[Reference]:
    """Its namespace and its kind."""
    if member.namespace:
        at = get(member.body, "metadata", "namespace") or get(member.body, "metadata", "name")
        if isinstance(at, Text):
            yield Reference(Rule.NAMESPACE, "Namespace", "", member.namespace, at, "lies in")
    kind = get(member.body, "kind")
    if isinstance(kind, Text) and not _built_in(member.group):
        yield Reference(Rule.CRD, "group", "", member.group, kind, "is one of")


def _built_in(group: str) -> bool:
    """Groups that the API server has without a CRD. Those of Kubernetes' own projects that are CRDs are not."""
    return group in _OWN_GROUPS or group in (
        "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io", "scheduling.k8s.io", "node.k8s.io",
        "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "certificates.k8s.io",
        "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io",
        "authentication.k8s.io", "authorization.k8s.io", "resource.k8s.io",
    )  # fmt: skip


def _by_text(member: Member, keys: tuple[str, ...], value: Text) -> Iterator[Reference]:
    key = keys[-1] if keys else ""
    if not value or value in ("null", "~") or key in _OUTPUTS.get(member.kind, ()):
        return
    if key in _NAMED_BY_TEXT:
        rule, kind = _NAMED_BY_TEXT[key]
        yield Reference(rule, kind, "" if cluster_wide(kind) else member.namespace, value, value, "names")
    elif key == "imagePullSecrets" or (key == "repository" and keys[-2] in _MOVERS):
        yield Reference(Rule.REFERENCE, "Secret", member.namespace, value, value, "names")


def _by_object(member: Member, key: str, value: dict[Text, Value]) -> Iterator[Reference]:
    name = get(value, "name")
    if not isinstance(name, Text) or not name:
        return
    if key == "dependsOn":
        namespace = word(value, "namespace") or member.namespace
        yield Reference(Rule.DEPENDS_ON, member.kind, namespace, name, name, "depends on")
        return
    known = None if key in _LOOSE else _NAMED_BY_OBJECT.get(key)
    if known is None and not (key not in _LOOSE and word(value, "kind") and _only_points(value)):
        yield from _service(member, key, value)
        return
    rule, default = known or (Rule.REFERENCE, "")
    kind = word(value, "kind") or default
    namespace = "" if cluster_wide(kind) else word(value, "namespace") or member.namespace
    if kind:
        yield Reference(rule, kind, namespace, name, name, "waits for" if rule is Rule.READINESS else "names")


def _only_points(value: dict[Text, Value]) -> bool:
    """Whether a mapping with kind and name only points at something, and is no object itself."""
    return "metadata" not in value and "spec" not in value and "apiGroups" not in value


def _service(member: Member, key: str, value: dict[Text, Value]) -> Iterator[Reference]:
    """Services of ingresses, API services and webhooks' configurations."""
    name = get(value, "name")
    if key == "service" and isinstance(name, Text) and member.kind in ("Ingress", "APIService"):
        rule = Rule.ROUTE if member.kind == "Ingress" else Rule.REFERENCE
        yield Reference(rule, "Service", word(value, "namespace") or member.namespace, name, name, "names")


def _by_switch(keys: tuple[str, ...], value: dict[Text, Value]) -> Iterator[Reference]:
    """A chart that is told to write objects of a kind."""
    group = _SWITCHES.get(keys[-1]) if keys and "values" in keys else None
    enabled = get(value, "enabled")
    if group and isinstance(enabled, Text) and enabled == "true":
        yield Reference(Rule.CRD, "group", "", group, enabled, f"has {keys[-1]} enabled, which needs")
