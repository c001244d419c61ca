"""`make schemas`: JSON schemas of the kinds that the stages use, from the Go modules that define them.

For each kind one file in tests/data/schemas, without descriptions and closed: a key that the kind does not have is an
error. CRDs come from the modules' own files, Kubernetes's kinds from its OpenAPI description. Needs go, and Go's module
proxy or a filled module cache; the tests need neither.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).parents[1] / "data" / "schemas"
Schema = dict[str, Any]


@dataclass(frozen=True)
class Module:
    """A Go module at a release, where in it CRDs lie, and which kinds of theirs are used."""

    path: str
    version: str
    files: str
    kinds: tuple[str, ...]


MODULES = (
    Module("github.com/fluxcd/source-controller", "v1.7.3", "config/crd/bases/*.yaml",
           ("GitRepository", "OCIRepository", "HelmRepository", "Bucket")),
    Module("github.com/fluxcd/kustomize-controller", "v1.7.2", "config/crd/bases/*.yaml", ("Kustomization",)),
    Module("github.com/fluxcd/helm-controller", "v1.4.3", "config/crd/bases/*.yaml", ("HelmRelease",)),
    Module("github.com/fluxcd/notification-controller", "v1.9.3", "config/crd/bases/*.yaml", ("Receiver",)),
    Module("github.com/controlplaneio-fluxcd/flux-operator", "v0.58.1", "config/crd/bases/*.yaml", ("FluxInstance",)),
    Module("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases/external-secrets.io_*.yaml",
           ("ExternalSecret", "ClusterSecretStore")),
    Module("github.com/backube/volsync", "v0.16.0", "config/crd/bases/*.yaml",
           ("ReplicationSource", "ReplicationDestination")),
    Module("sigs.k8s.io/gateway-api", "v1.6.1", "config/crd/standard/*.yaml", ("Gateway", "GatewayClass", "HTTPRoute")),
    Module("github.com/cilium/cilium", "v1.20.1", "pkg/k8s/apis/cilium.io/client/crds/v2*/*.yaml",
           ("CiliumNetworkPolicy", "CiliumLoadBalancerIPPool", "CiliumL2AnnouncementPolicy")),
    Module("github.com/cert-manager/cert-manager", "v1.21.1", "deploy/crds/*.yaml", ("ClusterIssuer",)),
    Module("github.com/cloudnative-pg/cloudnative-pg", "v1.29.0", "config/crd/bases/*.yaml", ("Cluster",)),
)  # fmt: skip
KUBERNETES = "v1.36.3"
CORE = (
    "v1/Namespace", "v1/Service", "v1/ServiceAccount", "v1/PersistentVolume", "v1/PersistentVolumeClaim",
    "apps/v1/Deployment", "apps/v1/StatefulSet", "batch/v1/Job", "batch/v1/CronJob",
    "networking.k8s.io/v1/NetworkPolicy", "rbac.authorization.k8s.io/v1/Role",
    "rbac.authorization.k8s.io/v1/RoleBinding",
    "rbac.authorization.k8s.io/v1/ClusterRole", "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
    "storage.k8s.io/v1/StorageClass",
)  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """A chart whose module brings the schema of its values."""

    name: str
    path: str
    version: str
    file: str


CHARTS = (
    Chart("cilium", "github.com/cilium/cilium", "v1.20.1", "install/kubernetes/cilium/values.schema.json"),
    Chart("cert-manager", "github.com/cert-manager/cert-manager", "v1.21.1",
          "deploy/charts/cert-manager/values.schema.json"),
    Chart("external-secrets", "github.com/external-secrets/external-secrets", "v1.3.2",
          "deploy/charts/external-secrets/values.schema.json"),
)  # fmt: skip


def folder(path: str, version: str) -> Path:
    """The module's files, downloaded if need be."""
    argv = ["go", "mod", "download", "-json", f"{path}@{version}"]
    done = subprocess.run(argv, capture_output=True, check=True, cwd="/", env={**os.environ, "GOFLAGS": "-mod=mod"})
    return Path(json.loads(done.stdout)["Dir"])


def custom(module: Module) -> Iterator[tuple[str, Schema]]:
    """`group/version/Kind` and its schema, for the served versions of the kinds that are used."""
    for path in sorted(folder(module.path, module.version).glob(module.files)):
        for crd in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            spec = (crd or {}).get("spec", {})
            if spec.get("names", {}).get("kind") not in module.kinds:
                continue
            for version in spec["versions"]:
                if version["served"] and not version.get("deprecated"):
                    name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
                    yield name, closed(version["schema"]["openAPIV3Schema"])


def values(chart: Chart) -> Schema:
    """What the chart takes as values; the schemas themselves have a place for unknown keys and unknown words."""
    file = folder(chart.path, chart.version) / chart.file
    found = json.loads(file.read_text())
    made = closed(inlined(found, found.get("$defs", {}), ()))
    documented = file.with_name("values.yaml").read_text()
    for key, words in choices(documented):
        made["properties"][key]["enum"] = words
    return made


def choices(documented: str) -> Iterator[tuple[str, list[str]]]:
    """The keys of the first level whose words the comments of a values.yaml list, as Cilium's do, with those words and
    with the empty one, which leaves the choice to the chart."""
    comment = r"^# Possible values:\n((?:# +- .*\n)+)(?:#.*\n)*(\w+):"
    for found in re.finditer(comment, documented, re.MULTILINE):
        yield found[2], sorted({"", *re.findall(r'- "?(\w*)', found[1])})


def core() -> Iterator[tuple[str, Schema]]:
    described = json.loads((folder("k8s.io/kubernetes", KUBERNETES) / "api/openapi-spec/swagger.json").read_text())
    definitions = described["definitions"]
    for definition in definitions.values():
        for named in definition.get("x-kubernetes-group-version-kind", ()):
            name = "/".join(filter(None, (named["group"], named["version"], named["kind"])))
            if name in CORE:
                yield name, closed(inlined(definition, definitions, ()))


def inlined(schema: Schema, definitions: dict[str, Schema], above: tuple[str, ...]) -> Schema:
    """With the definitions in the place of their references; what holds itself is anything."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {} if name in above else inlined(definitions[name], definitions, (*above, name))
    made = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: inlined(each, definitions, above) for name, each in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            made[key] = inlined(value, definitions, above)
        else:
            made[key] = value
    return made


KEPT = ("type", "required", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
        "oneOf", "anyOf", "allOf", "not")  # fmt: skip


def closed(schema: Schema) -> Schema:
    """Without words, and without a place for unknown keys."""
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    made: Schema = {key: schema[key] for key in KEPT if key in schema}
    if schema.get("format") == "quantity":
        made.pop("type", None)
    if schema.get("nullable") and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if "properties" in schema:
        made["properties"] = {name: closed(each) for name, each in schema["properties"].items() if name != "status"}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("additionalProperties"):
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            made[key] = closed(schema[key])
    return made


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    found = dict(core()) | {name: schema for module in MODULES for name, schema in custom(module)}
    for name, schema in sorted(found.items()):
        properties = schema.setdefault("properties", {})
        properties["metadata"] = {"type": "object"}
        properties.setdefault("apiVersion", {"type": "string"})
        properties.setdefault("kind", {"type": "string"})
        write(name, schema)
    for chart in CHARTS:
        write(f"chart/{chart.name}", values(chart))


def write(name: str, schema: Schema) -> None:
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    (TARGET / f"{name.replace('/', '_')}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
