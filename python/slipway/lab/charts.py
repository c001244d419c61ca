"""The lab's charts: stand-ins of our own under upstream's names and versions, as archives that Helm takes.

Sources lie beside this file in charts/<name>/. `ensure(events)` leaves NAME-VERSION.tgz in `charts_dir()`, made anew
only where its content would differ.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.events import Events
from slipway.generate.gitops import CHARTS
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.lab import binaries, images
from slipway.paths import cache_dir

SOURCES = Path(__file__).parent / "charts"
Files = Mapping[str, bytes]
FIRST = frozenset({"cilium", "flux-operator", "gitea"})
"""The charts of the stage bootstrap."""


@dataclass(frozen=True)
class Packaged:
    """A chart as it is packaged. `more` gives files that are not ours to keep in the repository."""

    name: str
    version: str
    app_version: str
    more: Callable[[Events], Files]

    @property
    def archive(self) -> Path:
        return charts_dir() / f"{self.name}-{self.version}.tgz"


def charts_dir() -> Path:
    return cache_dir() / "lab" / "charts"


def packaged() -> tuple[Packaged, ...]:
    """All of them, the network first. Versions are those that slipway asks for; what is inside has its own."""
    return (
        Packaged("cilium", images.CILIUM, images.CILIUM, _nothing),
        _of_stage("flux-operator", images.tag("flux-operator"), _crds("flux-operator")),
        _of_stage("gitea", images.tag("gitea").removesuffix("-rootless"), _nothing),
        _of_stage("local-path-provisioner", images.tag("local-path-provisioner"), _nothing),
        _of_stage("volsync", images.tag("volsync"), _crds("volsync")),
        _of_stage("openbao", images.tag("openbao"), _nothing),
        _of_stage("external-secrets", images.tag("external-secrets"), _crds("external-secrets")),
    )


def wanted_until(stage: str) -> tuple[Packaged, ...]:
    """The charts of a lab whose last stage this is."""
    return tuple(chart for chart in packaged() if stage != BOOTSTRAP or chart.name in FIRST)


def repositories(stage: str = BOOTSTRAP) -> set[str]:
    """Where the originals of the stand-ins are: what an inventory of the lab has to mirror."""
    return {CHARTS[chart.name].repository for chart in wanted_until(stage)}


def ensure(events: Events, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """Have these charts (those of the stage bootstrap by default) in `charts_dir()`; return their archives."""
    wanted = FIRST if names is None else set(names)
    chosen = [chart for chart in packaged() if chart.name in wanted]
    return tuple(_write(chart, chart.more(events)) for chart in chosen)


def _of_stage(name: str, inside: str, more: Callable[[Events], Files]) -> Packaged:
    """In the version of the stages' table, with what is inside of it in the version of the lab's image."""
    return Packaged(CHARTS[name].name, CHARTS[name].version, inside, more)


def _write(chart: Packaged, more: Files) -> Path:
    return put(chart.archive, packed(chart.name, {**_sources(chart), **more}))


def put(archive: Path, content: bytes) -> Path:
    """Write the archive unless it is so already; whoever reads it meanwhile has the old one or the new one."""
    if not archive.exists() or archive.read_bytes() != content:
        archive.parent.mkdir(parents=True, exist_ok=True)
        draft = archive.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(archive)
    return archive


def _sources(chart: Packaged) -> Files:
    folder = SOURCES / chart.name
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    about = files["Chart.yaml"].decode().replace("version: 0.0.0\n", f"version: {chart.version}\n")
    return {**files, "Chart.yaml": f'{about}appVersion: "{chart.app_version}"\n'.encode()}


def packed(name: str, files: Files) -> bytes:
    """The files below a folder `name`, the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def _nothing(_events: Events) -> Files:
    return {}


def _crds(build: str) -> Callable[[Events], Files]:
    """Upstream's CRDs, which stay when the release goes."""

    def files(events: Events) -> Files:
        binaries.ensure((build,), events)
        paths = sorted((binaries.result_dir(build) / "crds").glob("*.yaml"))
        return {
            f"files/crds/{path.name}": _kept(path.read_bytes()) for path in paths if path.name != "kustomization.yaml"
        }

    return files


def _kept(manifest: bytes) -> bytes:
    return manifest.replace(b"  annotations:\n", b"  annotations:\n    helm.sh/resource-policy: keep\n", 1)
