"""All that a lab needs besides its machines: programs, container images, charts; made once, kept in the cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from slipway.events import Events
from slipway.lab import binaries, charts, images
from slipway.lab.builds import BUILDS

Made = TypeVar("Made")


def ensure(events: Events) -> None:
    """Have every program, image and chart of the lab in the cache. Quick when they are there.

    Raises PrerequisiteMissing, with the last words of a build that failed.
    """
    binaries.ensure([build.name for build in BUILDS], events)
    binaries.link_host_tools(events)
    images.ensure(events)
    charts.ensure(events)


def beside(work: Callable[[], Made], events: Events) -> Made:
    """Do `work` while the supplies are made; return what it returned once both are done."""
    with ThreadPoolExecutor(max_workers=1) as builder:
        supplies = builder.submit(ensure, events)
        made = work()
        supplies.result()
    return made
