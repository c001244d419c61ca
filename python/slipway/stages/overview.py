"""What Flux has made of the repository: stages, apps, sources, backups, and in words why one is not Ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.cluster.cilium import HELM_RELEASES
from slipway.stages import reasons, saving
from slipway.stages.model import Stage
from slipway.stages.reasons import Asked, OfCluster, Reasons
from slipway.stages.repository import SOURCE, kustomizations, stage_of
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.words import line

SOURCES = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "ocirepositories.source.toolkit.fluxcd.io",
    "buckets.source.toolkit.fluxcd.io",
)
LONGEST, ITS_END = 300, 120
"""Characters of a message that a person is shown; of a longer one its end as well, where programs say the cause."""


@dataclass(frozen=True)
class Item:
    """One stage, app, source or backup. `revision` is what it has, of a backup when it was made last; `reasons` are why
    it is not Ready, each of what stands beneath the one before it; none where it is Ready."""

    kind: str
    name: str
    stage: str
    revision: str
    reasons: tuple[str, ...] = ()
    suspended: bool = False

    @property
    def ready(self) -> bool:
        return not self.reasons

    @property
    def why(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "stage": self.stage,
            "revision": self.revision,
            "ready": self.ready,
            "suspended": self.suspended,
            "why": self.why,
        }


@dataclass(frozen=True)
class Overview:
    """All of them: stages first, each with its apps, then sources, then volumes that are saved."""

    items: tuple[Item, ...]

    @property
    def failing(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.ready)

    @property
    def commit(self) -> str:
        """The beginning of the commit that Flux has read, where it reads from Git."""
        return next((item.revision for item in self.items if item.kind == "source" and item.name == SOURCE[1]), "")

    @property
    def summary(self) -> str:
        """`stages 1/3 ready, apps 6/7, sources 4/4 at 0123456789ab`."""
        counts = []
        for kind, words in (("stage", "stages"), ("app", "apps"), ("source", "sources"), ("backup", "backups")):
            of_kind = [item for item in self.items if item.kind == kind]
            if of_kind:
                counts.append(f"{words} {sum(item.ready for item in of_kind)}/{len(of_kind)}")
        at = next((item.revision for item in self.items if item.kind == "source"), "")
        return f"{', '.join(counts)} ready" + (f", at {at}" if at else "") if counts else "no stage yet"

    def to_json(self) -> dict[str, Any]:
        return {"summary": self.summary, "items": [item.to_json() for item in self.items]}


def look(kubeconfig: Kubeconfig) -> Overview:
    """Ask the cluster. Raises CommandFailed and CommandTimedOut where it does not answer."""
    found = kustomizations(kubeconfig)
    sources = [item for kind in SOURCES for item in _everywhere(kubeconfig, kind)]
    releases = _everywhere(kubeconfig, HELM_RELEASES)
    saved = _everywhere(kubeconfig, saving.SOURCES)
    # Only where something is wrong, or a mover may have failed, are pods worth a question.
    wrong = any(map(reasons.condition, (*found, *sources, *releases))) or any(map(saving.at_work, saved))
    pods = _everywhere(kubeconfig, "pods") if wrong else []
    return gather(found, sources, releases, pods, OfCluster(kubeconfig), saved)


def _everywhere(kubeconfig: Kubeconfig, kind: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = kubectl.get(kubeconfig, kind, namespace=kubectl.EVERY).get("items", [])
    return found


def gather(
    kustomizations: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    asked: Asked,
    saved: Sequence[Mapping[str, Any]] = (),
) -> Overview:
    """Pure but for `asked`, which knows more of a pod that is not well."""
    why = Reasons(releases, pods, asked)
    by_name = {each["metadata"]["name"]: each for each in kustomizations}
    items: list[Item] = []
    for stage in Stage:
        if stage in by_name:
            items.append(_item("stage", by_name[stage], stage, _of_itself(by_name[stage])))
        apps = (each for each in kustomizations if stage_of(each) == stage)
        in_order = sorted(apps, key=lambda each: str(each["metadata"]["name"]))
        items += [_item("app", each, stage, why.of(each)) for each in in_order]
    items += [_item("source", each, "", _of_itself(each)) for each in sources]
    items += [_backup(each, saving.trouble(each, pods, asked)) for each in saved]
    return Overview(tuple(items))


def _of_itself(found: Mapping[str, Any]) -> tuple[str, ...]:
    said = reasons.shortened(reasons.condition(found))
    return (said,) if said else ()


def _item(kind: str, found: Mapping[str, Any], stage: str, why: Sequence[str]) -> Item:
    status = found.get("status") or {}
    revision = status.get("lastAppliedRevision") or (status.get("artifact") or {}).get("revision") or ""
    suspended = bool(found["spec"].get("suspend"))
    return Item(kind, found["metadata"]["name"], stage, short(str(revision)), tuple(map(_shown, why)), suspended)


def _backup(source: Mapping[str, Any], why: Sequence[str]) -> Item:
    paused = bool(source["spec"].get("paused"))
    saved = saving.last(source)[:16].replace("T", " ") or ("" if paused else "never saved")
    return Item("backup", saving.name_of(source), "", saved, tuple(map(_shown, why)), paused)


def short(revision: str) -> str:
    """`0123456789ab` of `refs/heads/main@sha1:0123...`, `1.2.3` of `1.2.3@sha256:...`."""
    name, _, digest = revision.partition("@")
    hashed = (digest or name).rpartition(":")[2][:12]
    return hashed if not digest or digest.startswith("sha1:") else name


def _shown(text: str) -> str:
    plain = line(text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - ITS_END]} ... {plain[-ITS_END:]}"
