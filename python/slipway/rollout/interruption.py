"""Ctrl-C during a run. Between two systems a node is not left alone; everywhere else we stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from slipway.tools import run

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP: the terminal, or the SSH session that somebody deploys from, is gone."""


class Interruption:
    """Hears of SIGINT, SIGTERM and SIGHUP while `heard` lasts; what is ignored (nohup) stays so.

    One ends what is under way and raises KeyboardInterrupt in the main thread. Within `sheltered` the first only sets
    `asked`, and what has begun may end; the second sets `insisted` and ends that too. KeyboardInterrupt then comes at
    the end of the block, when every node's result is known.
    """

    def __init__(self, cut: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._cut = cut
        self._tell = tell
        self._is_sheltered = False
        self.asked = False
        self.insisted = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Signals reach the main thread alone; in another one there is nothing to hear."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._hear) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def sheltered(self) -> Iterator[None]:
        self._is_sheltered = True
        try:
            yield
        finally:
            self._is_sheltered = False
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_sheltered and not self.asked:
            self.asked = True
            self._tell("interrupted: what is being activated is brought to its end; once more to leave it to itself")
            return
        if not self.insisted:
            self._tell("interrupted: what is under way is ended")
        stubborn = self._is_sheltered and not self.insisted
        self.asked = self.insisted = True
        run.stop()
        self._cut()
        if not stubborn:
            raise KeyboardInterrupt
