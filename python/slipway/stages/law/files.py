"""The YAML files of a repository, each read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from slipway import inside
from slipway.errors import InvalidInput
from slipway.stages.law import text
from slipway.stages.law.text import Value

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FLUX = b"kustomize.toolkit.fluxcd.io"


class Files:
    """Paths are relative to the root. What cannot be read is noted in `unread`, and counts as empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: dict[PurePosixPath, str] = {}
        self._read: dict[PurePosixPath, tuple[dict[text.Text, Value], ...]] = {}

    def documents(self, path: PurePosixPath) -> tuple[dict[text.Text, Value], ...]:
        if path not in self._read:
            try:
                self._read[path] = text.read(inside.place(self.root, path), str(path))
            except (InvalidInput, OSError) as error:
                self.unread[path] = str(error)
                self._read[path] = ()
        return self._read[path]

    def below(self, folder: PurePosixPath) -> Iterator[PurePosixPath]:
        """The files of YAML below `folder`, in order; hidden folders and links are left out."""
        for path in sorted((self.root / folder).iterdir()):
            name = folder / path.name
            if path.name.startswith(".") or path.is_symlink():
                continue
            if path.is_dir():
                yield from self.below(name)
            elif path.suffix in (".yaml", ".yml") or path.name in KUSTOMIZATIONS:
                yield name

    def with_flux(self, folders: Iterable[PurePosixPath]) -> Iterator[PurePosixPath]:
        """The files that hold Kustomizations of Flux, of the whole repository: they may lie beside all stages."""
        for path in self.below(PurePosixPath()):
            if any(folder in path.parents for folder in folders) or _FLUX in (self.root / path).read_bytes():
                yield path

    def kustomization(self, folder: PurePosixPath) -> PurePosixPath | None:
        """The kustomization file of a folder, if it has one."""
        return next((folder / name for name in KUSTOMIZATIONS if (self.root / folder / name).is_file()), None)

    def is_folder(self, path: PurePosixPath) -> bool:
        return (self.root / path).is_dir()

    def is_file(self, path: PurePosixPath) -> bool:
        return (self.root / path).is_file()


def joined(folder: PurePosixPath, relative: str) -> PurePosixPath | None:
    """`relative` seen from `folder`, without dots; None where it leads out of the repository or to the network."""
    if "://" in relative or relative.startswith(("/", "git@", "github.com/")):
        return None
    parts: list[str] = list(folder.parts)
    for part in PurePosixPath(relative).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts)
