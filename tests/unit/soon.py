"""Waiting in tests for what other threads and processes do, on a computer that does much else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.wait import wait_until

Seen = TypeVar("Seen")
WITHIN = 60.0


def soon(seen: Callable[[], Seen]) -> Seen:
    """What `seen` returns once it is true of something. Raises WaitedTooLong after WITHIN seconds."""
    return wait_until(lambda: (seen() or None, ""), deadline=WITHIN, interval=0.02, describe="what the test waits for")
