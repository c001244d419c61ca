"""The cache volumes of VolSync's movers: what restic has looked up of its repository, and looks up again without them.

The storage of the stages keeps the volume of a claim that goes, since it may hold data. A cache's claim goes with its
ReplicationSource, by Kubernetes's own collection of garbage; its volume is told to go with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig

VOLUMES, CLAIMS = "persistentvolumes", "persistentvolumeclaims"
OWNERS = ("ReplicationSource", "ReplicationDestination")
NAMES = ("volsync-src-{}-cache", "volsync-dst-{}-cache", "volsync-{}-cache")
"""Of the claim, by the name of its owner (VolSync, internal/controller/mover/restic/mover.go, ensureCache)."""

Object = Mapping[str, Any]


def let_go(kubeconfig: Kubeconfig) -> tuple[str, ...]:
    """Have the volume of each cache go when its claim does; the names of these volumes."""
    claims, volumes = _all(kubeconfig, CLAIMS), _all(kubeconfig, VOLUMES)
    names = held(claims, volumes)
    for name in names:
        kubectl.patch(kubeconfig, VOLUMES, name, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    return names


def left(kubeconfig: Kubeconfig, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the volumes that are still there."""
    there = {volume["metadata"]["name"] for volume in _all(kubeconfig, VOLUMES)} if names else set()
    return tuple(name for name in names if name in there)


def held(claims: Sequence[Object], volumes: Sequence[Object]) -> tuple[str, ...]:
    """The volumes of caches. Pure: a claim is one by its owner and by the name that VolSync gives it, and a volume is
    its if both say so; a claim that somebody else made is none, whatever it is called."""
    by_uid = {claim["metadata"]["uid"]: claim for claim in claims if _is_cache(claim)}
    found = ((volume, by_uid.get(volume["spec"].get("claimRef", {}).get("uid"))) for volume in volumes)
    return tuple(
        volume["metadata"]["name"]
        for volume, claim in found
        if claim and claim["spec"].get("volumeName") == volume["metadata"]["name"]
    )


def _is_cache(claim: Object) -> bool:
    owners = [
        owner
        for owner in claim["metadata"].get("ownerReferences", ())
        if owner["kind"] in OWNERS and owner["apiVersion"].startswith("volsync.backube/") and owner.get("controller")
    ]
    return any(claim["metadata"]["name"] == form.format(owner["name"]) for owner in owners for form in NAMES)


def _all(kubeconfig: Kubeconfig, kind: str) -> Sequence[Object]:
    items: Sequence[Object] = kubectl.get(kubeconfig, kind, namespace=kubectl.EVERY).get("items", ())
    return items
