"""Every stage in every mode: kustomize builds it, and what comes out is what Kubernetes and the CRDs know.

No cluster: the lab's kubectl, and the schemas in tests/data/schemas (tests/schemas/make.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.unit.stages.law.test_generated import INVENTORY

from slipway.generate import gitops
from slipway.generate.gitops import scaffold
from slipway.inventory import Inventory, load
from slipway.lab.binaries import bin_dir
from slipway.tools.run import run

pytestmark = pytest.mark.lab

SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"
BACKUP = {"repository": "s3:https://s3.example.org/backups", "from": "old", "to": "new"}
PUBLISHED: dict[str, Any] = {
    "gateway": {"enabled": "true", "domain": "example.org", "address": "10.0.0.201"},
    "loadBalancer": {"pools": ["10.0.0.200/29"], "interfaces": ["eno1"]},
    "certManager": {"enabled": "true", "email": "a@example.org"},
    "externalDns": {"enabled": "true", "arguments": ["--txt-prefix=a-"]},
    "registryMirror": "true",
    "cloudNativePg": "true",
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "install": ("cilium", {**PUBLISHED, "mode": "install", "backup": BACKUP, "monitoring": "prometheus"}),
    "restore": ("cilium", {
        "mode": "restore", "backup": BACKUP, "gitServer": {"kind": "forgejo"}, "monitoring": "victoria-metrics",
        "codeHosting": {"kind": "gitlab", "gitlab": "10"}, "storage": {"provider": "lvm", "pool": "vg0"},
    }),
    "restore-only": ("calico", {
        "mode": "restore-only", "backup": BACKUP, "codeHosting": {"kind": "gitlab"},
        "source": {"kind": "bucket", "url": "https://s3.example.org/a", "region": "eu", "insecure": "true"},
    }),
    "none": ("kuberouter", {
        "mode": "none", "source": {"kind": "oci", "url": "oci://registry.example.org/a", "insecure": "true"},
        "storage": {"provider": "zfs", "pool": "tank"},
    }),
}  # fmt: skip
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: HelmRelease}
    patch: |
      - {op: add, path: /spec/values/mine, value: true}
"""


def write(root: Path, provider: str, stages: dict[str, Any]) -> Inventory:
    """The generated files, an app of the user's own and an overlay."""
    (root / "inventory.yaml").write_text(INVENTORY.replace("PROVIDER", provider) + yaml.safe_dump({"stages": stages}))
    put(root, {"overlays/bootstrap/flux-operator/kustomization.yaml": OVERLAY})
    inventory = load(root)
    put(root, scaffold.scaffold(inventory, scaffold.Wanted("shop", "registry.example.org/shop:1", 8080, "5Gi")))
    put(root, {str(path): text for path, text in gitops.render(inventory, gitops.beside(root)).items()})
    return inventory


def put(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def built(root: Path) -> dict[str, list[Any]]:
    """What each kustomization makes, by its folder; and the files that Flux reads without one."""
    paths = sorted(path.parent for path in (root / "gitops").rglob("kustomization.yaml"))
    folders = [path for path in paths if "components" not in path.parts]
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda path: run([bin_dir() / "kubectl", "kustomize", path]).stdout, folders)
    found = {str(folder.relative_to(root)): list(documents(text)) for folder, text in zip(folders, texts, strict=True)}
    flux = [each for path in sorted((root / "gitops/flux").glob("*.yaml")) for each in documents(path.read_text())]
    return {**found, "gitops/flux": flux}


def documents(text: str) -> Iterator[Any]:
    return (each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)


@cache
def schema(name: str) -> jsonschema.Draft202012Validator:
    path = SCHEMAS / f"{name.replace('/', '_')}.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


def wrong(manifest: Any) -> list[str]:
    known = schema(f"{manifest['apiVersion']}/{manifest['kind']}")
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in known.iter_errors(manifest)]


@pytest.mark.parametrize(("provider", "stages"), CASES.values(), ids=CASES)
def test_every_stage_builds_into_what_the_kinds_allow(made, tmp_path, provider, stages):
    write(tmp_path, provider, stages)
    found = built(tmp_path)
    assert len(found) > 20
    mistakes = {
        f"{folder}: {each['kind']} {each['metadata']['name']}": wrong(each)
        for folder, manifests in found.items() for each in manifests if wrong(each)
    }  # fmt: skip
    assert mistakes == {}
    (release,) = [each for each in found["gitops/bootstrap/flux-operator/app"] if each["kind"] == "HelmRelease"]
    assert release["spec"]["values"]["mine"] is True


def test_every_name_that_the_components_take_is_filled_in(made, tmp_path):
    for provider, stages in CASES.values():
        write(tmp_path, provider, stages)
        text = json.dumps(built(tmp_path))
        assert "VOLUME" not in text
        assert "NAMESPACE" not in text.replace("RUNTIME_NAMESPACE", "")


def test_backup_and_restore_places_are_apart(made, tmp_path):
    write(tmp_path, "cilium", {**CASES["restore"][1], "codeHosting": {"kind": "forgejo"}})
    found = built(tmp_path)
    places = {
        folder.rpartition("/")[2]: each["spec"]["target"]["template"]["data"]["RESTIC_REPOSITORY"]
        for folder, manifests in found.items() if "/forgejo/dumps" in folder
        for each in manifests if each["kind"] == "ExternalSecret"
    }  # fmt: skip
    assert places == {
        "dumps": "s3:https://s3.example.org/backups/old/forgejo/forgejo-dumps",
        "dumps-backup": "s3:https://s3.example.org/backups/new/forgejo/forgejo-dumps",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {
                "spec": {
                    "interval": "1h",
                    "prune": True,
                    "sourceRef": {"kind": "GitRepository", "name": "a"},
                    "waits": 1,
                }
            },
            "waits",
        ),
        ({"spec": {"interval": "1h", "prune": True, "sourceRef": {"kind": "Folder", "name": "a"}}}, "Folder"),
        ({"spec": {"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "a"}}}, "prune"),
    ],
    ids=["unknown key", "unknown choice", "missing key"],
)
def test_control_the_schemas_find_mistakes(change, said):
    about = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "a"}}
    assert any(said in each for each in wrong({**about, **change}))
