"""Labels and taints of nodes. k0s gives them when a node registers for the first time, and never again; we do.

What we set is remembered in an annotation of the node, so that what leaves the inventory is taken away, and what
anybody else has set stays.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cluster import live
from slipway.cluster.live import LiveNode
from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.inventory import Host, Inventory
from slipway.result import NO_SENSE, CommandFailed
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig

PHASE = "labels"
SET = "slipway/set"
"""Annotation: {"labels": [key], "taints": [key:Effect]}, what slipway keeps as the inventory has it."""
TRIES = 5
"""Times that a node is read anew because somebody else wrote it in between."""


@dataclass(frozen=True)
class Change:
    """What one node lacks. `labels`: None takes one away; `taints`: the whole list as it shall be, None to leave it;
    `told`: the same for people, one line each."""

    node: str
    labels: Mapping[str, str | None]
    taints: tuple[str, ...] | None
    remember: str | None
    told: tuple[str, ...]

    @property
    def visible(self) -> bool:
        """Whether more changes than what we remember."""
        return bool(self.told)


def changes(inventory: Inventory, nodes: Mapping[str, LiveNode], chosen: Collection[str]) -> dict[str, Change]:
    """What each chosen host that is a node lacks; nothing for those that lack nothing. Pure."""
    hosts = [host for host in inventory.hosts if host.name in chosen and host.runs_workloads and host.name in nodes]
    found = {host.name: change_of(host, nodes[host.name]) for host in hosts}
    return {name: change for name, change in found.items() if change is not None}


def change_of(host: Host, node: LiveNode) -> Change | None:
    before, wanted = _remembered(node), _wanted(host)
    labels: dict[str, str | None] = {k: v for k, v in host.labels.items() if node.labels.get(k) != v}
    labels |= dict.fromkeys(set(before["labels"]) & node.labels.keys() - host.labels.keys())
    gone = set(before["taints"]) - set(wanted["taints"])
    kept = [each for each in node.taints if _key(each) not in {*gone, *wanted["taints"]}]
    taints = (*kept, *host.taints)
    differs = sorted(taints) != sorted(node.taints)
    told = (*_told_labels(labels, node), *(_told_taints(node.taints, taints) if differs else ()))
    remember = json.dumps(wanted, sort_keys=True) if before != wanted else None
    if not told and remember is None:
        return None
    return Change(node.name, labels, taints if differs else None, remember, told)


def apply(inventory: Inventory, secret: Kubeconfig, events: Events, chosen: Collection[str]) -> tuple[Change, ...]:
    """Bring the labels and taints of the chosen nodes to what the inventory says; return what was changed.

    Nobody else's change is lost: each write names the version that it was made from. Raises CommandFailed or
    CommandTimedOut without the API server, DeployFailed for a node that somebody else keeps writing.
    """
    if not any(host.runs_workloads and host.name in chosen for host in inventory.hosts):
        return ()
    done: list[Change] = []
    left: dict[str, Change] = {}
    for _ in range(TRIES):
        nodes = live.read(secret).nodes
        left = changes(inventory, nodes, chosen)
        for change in left.values():
            if _write(secret, change, nodes[change.node]):
                done.append(change)
                if change.visible:
                    events.emit(PHASE, "done", change.node, text="; ".join(change.told))
        if left.keys() <= {change.node for change in done}:
            return tuple(done)
    names = ", ".join(left)
    raise DeployFailed(
        f"{names}: labels and taints: somebody else changes the node all the time", hint="slipway deploy"
    )


def _write(secret: Kubeconfig, change: Change, node: LiveNode) -> bool:
    """Whether it was written; not if the node was changed since it was read."""
    metadata: dict[str, Any] = {"resourceVersion": node.version}
    if change.labels:
        metadata["labels"] = dict(change.labels)
    if change.remember is not None:
        metadata["annotations"] = {SET: change.remember}
    patch: dict[str, Any] = {"metadata": metadata}
    if change.taints is not None:
        patch["spec"] = {"taints": [_taint(each) for each in change.taints]}
    try:
        kubectl.patch(secret, "node", change.node, patch)
    except CommandFailed as error:
        if "the object has been modified" in error.result.stderr:
            return False
        raise
    return True


def _remembered(node: LiveNode) -> dict[str, list[str]]:
    """Somebody may have written anything there; what makes no sense is as good as nothing."""
    try:
        found = json.loads(node.annotations[SET])
        return {kind: [str(each) for each in found[kind]] for kind in ("labels", "taints")}
    except NO_SENSE:
        return {"labels": [], "taints": []}


def _wanted(host: Host) -> dict[str, list[str]]:
    return {"labels": sorted(host.labels), "taints": sorted(_key(each) for each in host.taints)}


def _key(taint: str) -> str:
    """What makes two taints the same one: key and effect (Kubernetes: "unique by key and effect")."""
    left, _, effect = taint.rpartition(":")
    return f"{left.partition('=')[0]}:{effect}"


def _taint(text: str) -> dict[str, str]:
    left, _, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    return {"key": key, **({"value": value} if value else {}), "effect": effect}


def _told_labels(labels: Mapping[str, str | None], node: LiveNode) -> list[str]:
    told = []
    for key, value in sorted(labels.items()):
        before = node.labels.get(key)
        told.append(
            f"label {key}={before} goes" if value is None
            else f"label {key}={value}" if before is None
            else f"label {key}: {before} -> {value}"
        )  # fmt: skip
    return told


def _told_taints(before: Collection[str], after: Collection[str]) -> list[str]:
    gone = [f"taint {each} goes" for each in before if each not in after]
    return [*gone, *(f"taint {each}" for each in after if each not in before)]
