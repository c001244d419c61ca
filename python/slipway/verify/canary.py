"""Canaries: a pod on every node that runs pods, for as long as a verification runs, so that pods can be seen to reach
each other whatever their network is made of.

Each is a Job of its own, bound to its node: if nobody comes to take it away, Kubernetes itself does, DEADLINE and
LINGER seconds later, after a burn-in by its time later still. It runs the image of the pause container, which is on
every node because every pod needs it.
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from slipway.errors import SlipwayError
from slipway.result import CommandResult
from slipway.ssh.host import Host as Connection
from slipway.wait import WaitedTooLong, wait_until

T = TypeVar("T")

NAMESPACE = "default"
RUN = "slipway.verify/run"
NODE = "slipway.verify/node"
STARTING, ON_BUSY = 30.0, 120.0
"""Seconds for all canaries to run; the longer time on nodes that Kubernetes calls Ready, which may only be busy."""
DEADLINE, LINGER = 600, 60
"""Seconds after which a canary that was left is ended, and its object taken away."""
KUBECTL_BOUND = 20.0


@dataclass(frozen=True)
class Canary:
    """`addresses` of both families once it has them; `state` is its phase, or why there is none."""

    addresses: tuple[str, ...]
    state: str
    since: float = 0.0
    """When all of its run were seen to run, or given up, by the clock here."""

    @property
    def runs(self) -> bool:
        return self.state == "Running" and bool(self.addresses)


Canaries = Mapping[str, Canary]
"""By the name of their node."""


@contextmanager
def placed(controller: Connection, wanted: Collection[str], burn_in: float = 0.0) -> Iterator[Canaries]:
    """A canary on each of `wanted` that the cluster knows, until the block ends.

    Each may live `burn_in` seconds longer, for its part of a burn-in. Raises SlipwayError where the API takes none. One
    that does not run in time has its state instead.
    """
    known, image = _get(controller, "nodes", _nodes)
    names = [name for name in wanted if name in known]
    run, seconds = secrets.token_hex(4), DEADLINE + math.ceil(burn_in)
    try:
        _create(controller, [_job(name, run, number, image, seconds) for number, name in enumerate(names)])
        running = _running(controller, run, names)
        strange = Canary((), "the cluster has no such node")
        yield {name: replace(running.get(name, strange), since=time.time()) for name in wanted}
    finally:
        _take_away(controller, run)


def _take_away(controller: Connection, run: str) -> None:
    """Told to nobody where it fails: Kubernetes takes them away itself, a little later."""
    with contextlib.suppress(SlipwayError):
        _kubectl(controller, f"delete jobs -n {NAMESPACE} -l {RUN}={run} --wait=false")


def _running(controller: Connection, run: str, names: Collection[str]) -> dict[str, Canary]:
    seen = {name: Canary((), "no pod was made") for name in names}

    began = time.monotonic()

    def look() -> tuple[bool | None, str]:
        seen.update(_get(controller, f"pods -n {NAMESPACE} -l {RUN}={run}", _canaries))
        waiting = [name for name in names if not seen[name].runs]
        if waiting and time.monotonic() - began > STARTING:
            waiting = sorted(_get(controller, "nodes", _ready).intersection(waiting))
        return (None if waiting else True), ", ".join(waiting)

    with contextlib.suppress(WaitedTooLong):
        wait_until(look, deadline=ON_BUSY, describe="canaries run")
    return seen


def _canaries(items: list[Any]) -> dict[str, Canary]:
    return {str(pod["metadata"]["labels"][NODE]): _canary(pod["status"]) for pod in items}


def _canary(status: Mapping[str, Any]) -> Canary:
    addresses = tuple(str(each["ip"]) for each in status.get("podIPs", ()))
    states = [each.get("state", {}).get("waiting", {}) for each in status.get("containerStatuses", ())]
    # `ErrImagePull` and the like; `ContainerCreating` while the pod has no network.
    why = next((str(each["reason"]) for each in states if "reason" in each), "")
    return Canary(addresses, why or str(status.get("phase", "Pending")))


def _nodes(items: list[Any]) -> tuple[set[str], str]:
    """The names of all nodes, and the image of the pause container as one of them has it."""
    images = (name for node in items for each in node["status"].get("images", ()) for name in each.get("names") or ())
    image = next((str(name) for name in images if "pause" in name and "@" not in name), "")
    if not image:
        raise SlipwayError("no node says that it has the image of the pause container, which every pod needs")
    return {str(node["metadata"]["name"]) for node in items}, image


def _ready(items: list[Any]) -> set[str]:
    """The names of the nodes that are Ready."""

    def is_so(node: Any) -> bool:  # noqa: ANN401 (JSON of the API)
        conditions = node["status"].get("conditions", ())
        return any((each.get("type"), each.get("status")) == ("Ready", "True") for each in conditions)

    return {str(node["metadata"]["name"]) for node in items if is_so(node)}


def _job(node: str, run: str, number: int, image: str, seconds: int) -> dict[str, Any]:
    """Bound to its node by name: no scheduler is asked, and no taint keeps it away.

    Its own name has the node's number: the name of a node may be as long as that of a Job, a label tells it.
    """
    labels = {RUN: run, NODE: node}
    pod = {
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [
            {
                "name": "canary",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
            }
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"slipway-canary-{run}-{number}", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": LINGER,
            "backoffLimit": 0,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _create(controller: Connection, jobs: list[dict[str, Any]]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": jobs}
    if jobs:  # kubectl takes no empty list
        _kubectl(controller, "create -f -", json.dumps(listed).encode())


def _get(controller: Connection, what: str, reader: Callable[[list[Any]], T]) -> T:
    with _kubectl(controller, f"get {what} -o json").read() as said:
        return reader(json.loads(said)["items"])


def _kubectl(controller: Connection, words: str, content: bytes | None = None) -> CommandResult:
    return controller.run(["sh", "-c", f"k0s kubectl {words}"], input=content, timeout=KUBECTL_BOUND)
