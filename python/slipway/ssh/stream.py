"""The TCP connection below SSH, as paramiko reads it: with a thread for each connection.

Three hundred such threads are most of what a fleet costs the computer that works on it. paramiko reads each packet in
pieces, and lets its thread wake ten times a second to look around; here pieces come out of one read, and the thread
sleeps until the machine says something or the connection is closed.
"""

from __future__ import annotations

import contextlib
import socket

LOOK_AROUND = 5.0
"""Seconds until a thread that reads or writes looks whether a sign of life or new keys are due."""
CHUNK = 32 << 10
"""Bytes of a read; about paramiko's largest packet."""


class Stream:
    """The part of a socket that paramiko.Transport needs. One thread reads; any may close."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._is_tcp = opened.family in (socket.AF_INET, socket.AF_INET6)
        self._held, self._at = b"", 0

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises TimeoutError after LOOK_AROUND."""
        if self._at >= len(self._held):
            self._held, self._at = self._socket.recv(max(size, CHUNK)), 0
            self._acknowledge()
        part = self._held[self._at : self._at + size]
        self._at += len(part)
        return part

    def _acknowledge(self) -> None:
        """Now, and not 40 ms later: so long sshd, which keeps small packets together until a program runs, holds its
        answer to the request for a session back. The kernel forgets it with each packet."""
        if self._is_tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def send(self, data: bytes) -> int:
        return self._socket.send(data)

    def settimeout(self, _seconds: float | None) -> None:
        """What paramiko asks for is how often it wants to look around."""
        self._socket.settimeout(LOOK_AROUND)

    def getpeername(self) -> object:
        return self._socket.getpeername()

    def close(self) -> None:
        """Wakes whoever reads or writes: closing alone would let them sleep on, and the machine wait with them."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @property
    def _closed(self) -> bool:
        """paramiko asks sockets so."""
        return self._socket.fileno() < 0
