"""Turns between processes: what two commands would make at the same time is made by one, and the other waits."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from slipway.wait import wait_until


@contextlib.contextmanager
def held(path: Path, *, deadline: float, describe: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path` for the block; the kernel frees it however the process ends.

    `on_wait` hears once if another process has it. Raises WaitedTooLong after `deadline` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:

        def taken() -> tuple[bool | None, str]:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None, "another process is at it"
            return True, ""

        wait_until(taken, deadline=deadline, describe=describe, interval=0.2, on_progress=on_wait)
        yield
