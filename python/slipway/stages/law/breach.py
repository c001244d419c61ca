"""What the law forbids, rule by rule, and one breach of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, order=True)
class Place:
    """`file` relative to the repository; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "line": self.line, "column": self.column}


class Rule(StrEnum):
    """The ids by which breaches are told; they stay what they are once published."""

    NAMESPACE = "namespace"
    REFERENCE = "reference"
    CRD = "crd"
    DEPENDS_ON = "depends-on"
    SOURCE = "source"
    STORE = "store"
    ROUTE = "route"
    CLASS = "class"
    SUBSTITUTE = "substitute-from"
    SERVICE_DNS = "service-dns"
    SERVICE_NAME = "service-name"
    PUBLIC_NAME = "public-name"
    WEBHOOK = "webhook"
    READINESS = "readiness"
    ORDER = "order"
    CYCLE = "cycle"


@dataclass(frozen=True)
class Meaning:
    """`text` says what the rule forbids, `fix` what usually helps."""

    text: str
    fix: str


_EARLIER = "move it to the same stage or an earlier one, or move what leans on it to the later stage"

RULES: dict[Rule, Meaning] = {
    Rule.NAMESPACE: Meaning("An object lies in a namespace that a later stage creates.", _EARLIER),
    Rule.REFERENCE: Meaning("An object names a Secret, ConfigMap or the like that a later stage brings.", _EARLIER),
    Rule.CRD: Meaning(
        "An object is of a kind, or a chart is asked for one, whose CRD a later stage installs.",
        "install the CRDs alone in an app of an earlier stage, or move the object to the later stage",
    ),
    Rule.DEPENDS_ON: Meaning("A dependsOn of Flux names something of a later stage: it would wait for ever.", _EARLIER),
    Rule.SOURCE: Meaning(
        "A chart, an image or a repository comes from a source that a later stage brings or serves.",
        "take it from where it is served without this cluster, or serve it from an earlier stage",
    ),
    Rule.STORE: Meaning(
        "An external secret reads a store that a later stage brings.",
        "use a store of an earlier stage, or a SOPS Secret for what is needed before the store is there",
    ),
    Rule.ROUTE: Meaning(
        "A route, an ingress or a gateway leans on a Gateway, a class or a Service of a later stage.",
        "move the route to the later stage, beside what exposes it",
    ),
    Rule.CLASS: Meaning("A storage, snapshot, priority, runtime or issuer class comes with a later stage.", _EARLIER),
    Rule.SUBSTITUTE: Meaning("Variables are substituted from an object that a later stage brings.", _EARLIER),
    Rule.SERVICE_DNS: Meaning("The DNS name of a Service of a later stage stands in a value.", _EARLIER),
    Rule.SERVICE_NAME: Meaning("A Service of a later stage is named as namespace/name or name.namespace.", _EARLIER),
    Rule.PUBLIC_NAME: Meaning(
        "A public name is used that only a route of a later stage serves.",
        "use the Service's own name inside the cluster",
    ),
    Rule.WEBHOOK: Meaning(
        "An admission webhook of a later stage fails closed and matches what earlier stages apply.",
        "exclude the earlier stages' namespaces by namespaceSelector, or let it fail open (failurePolicy: Ignore)",
    ),
    Rule.READINESS: Meaning(
        "Something is waited for that only a later stage can make ready.",
        "drop the health check, or bring what it needs in the same stage or an earlier one",
    ),
    Rule.ORDER: Meaning(
        "Two apps of one stage lean on each other without a dependsOn that says which comes first.",
        "add the other one's Flux Kustomization to dependsOn",
    ),
    Rule.CYCLE: Meaning("Kustomizations or HelmReleases wait for each other in a circle.", "take one dependsOn out"),
}


@dataclass(frozen=True, order=True)
class Breach:
    """`place` is where the law is broken, `leans_on` where the other party stands, in the stage `later`."""

    place: Place
    rule: Rule
    message: str
    stage: str
    later: str
    leans_on: Place | None = None
    app: str = ""
    other_app: str = ""

    def __str__(self) -> str:
        where = f" ({self.leans_on})" if self.leans_on else ""
        return f"{self.place}: {self.rule}: {self.message}{where}"

    def to_json(self) -> dict[str, Any]:
        return {
            **self.place.to_json(),
            "rule": self.rule.value,
            "message": self.message,
            "stage": self.stage,
            "app": self.app,
            "leansOn": {
                "stage": self.later,
                "app": self.other_app,
                "place": self.leans_on.to_json() if self.leans_on else None,
            },
            "fix": RULES[self.rule].fix,
        }
