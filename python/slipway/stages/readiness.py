"""Whether objects of the cluster are where they should be, and if not, what is missing. Pure: JSON in, words out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]
WAITS = "DependencyNotReady"
"""Flux's reason for what waits for another app (fluxcd/pkg, apis/meta)."""


def workload(item: Object) -> str:
    """What a Deployment, StatefulSet or DaemonSet still lacks; "" when its newest version is there and ready."""
    name, status = item["metadata"]["name"], item.get("status", {})
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 1):
        return f"{name} not yet seen by its controller"
    if item["kind"] == "DaemonSet":
        wanted, new, ready = "desiredNumberScheduled", "updatedNumberScheduled", "numberReady"
        replicas = status.get(wanted, 0)
    else:
        new, ready = "updatedReplicas", "readyReplicas"
        replicas = item["spec"].get("replicas", 1)
        if replicas == 0:
            return f"{name} scaled to 0"
    there = min(status.get(new, 0), status.get(ready, 0))
    return "" if there >= replicas else f"{name} {there}/{replicas}"


def workloads(items: Iterable[Object]) -> str:
    """The same for several; none at all is not ready either."""
    lacking = [workload(item) for item in items]
    return ", ".join(filter(None, lacking)) if lacking else "no workload yet"


def condition(item: Object, kind: str = "Ready") -> str:
    """What an object with conditions says instead of being Ready for its newest generation; "" when it is."""
    generation = item.get("metadata", {}).get("generation", 1)
    for each in item.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            if each["status"] == "True" and each.get("observedGeneration", generation) >= generation:
                return ""
            return f"{each.get('reason', '')}: {each.get('message', '')}".strip(": ")
    return f"no condition {kind} yet"


def failed(item: Object) -> bool:
    """Whether an object of Flux has come to an end that is no good one: it is not at work, and waits for nobody."""
    ready = (each for each in item.get("status", {}).get("conditions", ()) if each["type"] == "Ready")
    return any(each["status"] == "False" and each.get("reason") != WAITS for each in ready)


def job(item: Object) -> str:
    """What a Job still lacks; "" when it is done. One that has failed says so, and why."""
    if not item:
        return "no Job yet"
    for each in item.get("status", {}).get("conditions", ()):
        if each["type"] in ("Complete", "Failed") and each["status"] == "True":
            return "" if each["type"] == "Complete" else f"failed: {each.get('message', '')}"
    return f"{item['metadata']['name']} at work"


def containers(pod: Object) -> tuple[Object, ...]:
    """The statuses of a pod's containers, those that come first included."""
    status = pod.get("status", {})
    return (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))


def trouble(pods: Iterable[Object]) -> str:
    """The first pod that cannot start and the reason that Kubernetes gives; "" if there is none."""
    for pod in pods:
        for container in containers(pod):
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason", "") not in ("", "PodInitializing", "ContainerCreating"):
                # Of a container that ends again and again Kubernetes says how long it waits, and not how it ended.
                said = _end(container) or waiting.get("message", "")
                return f"pod {pod['metadata']['name']}: {waiting['reason']}: {said}".strip(": ")
        for each in pod.get("status", {}).get("conditions", ()):
            if each["type"] == "PodScheduled" and each["status"] == "False":
                return f"pod {pod['metadata']['name']}: {each.get('reason', '')}: {each.get('message', '')}"
    return ""


def ended(pod: Object) -> str:
    """How a container of it ended that should not have, the first of them; "" if none did."""
    return next(filter(None, (_end(each) for each in containers(pod) if not each.get("ready"))), "")


def _end(container: Object) -> str:
    states = (container.get("state", {}), container.get("lastState", {}))
    last: Object = next((each["terminated"] for each in states if "terminated" in each), {})
    if not last.get("exitCode"):
        return ""
    reason = last.get("reason", "Error")
    why = "" if reason == "Error" else f" ({reason})"
    times = container.get("restartCount", 0)
    again = f", and was started again {times} times" if times > 1 else ""
    return f"container {container.get('name', '')} ended with exit code {last['exitCode']}{why}{again}"


def unready(pod: Object) -> str:
    """What a pod that was given a node says instead of being ready; "" where it is, or has done its work."""
    status = pod.get("status", {})
    if status.get("phase") not in ("Pending", "Running"):
        return ""
    found: Object = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    return (
        "" if found.get("status") != "False" else f"{found.get('reason', '')}: {found.get('message', '')}".strip(": ")
    )
