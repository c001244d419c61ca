"""What Flux has made of the repository: stages, apps, sources, and in words why one of them is not Ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.cluster.cilium import HELM_RELEASES
from slipway.result import CommandFailed, CommandTimedOut
from slipway.stages import readiness
from slipway.stages.bootstrap import FLUX_OWNS
from slipway.stages.model import Stage
from slipway.stages.repository import SOURCE, kustomizations, stage_of
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.words import line

SOURCES = (
    "gitrepositories.source.toolkit.fluxcd.io",
    "ocirepositories.source.toolkit.fluxcd.io",
    "buckets.source.toolkit.fluxcd.io",
)
LOG_LINES = 3
"""The last lines of a container that does not run."""
LONGEST = 300
"""Characters of a message that a person is shown."""


@dataclass(frozen=True)
class Item:
    """One stage, app or source. `revision` is what it has; `why` is "" if it is Ready, else what is wrong, in words."""

    kind: str
    name: str
    stage: str
    revision: str
    why: str = ""
    suspended: bool = False

    @property
    def ready(self) -> bool:
        return not self.why

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
    """All of them: stages first, each with its apps, then sources."""

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
        for kind, words in (("stage", "stages"), ("app", "apps"), ("source", "sources")):
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
    # Only where something is wrong are pods worth a question.
    wrong = any(map(readiness.condition, (*found, *sources, *releases)))
    pods = _everywhere(kubeconfig, "pods") if wrong else []
    return gather(found, sources, releases, pods, lambda pod: last_words(kubeconfig, pod))


def _everywhere(kubeconfig: Kubeconfig, kind: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = kubectl.get(kubeconfig, kind, namespace=kubectl.EVERY).get("items", [])
    return found


def gather(
    kustomizations: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    log: Callable[[Mapping[str, Any]], str],
) -> Overview:
    """Pure but for `log`, which gives the last lines of a pod that does not run."""
    why = _Reasons(releases, pods, log)
    by_name = {each["metadata"]["name"]: each for each in kustomizations}
    items: list[Item] = []
    for stage in Stage:
        if stage in by_name:
            items.append(_item("stage", by_name[stage], stage, readiness.condition(by_name[stage])))
        apps = (each for each in kustomizations if stage_of(each) == stage)
        in_order = sorted(apps, key=lambda each: str(each["metadata"]["name"]))
        items += [_item("app", each, stage, why.of(each)) for each in in_order]
    items += [_item("source", each, "", readiness.condition(each)) for each in sources]
    return Overview(tuple(items))


def _item(kind: str, found: Mapping[str, Any], stage: str, why: str) -> Item:
    status = found.get("status") or {}
    revision = status.get("lastAppliedRevision") or (status.get("artifact") or {}).get("revision") or ""
    suspended = bool(found["spec"].get("suspend"))
    return Item(kind, found["metadata"]["name"], stage, short(str(revision)), _shown(why), suspended)


def short(revision: str) -> str:
    """`0123456789ab` of `refs/heads/main@sha1:0123...`, `1.2.3` of `1.2.3@sha256:...`."""
    name, _, digest = revision.partition("@")
    hashed = (digest or name).rpartition(":")[2][:12]
    return hashed if not digest or digest.startswith("sha1:") else name


def _shown(text: str) -> str:
    plain = line(text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


class _Reasons:
    """Why an app is not Ready: its own condition, and beneath it what a person would look at next."""

    def __init__(
        self,
        releases: Sequence[Mapping[str, Any]],
        pods: Sequence[Mapping[str, Any]],
        log: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self._releases, self._pods, self._log = releases, pods, log

    def of(self, app: Mapping[str, Any]) -> str:
        said = readiness.condition(app)
        return "; ".join([said, *self._beneath(app["metadata"]["name"])]) if said else ""

    def _beneath(self, name: str) -> Iterator[str]:
        for release in self._releases:
            if (release["metadata"].get("labels") or {}).get(FLUX_OWNS) == name:
                said = readiness.condition(release)
                if said:
                    yield f"HelmRelease {release['metadata']['name']}: {said}"
                yield from self._trouble(release["metadata"]["namespace"])

    def _trouble(self, namespace: str) -> Iterator[str]:
        pods = [pod for pod in self._pods if pod["metadata"]["namespace"] == namespace]
        said = readiness.trouble(pods)
        if said:
            yield said
        for pod in filter(crashes, pods):
            words = self._log(pod)
            if words:
                yield f"pod {pod['metadata']['name']} said last: {words}"
                return


def crashes(pod: Mapping[str, Any]) -> bool:
    """Whether a container of it has ended and is started again and again."""
    return any(each.get("restartCount", 0) > 0 and not each.get("ready") for each in readiness.containers(pod))


def last_words(kubeconfig: Kubeconfig, pod: Mapping[str, Any]) -> str:
    """The last lines that its containers wrote before they ended; "" where nobody has them any more."""
    about = pod["metadata"]
    words = ["logs", about["name"], f"--namespace={about['namespace']}", f"--tail={LOG_LINES}", "--all-containers"]
    for previous in (["--previous"], []):
        try:
            said = kubectl.kubectl(kubeconfig, *words, *previous).stdout.strip()
        except (CommandFailed, CommandTimedOut):
            continue
        if said:
            return " / ".join(each.strip() for each in said.splitlines()[-LOG_LINES:])
    return ""
