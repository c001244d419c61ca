"""What people keep beside the generated files: overlays, encrypted Secrets, and apps of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.generate.gitops.apps import STAGES
from slipway.generate.templates import MARK

KUSTOMIZATION = "kustomization.yaml"
FLUX = "ks.yaml"


@dataclass(frozen=True)
class Beside:
    """`overlays` are `STAGE/APP`, `secrets` paths below gitops/, `own` the folders `STAGE/APP` that people wrote."""

    overlays: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


NOTHING = Beside()


def beside(root: Path) -> Beside:
    """What is there at `root` now."""
    overlays = {f"{path.parts[-3]}/{path.parts[-2]}" for path in (root / "overlays").glob(f"*/*/{KUSTOMIZATION}")}
    return Beside(frozenset(overlays), tuple(sorted(_secrets(root / "gitops"))), tuple(sorted(_own(root / "gitops"))))


def is_generated(path: Path) -> bool:
    """Whether the file's first line says so."""
    with path.open("rb") as stream:
        return MARK.encode() in stream.readline(1024)


def _secrets(top: Path) -> Iterator[str]:
    return (path.relative_to(top).as_posix() for stage in STAGES for path in (top / stage).glob("*/*/*.sops.yaml"))


def _own(top: Path) -> Iterator[str]:
    for stage in STAGES:
        for path in (top / stage).glob(f"*/{FLUX}"):
            if not is_generated(path):
                yield f"{stage}/{path.parent.name}"
