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
from slipway.lab import binaries, images
from slipway.paths import cache_dir

SOURCES = Path(__file__).parent / "charts"
Files = Mapping[str, bytes]


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
    flux, gitea = CHARTS["flux-operator"], CHARTS["gitea"]
    inside = images.references()["gitea"].rpartition(":")[2].removesuffix("-rootless")
    return (
        Packaged("cilium", images.CILIUM, images.CILIUM, lambda _events: {}),
        Packaged(flux.name, flux.version, images.references()["flux-operator"].rpartition(":")[2], _flux_operator),
        Packaged(gitea.name, gitea.version, inside, lambda _events: {}),
    )


def repositories() -> set[str]:
    """Where the originals of the stand-ins are: what an inventory of the lab has to mirror."""
    return {CHARTS[chart.name].repository for chart in packaged()}


def ensure(events: Events, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """Have these charts (all by default) in `charts_dir()`; return their archives."""
    wanted = None if names is None else set(names)
    chosen = [chart for chart in packaged() if wanted is None or chart.name in wanted]
    return tuple(_write(chart, chart.more(events)) for chart in chosen)


def _write(chart: Packaged, more: Files) -> Path:
    content = packed(chart.name, {**_sources(chart), **more})
    if not chart.archive.exists() or chart.archive.read_bytes() != content:
        chart.archive.parent.mkdir(parents=True, exist_ok=True)
        draft = chart.archive.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(chart.archive)
    return chart.archive


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


def _flux_operator(events: Events) -> Files:
    """Upstream's CRDs, which stay when the release goes."""
    binaries.ensure(("flux-operator",), events)
    paths = sorted((binaries.result_dir("flux-operator") / "crds").glob("*.yaml"))
    return {f"files/crds/{path.name}": _kept(path.read_bytes()) for path in paths}


def _kept(manifest: bytes) -> bytes:
    return manifest.replace(b"  annotations:\n", b"  annotations:\n    helm.sh/resource-policy: keep\n", 1)
