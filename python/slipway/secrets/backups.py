"""Backups of the control plane on this machine: encrypted to those who can open the repository's secrets, and beside
each a file that says what it holds, with nothing secret in it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from slipway import inside
from slipway.cluster import backup
from slipway.cluster.backup import About, Archive
from slipway.errors import InvalidInput, UsageError
from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.secrets import store
from slipway.tools import age
from slipway.words import to_json

ENCRYPTED, PLAIN = ".tar.gz.age", ".tar.gz"
BESIDE = ".json"
"""What the file that tells of a backup has behind the backup's own name."""
OWNERS_ALONE = 0o600


@dataclass(frozen=True)
class Saved:
    """A backup in a file. `digest` is the SHA-256 of the archive before it was encrypted, `size` its bytes;
    `recipients` are the public keys that it was encrypted to, none of a plain one."""

    path: Path
    about: About
    digest: str
    size: int
    recipients: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        about = {"sha256": self.digest, "bytes": self.size, "recipients": list(self.recipients)}
        return {"file": str(self.path.absolute()), **self.about.to_json(), **about}


def folder_of(root: Path) -> Path:
    """Where backups lie if nobody says otherwise: Git takes no notice of it, and nobody else reads it."""
    return inside.state(root, "backups")


def save(root: Path, archive: Archive, to: Path | None = None, *, plain: bool = False) -> Saved:
    """Write it into the new file or existing folder `to`, which only its owner can read, encrypted unless `plain`.

    Nothing of it is written unencrypted meanwhile. Raises UsageError where the file exists.
    """
    path = _path(folder_of(root) if to is None else to, archive.about, PLAIN if plain else ENCRYPTED)
    recipients = () if plain else store.recipients_of(root)
    saved = Saved(path, archive.about, archive.digest, archive.size, recipients)
    try:
        if plain:
            with inside.created(path, OWNERS_ALONE) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as stream:
                stream.write(archive.content.reveal())
        else:
            age.encrypt(archive.content, recipients, path)
    except FileExistsError:
        raise UsageError(f"{path} exists; it is not overwritten", hint="slipway backup --to another name") from None
    about = {key: value for key, value in saved.to_json().items() if key != "file"}
    inside.write(path.parent, path.name + BESIDE, (to_json(about, indent=2) + "\n").encode(), OWNERS_ALONE)
    return saved


def _path(to: Path, about: About, ending: str) -> Path:
    if not to.is_dir():
        return to
    time = about.time.partition("+")[0].replace("-", "").replace(":", "")
    return to / f"{about.cluster}-{time}Z{ending}"


def known(folder: Path) -> Sequence[Saved]:
    """The backups in a folder that have a file beside them, newest first."""
    found = (_told(path) for path in folder.glob(f"*{BESIDE}"))
    return sorted((each for each in found if each is not None), key=lambda each: each.about.time, reverse=True)


def _told(beside: Path) -> Saved | None:
    path = beside.with_name(beside.name.removesuffix(BESIDE))
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        about = About(**{key: str(said[key]) for key in (field.name for field in fields(About))})
        recipients = tuple(str(each) for each in said["recipients"])
        return Saved(path, about, str(said["sha256"]), int(said["bytes"]), recipients) if path.is_file() else None
    except (OSError, *NO_SENSE):
        return None


def load(root: Path, path: Path) -> Archive:
    """The archive in a file, decrypted in memory. Raises InvalidInput for what is none, or another than was written."""
    if not path.is_file():
        raise InvalidInput(f"{path}: no such file", hint="slipway backup --list")
    with path.open("rb") as stream:
        encrypted = stream.read(64).startswith((b"age-encryption.org/", b"-----BEGIN AGE"))
    content = age.decrypt(path, store.own_key(root).private) if encrypted else Secret(path.read_bytes())
    archive, told = backup.read(content), _told(path.with_name(path.name + BESIDE))
    if told is not None and told.digest != archive.digest:
        raise InvalidInput(f"{path}: its digest is {archive.digest[:12]}, {told.path.name}{BESIDE} says "
                           f"{told.digest[:12]}", hint="take another backup: slipway backup --list")  # fmt: skip
    return archive
