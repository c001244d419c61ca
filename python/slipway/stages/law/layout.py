"""Which folders of a repository are which stage, and what the cluster has before the first of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.errors import InvalidInput, UsageError
from slipway.stages.model import Stage

FILE = "stages.yaml"
_HINT = "stages: [{name: infrastructure, folders: [infrastructure]}, {name: apps, folders: [apps]}]"


@dataclass(frozen=True)
class StageFolders:
    """A stage and its folders, relative to the repository."""

    name: str
    folders: tuple[PurePosixPath, ...]


@dataclass(frozen=True)
class Given:
    """What stands before the first stage: objects as Kind/name or Kind/namespace/name, and API groups of CRDs."""

    objects: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def __or__(self, other: Given) -> Given:
        return Given(self.objects | other.objects, self.groups | other.groups)


@dataclass(frozen=True)
class Layout:
    """The stages in their order."""

    root: Path
    stages: tuple[StageFolders, ...]
    given: Given

    @cached_property
    def _by_folder(self) -> dict[PurePosixPath, int]:
        return {folder: number for number, stage in enumerate(self.stages) for folder in stage.folders}

    def stage_of(self, path: PurePosixPath) -> int | None:
        """The stage in whose folder `path` lies, by its number; the innermost folder decides."""
        return next((self._by_folder[each] for each in (path, *path.parents) if each in self._by_folder), None)

    def app_of(self, path: PurePosixPath) -> str:
        """The app of a file: the folder right below its stage's, or the stage's own folder for what lies in it."""
        folder = next((each for each in path.parents if each in self._by_folder), path.parent)
        inside = path.relative_to(folder).parts
        return inside[0] if len(inside) > 1 else folder.name


def of(root: Path, stages: Sequence[str] = (), provides: Sequence[str] = ()) -> Layout:
    """By `NAME=FOLDER[,FOLDER...]` in the order of the stages; else by stages.yaml; else as slipway writes them.

    Raises InvalidInput where a folder is missing or the file is not what it must be, UsageError for a wrong option.
    """
    given = bring_up() | _given(
        {
            "objects": [each for each in provides if "/" in each],
            "apiGroups": [each for each in provides if "/" not in each],
        },
        "--provides",
    )
    if stages:
        return _checked(Layout(root, tuple(_option(each) for each in stages), given))
    if (root / FILE).is_file():
        return _checked(_from_file(root, given))
    own = tuple(StageFolders(stage.value, _own_folders(root, stage)) for stage in Stage)
    if not any(stage.folders for stage in own):
        raise UsageError(
            f"{root}: neither gitops/<stage> as slipway generates it nor a {FILE}",
            hint=f"slipway generate; or, for another layout, a {FILE}: {_HINT}",
        )
    return Layout(root, tuple(stage for stage in own if stage.folders), given)


def bring_up() -> Given:
    """What slipway's own bring-up and k0s put there before any stage (bringup.yaml beside this file)."""
    return _given(yaml.safe_load((Path(__file__).parent / "bringup.yaml").read_text()), "bringup.yaml")


def _own_folders(root: Path, stage: Stage) -> tuple[PurePosixPath, ...]:
    folders = (PurePosixPath("gitops", stage.value), PurePosixPath("overlays", stage.value))
    return tuple(folder for folder in folders if (root / folder).is_dir())


def _option(option: str) -> StageFolders:
    name, _, folders = option.partition("=")
    if not name or not folders:
        raise UsageError(f"--stage {option}: not NAME=FOLDER[,FOLDER...]", hint="--stage apps=clusters/home/apps")
    return StageFolders(name, _folders(folders.split(",")))


def _from_file(root: Path, given: Given) -> Layout:
    where = str(root / FILE)
    try:
        data = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
        stages = tuple(StageFolders(str(each["name"]), _folders(each["folders"])) for each in data["stages"])
        return Layout(root, stages, given | _given(data.get("provides") or {}, where))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{where}: not YAML: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(f"{where}: not a list of stages, each with its name and folders", hint=_HINT) from None


def _folders(folders: Iterable[Any]) -> tuple[PurePosixPath, ...]:
    if isinstance(folders, str):
        raise TypeError
    return tuple(PurePosixPath(str(folder).strip().removeprefix("./").rstrip("/")) for folder in folders)


def _given(data: Any, where: str) -> Given:  # noqa: ANN401 (a value of YAML)
    objects, groups = data.get("objects") or (), data.get("apiGroups") or ()
    for each in objects:
        if str(each).count("/") not in (1, 2):
            raise InvalidInput(f"{where}: {each}: not Kind/name or Kind/namespace/name")
    return Given(frozenset(map(str, objects)), frozenset(map(str, groups)))


def _checked(layout: Layout) -> Layout:
    for stage in layout.stages:
        for folder in stage.folders:
            if ".." in folder.parts or folder.is_absolute() or not (layout.root / folder).is_dir():
                raise InvalidInput(f"stage {stage.name}: {folder}: no such folder in {layout.root}")
    names = [stage.name for stage in layout.stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"stages named twice: {', '.join(twice)}", hint="one stage may have several folders")
    return layout
