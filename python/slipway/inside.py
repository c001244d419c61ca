"""Files below a folder that somebody else may have filled: no symlink there leads us out of it.

A repository that was cloned holds what its author put into it. A link under the name of a file that we are about to
write would have us write somewhere else.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from slipway.errors import InvalidInput
from slipway.paths import state_dir


def place(root: Path, name: PurePath | str) -> Path:
    """The path `name` below `root`. Raises InvalidInput where it, or a folder on the way, is a symlink."""
    path = root
    for part in PurePath(name).parts:
        path = path / part
        if path.is_symlink():
            raise InvalidInput(
                f"{path}: a symlink to {path.readlink()}; slipway follows none in a repository", hint=f"rm {path}"
            )
    return path


def folder(root: Path, name: PurePath | str) -> Path:
    """The folder `name` below `root`; made if it is not there. Raises InvalidInput for symlinks."""
    path = place(root, name)
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(root: Path, name: PurePath | str, content: bytes, mode: int = 0o666) -> Path:
    """Write the file `name` below `root`. It appears whole: nobody knows its temporary name before it is there.

    `mode` less what the umask takes is the file's from the first moment, also where one of that name was there.
    """
    target = place(root, name)
    folder(root, PurePath(name).parent)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with created(beside, mode) as descriptor, os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target


@contextmanager
def created(path: Path, mode: int = 0o666) -> Iterator[int]:
    """A file that was not there before, open for writing; `mode` less what the umask takes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def state(root: Path, name: PurePath | str = "") -> Path:
    """A folder in `.slipway/` of the repository at `root`, for its owner alone: what nodes said is in it."""
    top = folder(root, state_dir(root).name)
    if top.stat().st_mode & 0o077:
        top.chmod(0o700)
    return folder(top, name)
