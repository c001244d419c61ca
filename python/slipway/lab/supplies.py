"""All that a lab needs besides its machines: programs, container images, charts; made once, kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from slipway.events import Events
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.lab import binaries, charts, definitions, images, stores
from slipway.lab.builds import K0s, needed
from slipway.lab.settings import Machine

Made = TypeVar("Made")


def ensure(events: Events, until: str = BOOTSTRAP) -> None:
    """Have every program, image and chart of a lab with the stand-in, whose last stage is `until`, in the cache.

    Quick when they are there. Raises PrerequisiteMissing, with the last words of a build that failed.
    """
    binaries.ensure([build.name for build in needed(K0s.STAND_IN, until)], events)
    _make_from_programs(events, until)


def beside(work: Callable[[], Made], events: Events, kind: K0s, until: str = BOOTSTRAP) -> Made:
    """Do `work` while the programs of a lab with this k0s, up to this stage, are built; return what it returned once
    all are there.

    An error of `work`, or an interruption, does not wait for a build.
    """
    builds = needed(kind, until)
    with binaries.Background(events, builds) as background:
        made = work()
        background.wait(*(build.name for build in builds))
    _make_from_programs(events, until)
    return made


def stock(
    machines: Sequence[Machine],
    events: Events,
    kind: K0s = K0s.STAND_IN,
    own: Iterable[Path] = (),
    until: str = BOOTSTRAP,
) -> None:
    """Show the images of the stages up to `until` to these machines, and give them, with the archives of the lab's
    `own`, to those whose containerd never ran.

    They are imported once, by the lab's containerd; a released k0s has another one, which imports them itself. Raises
    what images.ensure and stores.give raise.
    """
    ours = images.ensure(events, images.wanted_until(until))
    for lab in {machine.lab for machine in machines}:
        images.show(ours, lab.images)
    archives = (*ours, *own)
    if kind is not K0s.RELEASED:
        stores.give(archives, [machine.containerd for machine in machines], events)


def _make_from_programs(events: Events, until: str) -> None:
    binaries.link_host_tools(events)
    images.ensure(events, images.wanted_until(until))
    charts.ensure(events, [chart.name for chart in charts.wanted_until(until)])
    if until != BOOTSTRAP:
        definitions.ensure(events)
