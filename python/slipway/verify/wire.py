"""Messages between the process that holds the SSH connections and the processes that run the checks.

One JSON object a line, over a Unix socket in a folder that only this user can enter.
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Message = dict[str, Any]

CONTROL = ""
"""The name under which the process of the checks says hello; its children say the keys of their nodes."""


class Line:
    """One end of a connection; not for two threads at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rwb")

    @classmethod
    def to(cls, path: Path) -> Self:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(path))
        return cls(connection)

    def send(self, **message: object) -> None:
        self._file.write(json.dumps(message).encode() + b"\n")
        self._file.flush()

    def receive(self) -> Message | None:
        """The next message, or None when the other end is gone. Raises TimeoutError after `limit` seconds."""
        raw = self._file.readline()
        return json.loads(raw) if raw.endswith(b"\n") else None

    def limit(self, seconds: float) -> None:
        """How long `receive` may wait from now on."""
        self._connection.settimeout(seconds)

    def fileno(self) -> int:
        """For select: ready means that a message has come, or the end."""
        return self._connection.fileno()

    def close(self) -> None:
        """Also from another thread: whoever waits for a message here gets None."""
        with contextlib.suppress(OSError):  # the other end was faster
            self._connection.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # what was not sent yet has nobody to go to
            self._file.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
