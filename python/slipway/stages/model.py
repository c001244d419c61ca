"""Stages and their apps, as the files of gitops/<stage>/<app>/ say.

An app is a folder with the same file names everywhere: `namespace.yaml`, `ocirepository.yaml` with the chart and its
version, `helmrelease.yaml` with its values, and plain manifests beside them. The hand-off installs from these very
files, so that what Flux finds later is what already runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import InvalidInput
from slipway.secret import Secret

NAMESPACE = "namespace.yaml"
SOURCE = "ocirepository.yaml"
RELEASE = "helmrelease.yaml"
Manifest = Mapping[str, Any]


class Stage(StrEnum):
    """In their order: a stage needs nothing of a later one."""

    BOOTSTRAP = "bootstrap"
    CLUSTER_BASE_APPS = "cluster-base-apps"
    CLUSTER_APPS = "cluster-apps"


@dataclass(frozen=True)
class Release:
    """What Helm installs for an app. `repository` is the chart's oci:// address without its name."""

    name: str
    namespace: str
    repository: str
    chart: str
    version: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class LocalVolume:
    """A PersistentVolume that is a folder of one machine."""

    path: str
    node: str


@dataclass(frozen=True)
class App:
    """One app: its release if it comes as a chart, its namespace if it brings one, and its other objects."""

    stage: Stage
    name: str
    folder: Path
    namespace: tuple[Manifest, ...]
    objects: tuple[Manifest, ...]
    release: Release | None

    def local_volumes(self) -> tuple[LocalVolume, ...]:
        """The local volumes among the objects. Raises InvalidInput for one that does not name its one machine."""
        return tuple(self._local_volume(each) for each in self.objects if each["kind"] == "PersistentVolume")

    def _local_volume(self, manifest: Manifest) -> LocalVolume:
        try:
            (term,) = manifest["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
            (expression,) = term["matchExpressions"]
            (node,) = expression["values"]
            return LocalVolume(str(manifest["spec"]["local"]["path"]), str(node))
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                f"{self.folder}: a PersistentVolume here is not a folder (local.path) of one machine (nodeAffinity)",
                hint="slipway generate",
            ) from None


def read_app(root: Path, stage: Stage, name: str) -> App:
    """The app in the repository at `root`. Raises InvalidInput where its files are missing or not what they must be."""
    folder = root / "gitops" / stage / name
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: missing", hint="slipway generate")
    own = {NAMESPACE, SOURCE, RELEASE}
    others = sorted(path for path in folder.glob("*.yaml") if path.name not in own)
    return App(
        stage=stage,
        name=name,
        folder=folder,
        namespace=tuple(_documents(folder / NAMESPACE)) if (folder / NAMESPACE).exists() else (),
        objects=tuple(document for path in others for document in _documents(path)),
        release=_release(folder) if (folder / RELEASE).exists() else None,
    )


def as_list(manifests: Iterator[Manifest] | tuple[Manifest, ...]) -> bytes:
    """Several manifests as one document for kubectl, in their order."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}).encode()


def secrets_as_list(manifests: tuple[Secret, ...]) -> Secret:
    """The same for plaintext manifests, which never leave a Secret."""
    return Secret(as_list(tuple(yaml.safe_load(manifest.reveal()) for manifest in manifests)))


def _release(folder: Path) -> Release:
    source, release = _one(folder / SOURCE), _one(folder / RELEASE)
    url = str(_at(folder / SOURCE, source, "spec", "url"))
    repository, _, chart = url.rpartition("/")
    return Release(
        name=str(_at(folder / RELEASE, release, "spec", "releaseName")),
        namespace=str(_at(folder / RELEASE, release, "metadata", "namespace")),
        repository=repository,
        chart=chart,
        version=str(_at(folder / SOURCE, source, "spec", "ref", "tag")),
        values=_at(folder / RELEASE, release, "spec").get("values") or {},
    )


def _documents(path: Path) -> Iterator[Manifest]:
    try:
        documents = list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}", hint="slipway generate") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: not YAML: {error}", hint="slipway generate") from None
    for document in documents:
        if not isinstance(document, dict) or "kind" not in document:
            raise InvalidInput(f"{path}: not a Kubernetes manifest (no kind)", hint="slipway generate")
        yield document


def _one(path: Path) -> Manifest:
    found = tuple(_documents(path))
    if len(found) != 1:
        raise InvalidInput(f"{path}: holds {len(found)} manifests, not one", hint="slipway generate")
    return found[0]


def _at(path: Path, manifest: Manifest, *keys: str) -> Any:  # noqa: ANN401 (a value of YAML)
    value: Any = manifest
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise InvalidInput(f"{path}: {'.'.join(keys)} is missing", hint="slipway generate")
        value = value[key]
    return value
