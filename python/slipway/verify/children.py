"""Forked children of a process with one thread: some at a time, each for a bounded time, none without its master."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
from collections.abc import Callable

from slipway.verify.wire import Line

SIGNALS = 4096
"""Bytes of the wake-up socket that are read at once; each stands for a child that ended."""


class Children:
    """At most `limit` at once, each ended by the kernel's alarm after `bound` seconds.

    `master` is the connection to the process that wants all this. When that goes, however it goes, the children go.
    """

    def __init__(self, master: Line, *, limit: int, bound: float) -> None:
        self._master, self._limit, self._bound = master, limit, bound
        self._running: set[int] = set()
        self._ended, self._wake_up = socket.socketpair()
        self._wake_up.setblocking(False)
        # A child that ends interrupts nobody; it leaves a byte on the socket, for which `wait` can wait.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_up.fileno(), warn_on_full_buffer=False)

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` in a child as soon as there is room for one more."""
        self.wait(self._limit - 1)
        child = os.fork()
        if child == 0:
            self._be_child(work)
        self._running.add(child)

    def wait(self, left: int = 0) -> None:
        """Return when at most `left` children still run. Raises SystemExit, with none left, when the master is gone."""
        while len(self._running) > left:
            ready, _, _ = select.select([self._ended.fileno(), self._master.fileno()], [], [])
            if self._master.fileno() in ready:
                self._end_all()
                raise SystemExit(1)
            self._ended.recv(SIGNALS)
            self._bury()

    def _be_child(self, work: Callable[[], None]) -> None:
        """Never returns, and runs none of what the parent meant to do at its own end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.setitimer(signal.ITIMER_REAL, self._bound)
            gc.disable()
            work()
            code = 0
        finally:
            os._exit(code)

    def _bury(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                self._running.discard(ended)

    def _end_all(self) -> None:
        for child in self._running:
            os.kill(child, signal.SIGKILL)  # there until it is buried, even if it has ended already
            os.waitpid(child, 0)
