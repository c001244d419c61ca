"""What a folder consists of for Flux and kustomize: its own kustomization.yaml, or every file in it.

Not a second kustomize: what matters to the law is which files belong to which folder, in which namespace their objects
end, and the words of patches and generators.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from slipway.stages.law import text
from slipway.stages.law.files import Files, joined
from slipway.stages.law.text import Text, Value, get, items, word

_RESOURCES = ("resources", "bases", "crds", "configurations", "transformers")
_PATCHES = ("patches", "patchesStrategicMerge", "patchesJson6902")
_GENERATED = {"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}


@dataclass(frozen=True)
class Part:
    """One mapping of YAML that belongs to a folder. `namespace` is what kustomize puts it into, "" where it does not.

    `patch`: it changes an object and is none. `remote`: an address that kustomize fetches, in place of a body.
    """

    file: PurePosixPath
    body: dict[Text, Value]
    namespace: str = ""
    patch: bool = False
    remote: Text | None = None


def parts(files: Files, folder: PurePosixPath, namespace: str = "") -> Iterator[Part]:
    """Everything that building `folder` brings in; `namespace` is what the folders around it have decided."""
    yield from _parts(files, folder, namespace, ())


def _parts(files: Files, folder: PurePosixPath, namespace: str, around: tuple[PurePosixPath, ...]) -> Iterator[Part]:
    if folder in around:
        return
    own = files.kustomization(folder)
    if own is None:
        yield from _plain(files, folder, namespace, (*around, folder))
    else:
        for body in files.documents(own):
            yield from _kustomized(files, own, body, namespace, (*around, folder))


def _plain(files: Files, folder: PurePosixPath, namespace: str, around: tuple[PurePosixPath, ...]) -> Iterator[Part]:
    """As Flux does where there is no kustomization.yaml: every file, and every folder below with its own rules."""
    for path in sorted((files.root / folder).iterdir()):
        name = folder / path.name
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _parts(files, name, namespace, around)
        elif path.suffix in (".yaml", ".yml"):
            yield from (Part(name, body, namespace) for body in files.documents(name))


def _kustomized(
    files: Files, own: PurePosixPath, body: Value, namespace: str, around: tuple[PurePosixPath, ...]
) -> Iterator[Part]:
    inside = namespace or word(body, "namespace")
    for key in _RESOURCES:
        for entry in items(body, key):
            yield from _resource(files, own, entry, inside, around)
    for entry in items(body, "components"):
        yield from _resource(files, own, entry, inside, around)
    for key in _PATCHES:
        for entry in items(body, key):
            yield from (replace(part, namespace=inside, patch=True) for part in _patch(files, own, entry))
    for key, kind in _GENERATED.items():
        for entry in items(body, key):
            yield from _generated(files, own, kind, entry, inside)


def _resource(
    files: Files, own: PurePosixPath, entry: Value, namespace: str, around: tuple[PurePosixPath, ...]
) -> Iterator[Part]:
    if not isinstance(entry, Text):
        return
    path = joined(own.parent, entry)
    if path is None:
        yield Part(own, {}, namespace, remote=entry)
    elif files.is_folder(path):
        yield from _parts(files, path, namespace, around)
    elif files.is_file(path):
        yield from (Part(path, body, namespace) for body in files.documents(path))


def _patch(files: Files, own: PurePosixPath, entry: Value) -> Iterator[Part]:
    inline = entry if isinstance(entry, Text) and "\n" in entry else word(entry, "patch")
    named = entry if isinstance(entry, Text) else word(entry, "path")
    path = joined(own.parent, named) if named and not inline else None
    if isinstance(inline, Text):
        yield Part(own, {_like("patch", inline): text.parse(inline)})
    elif path is not None and files.is_file(path):
        yield from (Part(path, body) for body in files.documents(path))


def _generated(files: Files, own: PurePosixPath, kind: str, entry: Value, namespace: str) -> Iterator[Part]:
    """The ConfigMap or Secret of a generator, with what its files say: values of Helm come this way."""
    name = get(entry, "name")
    if not isinstance(name, Text):
        return
    metadata = {_like("name", name): name, _like("namespace", name): _like(namespace or word(entry, "namespace"), name)}
    head = {_like("apiVersion", name): _like("v1", name), _like("kind", name): _like(kind, name)}
    yield Part(own, {**head, _like("metadata", name): metadata}, namespace)
    for source in items(entry, "files"):
        path = joined(own.parent, str(source).rpartition("=")[2]) if isinstance(source, Text) else None
        if path is not None and path.suffix in (".yaml", ".yml") and files.is_file(path):
            yield from (Part(path, body, namespace, patch=True) for body in files.documents(path))


def _like(value: str, place: Text) -> Text:
    return text.text(value, place)
