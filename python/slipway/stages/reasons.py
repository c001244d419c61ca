"""Why an app is not Ready, as a person would look for it: Flux's word, the release, the pod, and its last words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.result import CommandFailed, CommandTimedOut
from slipway.stages import readiness
from slipway.stages.bootstrap import FLUX_OWNS
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig

Object = Mapping[str, Any]
LOG_LINES = 3
"""The last lines of a container that does not run."""
MAKES_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod"})
_REVISION = re.compile(r"\S+@sha1:([0-9a-f]{12})[0-9a-f]{28}\b")
_SECONDS = re.compile(r"(\d)\.\d+s\b")
_NO_KIND = re.compile(r'no matches for kind "([^"]+)" in group "([^"]+)"')
"""As Flux says it where it asked for an object's health; with a version it would be about applying it."""
FORGETS = "kubectl --namespace flux-system rollout restart deployment kustomize-controller"


class Asked(Protocol):
    """What is asked of a pod that is not well: its last lines, and the newest warning about it; "" for none.

    And whether the cluster has a kind.
    """

    def words(self, pod: Object) -> str: ...

    def warning(self, pod: Object) -> str: ...

    def has_kind(self, kind: str, group: str) -> bool: ...


@dataclass(frozen=True)
class Reasons:
    """What is not well, from what was asked of the cluster: the releases and pods of all namespaces."""

    releases: Sequence[Object]
    pods: Sequence[Object]
    asked: Asked

    def of(self, app: Object) -> tuple[str, ...]:
        """Each reason a line, from Flux's own down to the pod's; none where the app is Ready."""
        said = shortened(condition(app))
        return tuple(dict.fromkeys((said, *map(shortened, self._beneath(app))))) if said else ()

    def _beneath(self, app: Object) -> Iterator[str]:
        yield from self._forgotten(condition(app))
        for release in self.releases:
            about = release["metadata"]
            if (about.get("labels") or {}).get(FLUX_OWNS) == app["metadata"]["name"]:
                said = condition(release)
                if said:
                    yield f"HelmRelease {about['name']}: {said}"
                yield from self._of_pods([pod for pod in self.pods if _namespace(pod) == about["namespace"]])
        yield from self._of_pods([pod for pod in self.pods if _comes_from(pod, made_by(app))])

    def _forgotten(self, said: str) -> Iterator[str]:
        """Of kinds that came late the controller may not know until it ends (generate/gitops/sources.py, ACCOUNT)."""
        found = _NO_KIND.search(said)
        if found and self.asked.has_kind(*found.groups()):
            yield f"the cluster has the kind {found[1]}, and Flux's list is older: {FORGETS}"

    def _of_pods(self, pods: Sequence[Object]) -> Iterator[str]:
        """Of the first that cannot start, or else ended, or else is not ready: one is enough to begin with."""
        stuck = [pod for pod in pods if readiness.trouble([pod])]
        pod = next(iter((*stuck, *filter(readiness.ended, pods), *filter(readiness.unready, pods))), None)
        if pod is None:
            return
        name, ended = pod["metadata"]["name"], readiness.ended(pod)
        trouble = readiness.trouble([pod])
        yield trouble or f"pod {name}: {ended or readiness.unready(pod)}"
        if trouble and ended and ended not in trouble:
            yield f"pod {name}: {ended}"
        warning = "" if trouble or ended else self.asked.warning(pod)
        if warning:
            yield f"pod {name}: {warning}"
        words = self.asked.words(pod) if ended or not trouble else ""
        if words:
            yield f"pod {name} said last: {words}"


def condition(item: Object) -> str:
    """As `readiness.condition`; of what is under way what it does, which Flux says elsewhere (meta.ReconcilingCondition
    of fluxcd/pkg)."""
    said = readiness.condition(item)
    doing = next((each for each in _conditions(item) if each["type"] == "Reconciling" and each["status"] == "True"), {})
    unknown = any(each["type"] == "Ready" and each["status"] == "Unknown" for each in _conditions(item))
    return f"{doing.get('reason', '')}: {doing['message']}" if said and unknown and doing.get("message") else said


def _conditions(item: Object) -> Sequence[Object]:
    return (item.get("status") or {}).get("conditions") or ()


def shortened(text: str) -> str:
    """Commits by their beginning and whole seconds: `refs/heads/main@sha1:0123...` and `1m0.163878271s` say no more."""
    return _SECONDS.sub(r"\1s", _REVISION.sub(r"\1", text))


def made_by(app: Object) -> frozenset[tuple[str, str]]:
    """Namespace and name of what it has applied that makes pods, from the list that Flux keeps of it: NAMESPACE_NAME_
    GROUP_KIND each (fluxcd/cli-utils, object.ObjMetadata)."""
    entries = ((app.get("status") or {}).get("inventory") or {}).get("entries") or ()
    parts = [str(each.get("id", "")).split("_") for each in entries]
    return frozenset((each[0], each[1]) for each in parts if len(each) == 4 and each[3] in MAKES_PODS)


def _comes_from(pod: Object, makers: frozenset[tuple[str, str]]) -> bool:
    """Pods are named after what made them (`web-0`, `web-65b7b9f779-dql2d`), which a list of pods says without asking
    for more."""
    name = pod["metadata"]["name"]
    return any(_namespace(pod) == place and (name == maker or name.startswith(f"{maker}-")) for place, maker in makers)


def _namespace(pod: Object) -> str:
    return str(pod["metadata"]["namespace"])


@dataclass(frozen=True)
class OfCluster:
    """Asks the cluster itself."""

    kubeconfig: Kubeconfig

    def words(self, pod: Object) -> str:
        """The last lines that its containers wrote before they ended; "" where nobody has them any more."""
        options = [f"--tail={LOG_LINES}", "--all-containers"]
        for previous in (["--previous"], []):
            said = self._said("logs", pod["metadata"]["name"], f"--namespace={_namespace(pod)}", *options, *previous)
            if said:
                return " / ".join(each.strip() for each in said.splitlines()[-LOG_LINES:])
        return ""

    def warning(self, pod: Object) -> str:
        chosen = f"--field-selector=type=Warning,involvedObject.uid={pod['metadata'].get('uid', '')}"
        form = "--output=jsonpath={range .items[*]}{.reason}: {.message}{'\\n'}{end}"
        said = self._said(
            "get", "events", f"--namespace={_namespace(pod)}", chosen, "--sort-by=.metadata.creationTimestamp", form
        )
        return said.splitlines()[-1].strip() if said else ""

    def has_kind(self, kind: str, group: str) -> bool:
        lines = self._said("api-resources", f"--api-group={group}", "--no-headers").splitlines()
        return any(each.split()[-1:] == [kind] for each in lines)

    def _said(self, *words: str) -> str:
        """Nobody is kept from a status by one answer that is missing."""
        try:
            return kubectl.kubectl(self.kubeconfig, *words).stdout.strip()
        except (CommandFailed, CommandTimedOut):
            return ""
