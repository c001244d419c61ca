"""Values that must never be printed, logged, or reach a disk or an argument list."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MASK = "********"


class Secret:
    """A value that prints as a mask; `reveal` is the one way out and easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    @contextmanager
    def as_file(self) -> Iterator[str]:
        """A path that child processes can read for as long as the block lasts; the bytes stay in memory (memfd).

        For programs that take a file and nothing else, such as KUBECONFIG. The path is /proc/PID/fd/N, readable by
        this user only, and gone with this process even if it is killed.
        """
        descriptor = os.memfd_create("slipway-secret")
        try:
            # helm and ssh warn of, or refuse, what others could read.
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, self._value)
            yield f"/proc/{os.getpid()}/fd/{descriptor}"
        finally:
            os.close(descriptor)
