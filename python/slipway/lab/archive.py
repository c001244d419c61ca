"""Container images without a container engine: layers out of files of this machine, in a docker-archive.

Everything is deterministic: the same files give the same bytes, hence the same digests. Layers stay uncompressed: they
are never sent anywhere, and inflating them would be most of the work of an import. Images that have a layer in common
carry its bytes once per archive, and a node stores them once.

The format is that of `docker save` (manifest.json, a configuration per image, layers), which `ctr images import` and
k0s's folder of airgap bundles read.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

COPY_AT_ONCE = 1 << 20
"""Bytes."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's word for a processor -> the one of image configurations."""


class Sink(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object: ...


Member = tuple[tarfile.TarInfo, Callable[[Sink], object]]
"""A header of a tar and what writes that many bytes after it."""


@dataclass(frozen=True)
class Entry:
    """A file of a layer: with `source` a file of this machine, with `content` those bytes, with `link` a symbolic link,
    with none of them a folder. Folders on the way to an entry need none of their own: they get mode 0755."""

    path: str
    mode: int
    source: Path | None = None
    content: bytes | None = None
    link: str = ""
    owner: int = 0

    def identity(self) -> list[object]:
        """Tells two states of this entry apart, from a large source by its size and time alone."""
        content = hashlib.sha256(self.content).hexdigest() if self.content is not None else ""
        stat = self.source.stat() if self.source else None
        state = [str(self.source), stat.st_size, stat.st_mtime_ns] if stat else []
        return [self.path, self.mode, self.link, self.owner, content, *state]

    def member(self) -> Member:
        # A fresh header has time 0 and no names of users: nothing of this machine or moment gets in.
        header = tarfile.TarInfo(self.path)
        header.mode, header.uid, header.gid = self.mode, self.owner, self.owner
        if self.link:
            header.type, header.linkname = tarfile.SYMTYPE, self.link
        elif self.source:
            header.size = self.source.stat().st_size
        elif self.content is not None:
            header.size = len(self.content)
        else:
            header.type = tarfile.DIRTYPE
        return header, self._pour

    def _pour(self, sink: Sink) -> None:
        if self.source:
            with self.source.open("rb") as stream:
                shutil.copyfileobj(stream, sink, COPY_AT_ONCE)
        elif self.content:
            sink.write(self.content)


def program(path: str, source: Path) -> Entry:
    """An executable; links to it on this machine are followed."""
    return Entry(path, 0o755, source=source.resolve())


def text(path: str, content: str) -> Entry:
    return Entry(path, 0o644, content=content.encode())


def link(path: str, target: str) -> Entry:
    return Entry(path, 0o777, link=target)


def folder(path: str, *, mode: int = 0o755, owner: int = 0) -> Entry:
    return Entry(path, mode, owner=owner)


def tree(path: str, source: Path) -> tuple[Entry, ...]:
    """Every file below the folder `source`, readable by all."""
    files = (file for file in source.rglob("*") if file.is_file())
    return tuple(Entry(f"{path}/{file.relative_to(source).as_posix()}", 0o644, source=file) for file in files)


@dataclass(frozen=True)
class Layer:
    """Files of an image, in the order of their paths whatever order they are given in."""

    entries: Sequence[Entry]

    def identity(self) -> list[object]:
        return [entry.identity() for entry in self._in_order()]

    @cached_property
    def digest(self) -> str:
        """sha256 of the layer's tar in hex, its diff id. Reads every source."""
        return self._measured.hash.hexdigest()

    @cached_property
    def size(self) -> int:
        return self._measured.size

    def write(self, sink: Sink) -> None:
        write_tar((entry.member() for entry in self._in_order()), sink)

    def member(self) -> Member:
        header = tarfile.TarInfo(f"{self.digest}.tar")
        header.size = self.size
        return header, self.write

    def _in_order(self) -> list[Entry]:
        return sorted(self.entries, key=lambda entry: entry.path)

    @cached_property
    def _measured(self) -> _Measure:
        measure = _Measure()
        self.write(measure)
        return measure


@dataclass(frozen=True)
class Image:
    """What a container starts from. `names` are complete references, registry and tag included."""

    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    workdir: str = "/"

    def identity(self) -> list[object]:
        return [self._settings(), self.names, [layer.identity() for layer in self.layers]]

    def configuration(self) -> bytes:
        """The image's configuration as JSON (OCI image-spec, config.md)."""
        config = {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": self._settings(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in self.layers]},
        }
        return json.dumps(config, sort_keys=True).encode()

    def _settings(self) -> dict[str, object]:
        return {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "User": self.user,
            "Env": [f"{name}={value}" for name, value in sorted(self.env.items())],
            "WorkingDir": self.workdir,
        }


def identity(images: Iterable[Image]) -> str:
    """A short digest of what these images would be made from, without reading large sources."""
    facts = json.dumps([image.identity() for image in images])
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def write_archive(images: Sequence[Image], sink: Sink) -> None:
    """All images in one docker-archive."""
    write_tar(_archive_members(images), sink)


def write_tar(members: Iterable[Member], sink: Sink) -> None:
    """A tar of these members, without tarfile's filling up to 10 KB, which depends on where in a file one begins."""
    for header, pour in members:
        sink.write(header.tobuf(tarfile.PAX_FORMAT))
        pour(sink)
        sink.write(bytes(-header.size % tarfile.BLOCKSIZE))
    sink.write(bytes(2 * tarfile.BLOCKSIZE))


def _archive_members(images: Sequence[Image]) -> Iterator[Member]:
    layers = {layer.digest: layer for image in images for layer in image.layers}
    yield from (layers[digest].member() for digest in sorted(layers))
    manifest = []
    for image in images:
        configuration = image.configuration()
        name = f"{hashlib.sha256(configuration).hexdigest()}.json"
        yield Entry(name, 0o644, content=configuration).member()
        files = [f"{layer.digest}.tar" for layer in image.layers]
        manifest.append({"Config": name, "RepoTags": list(image.names), "Layers": files})
    yield Entry("manifest.json", 0o644, content=json.dumps(manifest).encode()).member()


class _Measure:
    """A sink that keeps size and digest of what is written to it."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self.hash.update(data)
        self.size += len(data)
