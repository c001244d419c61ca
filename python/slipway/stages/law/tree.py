"""A repository as the law sees it: every object with its stage, its Kustomization and the namespace it ends in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from slipway.stages.law import flux, kustomize
from slipway.stages.law.breach import Place
from slipway.stages.law.files import Files, joined
from slipway.stages.law.flux import Unit
from slipway.stages.law.kustomize import Part
from slipway.stages.law.layout import Layout
from slipway.stages.law.text import Text, Value, first, get, items, word

_CLUSTER_WIDE = frozenset((
    "Namespace", "CustomResourceDefinition", "StorageClass", "PriorityClass", "IngressClass", "GatewayClass",
    "RuntimeClass", "VolumeSnapshotClass", "VolumeSnapshotContent", "PersistentVolume", "APIService", "Node",
    "CSIDriver", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "CiliumLoadBalancerIPPool", "CiliumL2AnnouncementPolicy",
))  # fmt: skip

_NESTED = 4
"""How deep Kustomizations that apply Kustomizations are followed: a root, a stage, an app, and what an app brings."""


@dataclass(frozen=True)
class Member:
    """One object of a stage, or a patch of one. `stage` by its number in the layout; namespace "" if it has none."""

    stage: int
    unit: Unit | None
    app: str
    file: PurePosixPath
    namespace: str
    body: Mapping[Text, Value] = field(hash=False)
    patch: bool = False
    remote: Text | None = None

    @cached_property
    def kind(self) -> str:
        return word(self.body, "kind")

    @cached_property
    def name(self) -> str:
        return word(self.body, "metadata", "name")

    @cached_property
    def group(self) -> str:
        """API group; "" for the core."""
        group, slash, _ = word(self.body, "apiVersion").partition("/")
        return group if slash else ""

    @property
    def place(self) -> Place:
        return self.at(self.remote or get(self.body, "metadata", "name") or first(dict(self.body)) or Text(""))

    def at(self, found: Value, offset: int = 0) -> Place:
        """The place of a text of this member, `offset` characters into it."""
        if not isinstance(found, Text):
            return Place(str(self.file), 1, 1)
        return Place(str(self.file), *found.at(offset))

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}" if self.kind and self.name else f"a patch in {self.file.name}"


def cluster_wide(kind: str) -> bool:
    return kind in _CLUSTER_WIDE or (kind.startswith("Cluster") and kind != "Cluster")


@dataclass(frozen=True)
class Tree:
    layout: Layout
    members: tuple[Member, ...]
    units: tuple[Unit, ...]
    unread: Mapping[PurePosixPath, str]

    @cached_property
    def variables(self) -> frozenset[tuple[str, str]]:
        """Kind and name of the objects that only hold variables: these count where they are used."""
        specs = [spec for unit in self.units for spec in (get(unit.body, "spec"), *flux.patched_into(unit))]
        sources = [source for spec in specs for source in items(spec, "postBuild", "substituteFrom")]
        return frozenset((word(source, "kind"), word(source, "name")) for source in sources)


def _stage_of(layout: Layout, unit: Unit) -> int | None:
    """A Kustomization belongs to the stage that it applies; where that is not in any, to that of its own file."""
    found = [stage for path in unit.paths if (stage := layout.stage_of(path)) is not None]
    return found[0] if found else layout.stage_of(unit.file)


def read(layout: Layout) -> Tree:
    files = Files(layout.root)
    folders = [folder for stage in layout.stages for folder in stage.folders]
    paths = list(files.with_flux(folders))
    units = _units(files, paths)
    built = [_Built(unit, folder, tuple(_parts(files, unit, folder))) for unit in units for folder in unit.paths]
    members = dict.fromkeys((*_applied(layout, built), *_not_applied(files, layout, units, built)))
    return Tree(layout, tuple(members), tuple(units), files.unread)


# --- Kustomizations of Flux ---


def _units(files: Files, paths: list[PurePosixPath]) -> list[Unit]:
    """Over again: what a Kustomization may apply shows whose parent it is, and a parent adds variables."""
    maps = dict(_maps(files, paths))
    units = [
        Unit(word(body, "metadata", "name"), word(body, "metadata", "namespace"), path, body)
        for path in paths
        for body in files.documents(path)
        if flux.is_kustomization(body) and word(body, "metadata", "name")
    ]
    for _ in range(_NESTED):
        by_folder = {path: unit for unit in units for path in unit.paths}
        units = [_resolved(files, unit, by_folder, maps) for unit in units]
    return units


def _resolved(
    files: Files, unit: Unit, by_folder: Mapping[PurePosixPath, Unit], maps: Mapping[tuple[str, str], Value]
) -> Unit:
    parent = _parent(unit, by_folder)
    above = [*flux.patched_into(parent)] if parent else []
    variables = flux.variables_of([*above, get(unit.body, "spec")], maps)
    paths = flux.folders(files, word(unit.body, "spec", "path") or "./", variables)
    # A Kustomization of the whole repository holds all others; it says nothing about where anything lies.
    return replace(unit, variables=variables, paths=tuple(path for path in paths if path.parts), parent=parent)


def _parent(unit: Unit, by_folder: Mapping[PurePosixPath, Unit]) -> Unit | None:
    """The one whose folder is the nearest around the file."""
    around = (by_folder[folder] for folder in unit.file.parents if folder in by_folder)
    return next((each for each in around if each.name != unit.name), None)


def _maps(files: Files, paths: list[PurePosixPath]) -> Iterator[tuple[tuple[str, str], Value]]:
    for path in paths:
        for body in files.documents(path):
            kind = word(body, "kind")
            if kind in ("ConfigMap", "Secret"):
                data = get(body, "data" if kind == "ConfigMap" else "stringData") or {}
                known = {key: item for key, item in data.items() if isinstance(item, Text) and "ENC[" not in item}
                yield (kind, word(body, "metadata", "name")), known


# --- members ---


@dataclass(frozen=True)
class _Built:
    """One of the folders that a Kustomization may apply, and all that this brings in."""

    unit: Unit
    folder: PurePosixPath
    parts: tuple[Part, ...]


def _parts(files: Files, unit: Unit, folder: PurePosixPath) -> Iterator[Part]:
    return kustomize.parts(files, folder, word(unit.body, "spec", "targetNamespace"))


def _applied(layout: Layout, built: list[_Built]) -> Iterator[Member]:
    """What the Kustomizations apply, each object with the variables of its own."""
    for each in built:
        of_folder = layout.stage_of(each.folder)
        for part in each.parts:
            # One that applies several stages, or lies beside all of them, has what each file has.
            stage = layout.stage_of(part.file) if of_folder is None else of_folder
            if stage is not None:
                yield _member(layout, stage, each.unit, each.folder, part)


def _not_applied(files: Files, layout: Layout, units: list[Unit], built: list[_Built]) -> Iterator[Member]:
    """What lies in a stage's folder and no Kustomization reaches: overlays that are not chosen now, or plain trees."""
    reached = {part.file for each in built for part in each.parts}
    for number, stage in enumerate(layout.stages):
        for folder in stage.folders:
            rooted = [(root, part) for root in _roots(files, folder) for part in kustomize.parts(files, root)]
            alone = [(path.parent, part) for path in files.below(folder) for part in _alone(files, path)]
            names = {part.file for _, part in rooted}
            for root, part in (*rooted, *((root, part) for root, part in alone if part.file not in names)):
                if part.file not in reached:
                    yield _member(layout, number, None, root, part)
    yield from _beside(layout, units, reached)


def _alone(files: Files, path: PurePosixPath) -> Iterator[Part]:
    if files.kustomization(path.parent) != path:
        yield from (Part(path, body) for body in files.documents(path))


def _beside(layout: Layout, units: list[Unit], reached: set[PurePosixPath]) -> Iterator[Member]:
    """Kustomizations whose own files lie in no stage's folder: they belong to the stage that they apply."""
    for unit in units:
        own = _stage_of(layout, unit)
        if own is not None and layout.stage_of(unit.file) is None and unit.file not in reached:
            yield _member(layout, own, None, unit.file.parent, Part(unit.file, dict(unit.body)))


def _roots(files: Files, folder: PurePosixPath) -> list[PurePosixPath]:
    """The folders below with a kustomization of their own that no other one includes."""
    own = [path.parent for path in files.below(folder) if files.kustomization(path.parent) == path]
    included = {
        path
        for each in own
        for body in files.documents(files.kustomization(each) or each)
        for key in ("resources", "bases", "components")
        for entry in items(body, key)
        if isinstance(entry, Text) and (path := joined(each, entry)) is not None
    }
    return [each for each in own if each not in included]


def _member(layout: Layout, stage: int, unit: Unit | None, root: PurePosixPath, part: Part) -> Member:
    body = flux.substituted(part.body, unit.variables) if unit else part.body
    kind = word(body, "kind")
    given = part.namespace or word(body, "metadata", "namespace")
    namespace = "" if cluster_wide(kind) else given
    file = part.file if layout.stage_of(part.file) == stage else root / part.file.name
    app = layout.app_of(file)
    return Member(stage, unit, app, part.file, namespace, body, part.patch, part.remote)
