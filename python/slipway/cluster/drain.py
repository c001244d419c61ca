"""Taking the pods off a node before its k0s or its machine restarts, and letting them come back.

What slipway cordons carries an annotation, so that a later run knows whose the cordon is: what somebody else has
cordoned stays so. Pods go through the eviction API, which respects PodDisruptionBudgets (Kubernetes, "API-initiated
Eviction").
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from slipway.cluster.members import last_line
from slipway.errors import DeployFailed, SlipwayError
from slipway.events import Events
from slipway.inventory.model import Drain
from slipway.result import NO_SENSE, CommandFailed, CommandTimedOut, OddAnswer
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig

PHASE = "drain"
OURS = "slipway/cordoned"
"""Annotation of a node that slipway has cordoned."""
ATTEMPT = 10.0
"""Seconds of one call of kubectl: after each we see who holds it up."""
PAUSE = 1.0
"""Seconds between two of them, where kubectl refuses at once."""
MOST_NAMED = 5
MIRROR = "kubernetes.io/config.mirror"

Object = Mapping[str, Any]


class DrainStuck(DeployFailed):
    """Pods do not leave a node; nothing was changed there, and the pods are named."""


class Abandoned(Exception):
    """Whoever asked for it does not want it any more."""


def cordon(kubeconfig: Kubeconfig, name: str) -> bool:
    """Keep new pods away; whether slipway is who did, now or in an earlier run. Raises CommandFailed."""
    node = kubectl.get(kubeconfig, "nodes", name)
    with _understood("nodes", node):
        if node["spec"].get("unschedulable"):
            return OURS in node["metadata"].get("annotations", {})
    _patch(kubeconfig, name, unschedulable=True, mark="true")
    return True


def uncordon(kubeconfig: Kubeconfig, name: str) -> None:
    """Undo `cordon`."""
    _patch(kubeconfig, name, unschedulable=None, mark=None)


def left_cordoned(kubeconfig: Kubeconfig, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these nodes slipway has cordoned and not let back yet."""
    items = kubectl.get(kubeconfig, "nodes").get("items", [])
    with _understood("nodes", items):
        ours = {str(n["metadata"]["name"]) for n in items if OURS in n["metadata"].get("annotations", {})}
    return tuple(name for name in names if name in ours)


def _patch(kubeconfig: Kubeconfig, name: str, *, unschedulable: bool | None, mark: str | None) -> None:
    """Both at once: there is no cordon of which nobody knows whose it is."""
    change = {"spec": {"unschedulable": unschedulable}, "metadata": {"annotations": {OURS: mark}}}
    kubectl.kubectl(kubeconfig, "patch", "node", name, "--type=merge", f"--patch={json.dumps(change)}")


def empty(
    kubeconfig: Kubeconfig,
    name: str,
    settings: Drain,
    events: Events,
    *,
    given_up: Callable[[], bool] = lambda: False,
    anew: Callable[[], Kubeconfig] | None = None,
    command: str = "slipway deploy",
) -> bool:
    """Cordon and drain the node; whether slipway cordoned it. Where the pods do not leave, it is let back, by what
    `anew` gives: the controller that was asked first may not answer any more. `command` is what somebody has typed.

    Raises DrainStuck, Abandoned, or what keeps the cluster from being asked.
    """
    ours = cordon(kubeconfig, name)
    events.emit(PHASE, "started", name)
    try:
        drain(kubeconfig, name, settings, lambda text: _say(events, name, text), given_up, command)
    except BaseException:
        if ours:
            release(anew or (lambda: kubeconfig), name, events)
        raise
    events.emit(PHASE, "done", name)
    return ours


def _say(events: Events, name: str, text: str) -> None:
    events.emit(PHASE, "progress", name, text=text)


def release(kubeconfig: Callable[[], Kubeconfig], name: str, events: Events) -> bool:
    """Undo `cordon`; whether that could be done. Where not, it is told and not raised: what it would hide is graver."""
    try:
        uncordon(kubeconfig(), name)
    except SlipwayError as error:
        events.emit("uncordon", "failed", name, text=f"stays cordoned: {error}")
        return False
    events.emit("uncordon", "done", name)
    return True


def drain(
    kubeconfig: Kubeconfig,
    name: str,
    settings: Drain,
    say: Callable[[str], None],
    given_up: Callable[[], bool],
    command: str = "slipway deploy",
) -> None:
    """Evict the pods of a node and wait until they are gone, at most `settings.timeout` seconds.

    Pods of DaemonSets stay; what lies in an emptyDir goes with its pod. Raises DrainStuck, with the pods that are left
    and why; Abandoned once `given_up` is true.
    """
    grace = [] if settings.grace is None else [f"--grace-period={settings.grace:.0f}"]
    words = ["drain", name, "--ignore-daemonsets", "--delete-emptydir-data", *grace]
    end, waits = time.monotonic() + settings.timeout, "the API server"
    while (left := end - time.monotonic()) > 0:
        if given_up():
            raise Abandoned
        trouble = _attempt(kubeconfig, [*words, f"--timeout={min(ATTEMPT, max(1.0, left)):.0f}s"])
        if not trouble:
            return
        waits = "; ".join(blockers(kubeconfig, name)) or trouble
        say(f"drain waits for {waits}")
        time.sleep(PAUSE)
    raise DrainStuck(
        f"{name}: drain waits for {waits}; not drained after {settings.timeout:g} s, nothing was changed",
        hint=f"make room for what it waits for, or without a drain: {command} --no-drain {name}",
    )


def _attempt(kubeconfig: Kubeconfig, words: list[str]) -> str:
    """What went wrong, in kubectl's words; empty if nothing did."""
    try:
        kubectl.kubectl(kubeconfig, *words)
    except (CommandFailed, CommandTimedOut) as error:
        return last_line(error)
    return ""


def blockers(kubeconfig: Kubeconfig, name: str) -> tuple[str, ...]:
    """The pods that keep a node from being drained, `namespace/pod: why`; those that say most come first."""
    try:
        pods = _list(kubeconfig, "pods", f"--field-selector=spec.nodeName={name}")
        budgets = _list(kubeconfig, "poddisruptionbudgets")
    except (CommandFailed, CommandTimedOut):
        return ()
    with _understood("pods", pods):
        found = sorted((_why(pod, budgets), _title(pod)) for pod in pods if _has_to_go(pod))
    told = [f"{title}: {why}" for why, title in found[:MOST_NAMED]]
    return (*told, f"{len(found) - MOST_NAMED} more") if len(found) > MOST_NAMED else tuple(told)


def _list(kubeconfig: Kubeconfig, kind: str, *words: str) -> list[Object]:
    said = kubectl.kubectl(kubeconfig, "get", kind, "--all-namespaces", "--output=json", *words)
    with said.read() as text:
        items: list[Object] = json.loads(text)["items"]
        return items


def _title(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _has_to_go(pod: Object) -> bool:
    about = pod["metadata"]
    stays = MIRROR in about.get("annotations", {}) or any(o["kind"] == "DaemonSet" for o in _owners(pod))
    return not stays and pod["status"].get("phase") not in ("Succeeded", "Failed")


def _owners(pod: Object) -> list[Object]:
    return [owner for owner in pod["metadata"].get("ownerReferences", ()) if owner.get("controller")]


def _why(pod: Object, budgets: Iterable[Object]) -> str:
    shut = [b["metadata"]["name"] for b in budgets if _covers(b, pod) and not b["status"].get("disruptionsAllowed")]
    if pod["metadata"].get("deletionTimestamp"):
        return "is still ending"
    if not _owners(pod):
        return "has no controller that would start it elsewhere; delete it if it may go"
    if shut:
        return f"PodDisruptionBudget {shut[0]} allows no disruption"
    return "is still there"


def _covers(budget: Object, pod: Object) -> bool:
    if budget["metadata"]["namespace"] != pod["metadata"]["namespace"]:
        return False
    labels, selector = pod["metadata"].get("labels", {}), budget["spec"].get("selector") or {}
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return plain and all(_holds(rule, labels) for rule in selector.get("matchExpressions", ()))


def _holds(rule: Object, labels: Mapping[str, str]) -> bool:
    """One requirement of a label selector (Kubernetes, "Labels and Selectors")."""
    key, values = rule["key"], rule.get("values", ())
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


@contextmanager
def _understood(kind: str, answer: object) -> Iterator[None]:
    """What does not fit within the block is the API server's OddAnswer."""
    try:
        yield
    except NO_SENSE as error:
        why = f"{type(error).__name__}: {error}"
        raise OddAnswer("the API server", f"kubectl get {kind}", str(answer), why) from error
