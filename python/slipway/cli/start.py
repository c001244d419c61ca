"""Where the console script begins: for nobody else to import. An interruption is answered from its first line on.

Nothing is imported up here that Python does not have already: whatever takes time may be interrupted.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # (what `signal` is made of; that one imports more)
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
"""As in slipway.errors, which is not there yet."""


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


_before = _signal.getsignal(_signal.SIGINT)


def _answer(how: object) -> None:
    """Unless whoever started us has interruptions ignored: nohup, a script for what it starts in the background."""
    if _before != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, how)


_answer(_leave)


def main() -> NoReturn:
    gc.disable()  # modules are made to stay: to look for garbage among them is a twentieth of a short command's time
    from slipway.cli.main import run

    try:
        # While modules are imported there is nothing to clear up, and much takes an interruption for its own error.
        code = run(sys.argv[1:], begins=_begin)
        _answer(_leave)
    except KeyboardInterrupt:  # while it was told how the command came out
        _leave(_signal.SIGINT, None)
    others = _others_live()
    if code == INTERRUPTED and others:
        # They wait for machines that do not answer, each in its own time; Python would wait for all of them.
        _flush()
        os._exit(code)
    if not others:
        _end(code)
    sys.exit(code)


def _begin() -> None:
    gc.freeze()
    gc.enable()
    _answer(_before)


def _end(code: int) -> None:
    """End as Python does, without taking every module apart first: a third of a short command's time."""
    import atexit

    atexit._run_exitfuncs()
    _flush()
    os._exit(code)


def _flush() -> None:
    """What cannot be written has been told, or there is nobody to tell; Python would say it again, with a code of its
    own."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 (contextlib is not imported here)
            stream.flush()
        except (OSError, ValueError):
            pass


def _others_live() -> bool:
    import threading

    return any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate())
