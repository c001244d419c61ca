"""Which volumes are caches of backups, and go; no other one does."""

from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.stages import caches
from slipway.tools import kubectl


def claim(name: str, owner: str = "", kind: str = "ReplicationSource", api: str = "volsync.backube/v1alpha1") -> Any:
    owners = [{"kind": kind, "apiVersion": api, "name": owner, "controller": True}] if owner else []
    about = {"name": name, "namespace": "sample", "uid": f"of-{name}", "ownerReferences": owners}
    return {"metadata": about, "spec": {"volumeName": f"pv-{name}"}}


def volume(name: str, *, claimed: str = "", phase: str = "Bound") -> Any:
    return {
        "metadata": {"name": f"pv-{name}"},
        "spec": {"claimRef": {"uid": claimed or f"of-{name}"}, "persistentVolumeReclaimPolicy": "Retain"},
        "status": {"phase": phase},
    }


CACHE = "volsync-src-data-cache"


@pytest.mark.parametrize(
    ("name", "owner", "kind"),
    [
        (CACHE, "data", "ReplicationSource"),
        ("volsync-dst-data-cache", "data", "ReplicationDestination"),
        ("volsync-data-cache", "data", "ReplicationSource"),
    ],
)
def test_a_cache_is_known_by_its_owner_and_its_name(name, owner, kind):
    assert caches.held([claim(name, owner, kind)], [volume(name)]) == (f"pv-{name}",)


@pytest.mark.parametrize(
    ("of", "its"),
    [
        (claim("data"), volume("data")),
        (claim(CACHE), volume(CACHE)),
        (claim(CACHE, "another"), volume(CACHE)),
        (claim(CACHE, "data", "StatefulSet", "apps/v1"), volume(CACHE)),
        (claim(CACHE, "data", api="example.org/v1"), volume(CACHE)),
        (claim("volsync-data-dest", "data", "ReplicationDestination"), volume("volsync-data-dest")),
        (claim(CACHE, "data"), volume(CACHE, claimed="of-an-earlier-claim", phase="Released")),
        (claim(CACHE, "data"), volume("data", claimed=f"of-{CACHE}")),
    ],
    ids=[
        "data",
        "no owner",
        "another owner",
        "StatefulSet",
        "another API",
        "restored",
        "earlier claim",
        "another volume",
    ],
)
def test_what_may_hold_data_is_left_alone(of, its):
    assert caches.held([of], [its]) == ()


def test_a_volume_that_nobody_claimed_is_left_alone():
    free = {"metadata": {"name": "pv-free"}, "spec": {}, "status": {"phase": "Available"}}
    assert caches.held([claim(CACHE, "data")], [free]) == ()


def test_only_caches_are_told_to_go_and_those_that_stayed_are_named(monkeypatch):
    found = {caches.CLAIMS: [claim(CACHE, "data"), claim("data")], caches.VOLUMES: [volume(CACHE), volume("data")]}
    patched: list[Any] = []
    monkeypatch.setattr(kubectl, "get", lambda _k, kind, namespace: {"items": found[kind]})
    monkeypatch.setattr(kubectl, "patch", lambda _k, kind, name, change: patched.append((kind, name, change)))
    names = caches.let_go(KUBECONFIG)
    assert patched == [("persistentvolumes", f"pv-{CACHE}", {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})]
    assert caches.left(KUBECONFIG, names) == (f"pv-{CACHE}",)
    found[caches.VOLUMES].pop(0)
    assert caches.left(KUBECONFIG, names) == ()
