"""Waiting with a bound. Nothing in slipway waits in another way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from slipway.errors import SlipwayError

Seen = TypeVar("Seen")


class WaitedTooLong(SlipwayError):
    """The deadline came first; the message names what was waited for and what was seen last."""

    def __init__(self, describe: str, deadline: float, last: str) -> None:
        super().__init__(f"{describe}: not so after {deadline:g} s; last seen: {last or 'nothing'}")
        self.last = last


def wait_until(
    check: Callable[[], tuple[Seen | None, str]],
    *,
    deadline: float,
    describe: str,
    interval: float = 0.5,
    on_progress: Callable[[str], None] | None = None,
) -> Seen:
    """Call `check` until it returns a value, at most `deadline` seconds; return that value.

    `check` returns (value, "") when done and (None, what it saw instead) until then. Each new sight is passed to
    `on_progress`. Raises WaitedTooLong with the last sight; errors of `check` itself pass through.
    """
    end = time.monotonic() + deadline
    last = ""
    while True:
        value, seen = check()
        if value is not None:
            return value
        if seen != last and on_progress is not None:
            on_progress(seen)
        last = seen
        if time.monotonic() + interval > end:
            raise WaitedTooLong(describe, deadline, last)
        time.sleep(interval)
