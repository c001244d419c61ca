"""Which volumes hold nothing of anybody."""

from typing import Any

from tests.unit.cluster.credentials import KUBECONFIG

from slipway.generate.gitops.volumes import SCRATCH_CLASS, STORAGE_CLASS
from slipway.stages import caches
from slipway.tools import kubectl


def volume(name: str, **spec: str) -> Any:
    return {"metadata": {"name": name}, "spec": spec}


def test_a_volume_is_known_by_its_class_alone(monkeypatch):
    found = [
        volume("pv-cache", storageClassName=SCRATCH_CLASS),
        volume("pv-data", storageClassName=STORAGE_CLASS),
        volume("pv-of-somebody", storageClassName="slow"),
        volume("pv-by-hand"),
    ]
    monkeypatch.setattr(kubectl, "get", lambda _k, kind: {"items": found if kind == "persistentvolumes" else []})
    assert caches.there(KUBECONFIG) == ("pv-cache",)
