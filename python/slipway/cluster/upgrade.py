"""The way from the releases of k0s that run to another one: one minor release at a time, never back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from slipway.cluster.backup import running_release
from slipway.cluster.skew import Leap
from slipway.errors import SlipwayError, Unreachable, UsageError
from slipway.inventory import Inventory
from slipway.inventory.messages import did_you_mean
from slipway.inventory.releases import known_releases, minor_of, newest_release
from slipway.ssh.pool import Pool, together


def running(inventory: Inventory, pool: Pool) -> Mapping[str, str]:
    """The release that each host's k0s runs. Raises Unreachable where one cannot be asked: it may be the oldest."""
    answers = pool.map(running_release, [host.name for host in inventory.hosts], limit=inventory.deploy.parallel)
    silent = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
    if silent:
        found = together(silent, "slipway status")
        raise Unreachable(f"which k0s runs is not known of all:\n{found}", hint=found.hint)
    return {name: answer for name, answer in answers.items() if isinstance(answer, str)}


def target(asked: str) -> str:
    """A known release: the newest, the newest of a minor (1.36), or the one of that name. Raises UsageError."""
    found = newest_release() if not asked else asked if asked in known_releases() else None
    if found is None and re.fullmatch(r"\d+\.\d+", asked):
        found = newest_release(f"{asked}.")
    if found is None:
        raise UsageError(f"{asked}: no release of k0s that slipway knows{did_you_mean(asked, known_releases())}",
                         hint=f"slipway upgrade {newest_release()}")  # fmt: skip
    return found


def steps(now: Collection[str], wanted: str) -> tuple[str, ...]:
    """The releases to go through, `wanted` last; none where all run it. Raises Leap for a way back."""
    newest, oldest = max(now, key=_order), min(now, key=_order)
    if _order(wanted) < _order(newest):
        raise Leap(f"k0s {newest} runs, and does not go back to {wanted}: etcd's data is of the newer release",
                   hint=f"slipway upgrade {newest}")  # fmt: skip
    if _order(oldest) == _order(wanted):
        return ()
    between = [newest_release(f"1.{minor}.") for minor in range(minor_of(oldest) + 1, minor_of(wanted))]
    if None in between:
        raise Leap(f"between {oldest} and {wanted} lies a minor release that slipway does not know",
                   hint=f"slipway upgrade 1.{minor_of(oldest) + 1}")  # fmt: skip
    return (*(each for each in between if each is not None), wanted)


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release))
