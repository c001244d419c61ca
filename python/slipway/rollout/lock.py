"""One run at a time per repository. The lock is the kernel's, so a run that died holds nothing."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from slipway import inside
from slipway.errors import InvalidInput, LockedByAnother


@contextmanager
def hold(root: Path, name: str = "lock") -> Iterator[None]:
    """Hold the lock of the repository at `root`, or another one of it. Raises LockedByAnother, naming who holds it and
    since when."""
    path = inside.place(inside.state(root), name)
    # place() has looked for symlinks; one that comes in between is not followed either.
    with os.fdopen(_opened(path), "r+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedByAnother(
                f"{path}: held by {_holder(stream)}", hint="wait for it; the lock goes with the process"
            ) from None
        _sign(stream)
        yield
        stream.truncate(0)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise InvalidInput(f"{path}: no lock can be held there: {error.strerror}", hint=f"rm {path}") from error


def _sign(stream: IO[str]) -> None:
    stream.seek(0)
    stream.truncate()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "user": getpass.getuser(), "since": since}, stream)
    stream.flush()


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    try:
        holder = json.load(stream)
        return f"process {holder['pid']} of {holder['user']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError):
        return "another run that is just starting"
