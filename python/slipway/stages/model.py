"""Stages and their apps, as the files of gitops/<stage>/<app>/app/ say.

An app is a folder with the same file names everywhere: `namespace.yaml`, `ocirepository.yaml` with the chart and its
version, `helmrelease.yaml` with its values, and plain manifests beside them. The hand-off installs from these very
files, so that what Flux finds later is what already runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from slipway import oci
from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import SUFFIX
from slipway.secret import Secret
from slipway.tools import kubectl

KUSTOMIZATION = "kustomization.yaml"
Manifest = Mapping[str, Any]
Placed = tuple[Path, Manifest]
"""A manifest and the file that it stands in, for what there is to say about it."""

FLUX_SOURCE, FLUX_RELEASE = "OCIRepository", "HelmRelease"
LEFT_TO_FLUX = ("NetworkPolicy", "CiliumNetworkPolicy")
"""A policy without the others of its namespace, which a component adds, would forbid what they allow."""


class Stage(StrEnum):
    """In their order: a stage needs nothing of a later one."""

    BOOTSTRAP = "bootstrap"
    CLUSTER_BASE_APPS = "cluster-base-apps"
    CLUSTER_APPS = "cluster-apps"


@dataclass(frozen=True)
class Release:
    """What Helm installs for an app. `repository` is the chart's oci:// address without its name; `digest` (sha256:...)
    pins it beside its version."""

    name: str
    namespace: str
    repository: str
    chart: str
    version: str
    values: Mapping[str, Any]
    digest: str = ""


@dataclass(frozen=True)
class LocalVolume:
    """A PersistentVolume that is a folder of one machine."""

    path: str
    node: str


@dataclass(frozen=True)
class App:
    """One app: its release if it comes as a chart, its namespace if it brings one, and its other objects.

    `encrypted` are its files of Secrets, which nobody but sops reads.
    """

    stage: Stage
    name: str
    folder: Path
    namespace: tuple[Manifest, ...]
    objects: tuple[Manifest, ...]
    release: Release | None
    encrypted: tuple[Path, ...] = ()

    def local_volumes(self) -> tuple[LocalVolume, ...]:
        """The local volumes among the objects. Raises InvalidInput for one that does not name its one machine."""
        return tuple(self._local_volume(each) for each in self.objects if each["kind"] == "PersistentVolume")

    def _local_volume(self, manifest: Manifest) -> LocalVolume:
        found = local_volume(manifest)
        if found is None:
            raise InvalidInput(
                f"{self.folder}: a PersistentVolume here is not a folder (local.path) of one machine (nodeAffinity)",
                hint="slipway generate",
            )
        return found


def local_volume(manifest: Manifest) -> LocalVolume | None:
    """The folder and machine of a PersistentVolume, None if it is not a folder of one machine."""
    try:
        (term,) = manifest["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        (expression,) = term["matchExpressions"]
        (node,) = expression["values"]
        return LocalVolume(str(manifest["spec"]["local"]["path"]), str(node))
    except (KeyError, TypeError, ValueError):
        return None


def read_app(root: Path, stage: Stage, name: str, build: Callable[[Path], str] = kubectl.kustomize) -> App:
    """The app in the repository at `root`, with its overlay if there is one: then kustomize builds it.

    Raises InvalidInput where its files are missing or not what they must be.
    """
    folder = root / "gitops" / stage / name / "app"
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: missing", hint="slipway generate")
    overlay = (root / "overlays" / stage / name / KUSTOMIZATION).exists()
    found = tuple(_parsed(folder, build(folder)) if overlay else _from_files(folder))
    return App(
        stage=stage,
        name=name,
        folder=folder,
        namespace=tuple(each for _, each in found if each["kind"] == "Namespace"),
        objects=tuple(each for _, each in found if _is_ours(each)),
        release=_release(folder, found),
        encrypted=tuple(sorted(folder.glob(f"*{SUFFIX}"))),
    )


def _is_ours(manifest: Manifest) -> bool:
    """Whether the hand-off applies it: not Flux's own kinds, nor what must come with others."""
    own = ("Namespace", FLUX_SOURCE, FLUX_RELEASE, *LEFT_TO_FLUX)
    return manifest["kind"] not in own and "sops" not in manifest


def _from_files(folder: Path) -> Iterator[Placed]:
    for path in sorted(folder.glob("*.yaml")):
        if path.name != KUSTOMIZATION and not path.name.endswith(SUFFIX):
            yield from _parsed(path, _text(path))


def as_list(manifests: Iterator[Manifest] | tuple[Manifest, ...]) -> bytes:
    """Several manifests as one document for kubectl, in their order."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}).encode()


def secrets_as_list(manifests: tuple[Secret, ...]) -> Secret:
    """The same for plaintext manifests, which never leave a Secret."""
    return Secret(as_list(tuple(yaml.safe_load(manifest.reveal()) for manifest in manifests)))


def _release(folder: Path, found: tuple[Placed, ...]) -> Release | None:
    releases = [each for each in found if each[1]["kind"] == FLUX_RELEASE]
    if not releases:
        return None
    (path, release), (source_path, source) = _one(folder, releases), _source(folder, found)
    url = oci.of(str(_at(source_path, source, "spec", "url")), plain=bool(source["spec"].get("insecure")))
    repository, _, chart = url.rpartition("/")
    return Release(
        name=str(_at(path, release, "spec", "releaseName")),
        namespace=str(_at(path, release, "metadata", "namespace")),
        repository=repository,
        chart=chart,
        version=str(_at(source_path, source, "spec", "ref", "tag")),
        values=_at(path, release, "spec").get("values") or {},
        digest=str(source["spec"]["ref"].get("digest", "")),
    )


def _source(folder: Path, found: tuple[Placed, ...]) -> Placed:
    sources = [each for each in found if each[1]["kind"] == FLUX_SOURCE]
    if not sources:
        raise InvalidInput(f"{folder}: a {FLUX_RELEASE} and no {FLUX_SOURCE} with its chart", hint="slipway generate")
    return _one(folder, sources)


def _one(folder: Path, found: list[Placed]) -> Placed:
    if len(found) != 1:
        raise InvalidInput(
            f"{folder}: {len(found)} of the kind {found[0][1]['kind']}, not one", hint="slipway generate"
        )
    return found[0]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}", hint="slipway generate") from None


def _parsed(path: Path, text: str) -> Iterator[Placed]:
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: not YAML: {error}", hint="slipway generate") from None
    for document in documents:
        if not isinstance(document, dict) or "kind" not in document:
            raise InvalidInput(f"{path}: not a Kubernetes manifest (no kind)", hint="slipway generate")
        yield path, document


def _at(path: Path, manifest: Manifest, *keys: str) -> Any:  # noqa: ANN401 (a value of YAML)
    value: Any = manifest
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise InvalidInput(f"{path}: {'.'.join(keys)} is missing", hint="slipway generate")
        value = value[key]
    return value
