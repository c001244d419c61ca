"""A cluster and a machine that exist in a test only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.generate import gitops
from slipway.inventory import Inventory, load
from slipway.result import CommandResult
from slipway.secret import Secret
from slipway.stages.bootstrap import Site
from slipway.tools import helm, kubectl
from slipway.tools.helm import Release
from slipway.tools.kubeconfig import Kubeconfig

INVENTORY = """\
apiVersion: slipway/v1
cluster:
  name: small
  k0s: {version: 1.36.3+k0s.2}
defaults:
  network: {interface: eno1, prefixLength: 24, gateway: 10.0.0.1}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker}
stages: {readyTimeout: 1s}
mirrors:
  charts:
    oci://ghcr.io/controlplaneio-fluxcd/charts: oci://mirror.example.org/charts
    oci://docker.gitea.com/charts: oci://mirror.example.org/charts
"""


@dataclass
class FakeCluster:
    """What kubectl and helm talk to: objects with a version that grows with each change, and releases.

    `ready` says whether what is asked for counts as ready; every chart that was installed is in `charts`.
    """

    objects: dict[tuple[str, str, str], tuple[Any, int]] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    charts: list[str] = field(default_factory=list)
    put_right: list[str] = field(default_factory=list)
    managers: dict[tuple[str, str, str], tuple[str, bool]] = field(default_factory=dict)
    flux_releases: list[str] = field(default_factory=list)
    ready: bool = True

    def versions(self, _kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[str]:
        found = [(key, self.objects[key][1]) for key, _ in self._read(manifests) if key in self.objects]
        return [" ".join((*key, str(version))) for key, version in found]

    def apply(
        self, kubeconfig: Kubeconfig, manifests: bytes | Secret, *, manager: str = "slipway", force: bool = False
    ) -> Sequence[str]:
        for key, manifest in self._read(manifests):
            before, version = self.objects.get(key, (None, 0))
            self.managers[key] = (manager, force)
            if before != manifest:
                self.objects[key] = manifest, version + 1
        return self.versions(kubeconfig, manifests)

    def existing(self, _kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[dict[str, Any]]:
        found = [(key, self.objects[key][0]) for key, _ in self._read(manifests) if key in self.objects]
        return [{"kind": key[0], "metadata": {**about.get("metadata", {}), "name": key[2]}} for key, about in found]

    def get(self, _kubeconfig: Kubeconfig, kind: str, name: str = "", **_where: str) -> dict[str, Any]:
        if kind == "jobs.batch":
            done = {"conditions": [{"type": "Complete", "status": "True"}]} if self.ready else {}
            return {"metadata": {"name": name}, "status": done}
        if kind == "persistentvolumes":
            return next(
                (
                    each
                    for (what, _, called), (each, _) in self.objects.items()
                    if (what, called) == ("PersistentVolume", name)
                ),
                {},
            )
        if kind.startswith("helmreleases"):
            return {"status": {"history": [{}]}} if name in self.flux_releases else {}
        if kind.startswith("fluxinstances"):
            return {"status": {"conditions": [{"type": "Ready", "status": str(self.ready), "reason": "Progressing"}]}}
        if kind == "pods":
            return {"items": []}
        status = {"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": int(self.ready)}
        item = {"kind": "Deployment", "metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 1}}
        return {"items": [{**item, "status": status}]}

    def release(self, _kubeconfig: Kubeconfig, _namespace: str, name: str) -> Release | None:
        return self.releases.get(name)

    def upgrade(self, _k: Secret, _ns: str, name: str, chart: str, version: str, values: Mapping[str, Any]) -> None:
        revision = self.releases[name].revision + 1 if name in self.releases else 1
        self.charts.append(chart)
        self.releases[name] = Release(name, name, version, revision, "deployed", values)

    def take_back(self, _kubeconfig: Kubeconfig, _namespace: str, release: Release) -> None:
        self.put_right.append(release.name)
        del self.releases[release.name]

    @staticmethod
    def _read(manifests: bytes | Secret) -> Iterator[tuple[tuple[str, str, str], Any]]:
        text = manifests.reveal() if isinstance(manifests, Secret) else manifests
        for item in json.loads(text)["items"]:
            yield (item["kind"], item["metadata"].get("namespace", "-"), item["metadata"]["name"]), item


class FakeMachine:
    """A machine with folders and nothing else."""

    name = "w1"

    def __init__(self) -> None:
        self.folders: set[str] = set()

    def run(self, argv: Sequence[str], **_: Any) -> CommandResult:
        code = 0
        if argv[:2] == ["test", "-d"]:
            code = int(argv[2] not in self.folders)
        else:
            assert argv[0] == "mkdir"
            self.folders.add(argv[-1])
        return CommandResult(tuple(argv), self.name, code, "", "", 0.0)

    def put(self, *_: Any, **__: Any) -> None:
        raise AssertionError("the hand-off writes no file on a machine")

    @contextmanager
    def fresh(self) -> Iterator[FakeMachine]:
        yield self

    def close(self) -> None:
        pass


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    for name in ("versions", "apply", "existing", "get"):
        monkeypatch.setattr(kubectl, name, getattr(fake, name))
    monkeypatch.setattr(helm, "get", fake.release)
    monkeypatch.setattr(helm, "upgrade", fake.upgrade)
    monkeypatch.setattr(helm, "put_right", fake.take_back)
    return fake


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """An inventory whose repository has its GitOps files and, in the clear for a fake sops, its secrets."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    loaded = load(tmp_path / "inventory.yaml")
    for path, text in gitops.render(loaded).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr("slipway.secrets.store.decrypt", fake_decrypt)
    return loaded


def fake_decrypt(_root: Path, name: Path) -> Secret:
    about = {"name": name.name.removesuffix(".sops.yaml"), "namespace": "flux-system"}
    manifest = {"kind": "Secret", "metadata": about, "data": {"a": "Zm9v"}}
    return Secret(yaml.safe_dump(manifest))


@pytest.fixture
def site(inventory: Inventory, machine: FakeMachine) -> Site:
    return Site(
        inventory.root,
        KUBECONFIG,
        lambda _name: machine,
        inventory.mirrors.charts,
        0.05,
        lambda _text: None,
    )
