"""CRDs that the stages take from their makers' Git, as artifacts of the lab's registry; the files are upstream's.

`ensure(events)` leaves NAME-VERSION.tgz beside the lab's charts, with the folder's files at its top, as
`flux push artifact --path` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipway.events import Events
from slipway.generate.gitops.charts import DEFINITIONS
from slipway.lab import binaries, builds, charts

BUILD = "definitions"


def versions() -> Mapping[str, str]:
    """What the lab has of each: the version that its Go module has."""
    build = builds.build_of(BUILD)
    return {name: build.pinned(pin) for name, (pin, _) in builds.DEFINITIONS.items()}


def other_versions() -> Mapping[str, str]:
    """Those that are not in the version of the stages' own table, and that an inventory of the lab has to name."""
    return {name: version for name, version in versions().items() if version != DEFINITIONS[name].version}


def repositories() -> set[str]:
    """Where the originals are: what an inventory of the lab has to mirror."""
    return {DEFINITIONS[name].url for name in versions()}


def ensure(events: Events) -> tuple[Path, ...]:
    """Have the artifacts; return their archives."""
    binaries.ensure((BUILD,), events)
    return tuple(_write(name, version) for name, version in versions().items())


def _write(name: str, version: str) -> Path:
    folder = binaries.result_dir(BUILD) / name
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")}
    return charts.put(charts.charts_dir() / f"{name}-{version}.tgz", charts.packed(".", files))
