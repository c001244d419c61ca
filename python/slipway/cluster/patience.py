"""An API server that has just begun to serve may not take every connection: what could not reach it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.events import Events
from slipway.result import CommandFailed
from slipway.wait import WaitedTooLong, wait_until

PHASE = "api"
UNREACHED = (
    "kubernetes cluster unreachable",
    "unable to connect to the server",
    "the connection to the server",
)
"""What helm (pkg/kube/client.go, IsReachable, before it does anything) and kubectl (pkg/cmd/util/helpers.go) say where
no request came to the API server; in small letters."""

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
            if not unreached(failed):
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


def unreached(failed: CommandFailed) -> bool:
    """Whether the command ended because it could not reach the API server, and so changed nothing there."""
    said = failed.result.stderr.lower()
    return any(words in said for words in UNREACHED)


def _say(events: Events) -> Callable[[str], None]:
    return lambda seen: events.emit(PHASE, "progress", text=seen)
