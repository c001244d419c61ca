"""An API server that has just begun to serve may not take every connection: what could not reach it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.events import Events
from slipway.result import CommandFailed
from slipway.tools import kubectl
from slipway.wait import WaitedTooLong, wait_until

PHASE = "api"
INTERVAL = 2.0
"""Seconds between two tries."""

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], events: Events, *, within: float) -> Answer:
    """What `ask` returns, tried again for at most `within` seconds while the API server cannot be reached.

    `ask` may be begun again from its start. Raises what it raised last.
    """
    last: list[CommandFailed] = []

    def check() -> tuple[tuple[Answer] | None, str]:
        try:
            return (ask(),), ""
        except CommandFailed as failed:
            if not kubectl.unreached(failed):
                raise
            last[:] = [failed]
            return None, failed.result.excerpt(lines=1)

    try:
        (answer,) = wait_until(
            check, deadline=within, describe="the API server", interval=INTERVAL, on_progress=_say(events)
        )
    except WaitedTooLong:
        raise last[0] from None
    return answer


def _say(events: Events) -> Callable[[str], None]:
    return lambda seen: events.emit(PHASE, "progress", text=seen)
