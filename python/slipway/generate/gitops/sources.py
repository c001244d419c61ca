"""Where Flux finds the repository: what the FluxInstance syncs from, and what its Kustomizations have for a source."""

from __future__ import annotations

from typing import Any

from slipway.generate.gitops import apps
from slipway.inventory import Inventory

READER = "git-reader"
"""Secret of flux-system, and of the Git server, with the user that may read and nothing else."""
NAME = "flux-system"
"""Of the source and of the root Kustomization that flux-operator makes."""
PATH = "gitops/flux"
ACCOUNT = "kustomize-controller"
"""Whom an app's Kustomization acts as: the controller itself, and named all the same.

Without a name kustomize-controller asks for the health of all apps with one list of the API's kinds, in which a group
keeps the versions that it had when it was first seen. External Secrets has kinds at v1alpha1 and kinds at v1: seen in
the moment in which the first are there, its group is without v1 until the controller ends ("no matches for kind"). With
a name each reconciliation has a list of its own (Flux, kustomization_controller.go, getClientAndPoller; pkg/runtime,
client/impersonator.go; controller-runtime, apiutil/restmapper.go)."""
KINDS = {"git-server": "GitRepository", "git": "GitRepository", "oci": "OCIRepository", "bucket": "Bucket"}


def kind(inventory: Inventory) -> str:
    return KINDS[inventory.stages.source.kind]


def git_url(inventory: Inventory) -> str:
    """The repository in the cluster's own Git server."""
    settings = inventory.stages.git_server
    return f"{server_url(inventory)}{settings.organization}/{settings.repository or inventory.cluster.name}.git"


def server_host(inventory: Inventory) -> str:
    name = apps.GIT_SERVERS[inventory.stages.git_server.kind]
    return f"{name}-http.{name}.svc.{inventory.cluster.domain}"


def server_url(inventory: Inventory) -> str:
    return f"http://{server_host(inventory)}:3000/"


def sync(inventory: Inventory) -> dict[str, Any]:
    """FluxInstance.spec.sync. It may name a source that is not there yet: Flux asks again."""
    source = inventory.stages.source
    url = git_url(inventory) if source.kind == "git-server" else source.url or ""
    secret = READER if source.kind == "git-server" else source.secret
    ref = source.branch if source.kind == "oci" else f"refs/heads/{source.branch}"
    name = url.rstrip("/").rpartition("/")[2]
    return {
        "kind": kind(inventory),
        "name": NAME,
        "interval": "1m",
        "url": url.rstrip("/").rpartition("/")[0] if source.kind == "bucket" else url,
        "ref": name if source.kind == "bucket" else ref,
        "path": PATH,
        **({"pullSecret": secret} if secret else {}),
    }


def root_patches() -> list[dict[str, Any]]:
    """What flux-operator does not write into its Kustomization: decryption, and that nothing ends with a file."""
    return [
        {"op": "add", "path": "/spec/decryption", "value": {"provider": "sops"}},
        {"op": "add", "path": "/spec/deletionPolicy", "value": "Orphan"},
        {"op": "add", "path": "/spec/prune", "value": False},
        {"op": "add", "path": "/spec/retryInterval", "value": "1m"},
    ]


def source_patches(inventory: Inventory) -> list[dict[str, Any]]:
    """What flux-operator does not write into its source: plain HTTP, and a bucket's region."""
    source, patches = inventory.stages.source, []
    if source.insecure and source.kind in ("oci", "bucket"):
        patches.append({"op": "add", "path": "/spec/insecure", "value": True})
    if source.region and source.kind == "bucket":
        patches.append({"op": "add", "path": "/spec/region", "value": source.region})
    return patches
