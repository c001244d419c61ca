"""The machine's clock: etcd, certificates and join tokens need clocks that agree.

date +%s.%N; systemctl is-active chronyd
"""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence

import pytest

from slipway.verify.asked import Facts
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect

SECONDS = 30.0
"""How far clocks may differ; k0sctl's limit, too."""
DAEMONS = ("chronyd.service", "systemd-timesyncd.service", "ntpd.service", "openntpd.service")


class Unit:
    """What systemd knows about a unit.

    >>> units(host, ["chronyd.service"])["chronyd.service"].active
    True
    """

    def __init__(self, properties: str) -> None:
        known = dict(line.split("=", 1) for line in properties.splitlines())
        self.loaded = known["LoadState"] == "loaded"
        self.state = known["ActiveState"]
        self.active = self.state == "active"
        # systemd looks at a unit's conditions when it is about to start it, and says "no" where they do not hold.
        self.unwanted = self.loaded and not self.active and known["ConditionResult"] == "no"


def units(host: NodeHost, names: Sequence[str]) -> dict[str, Unit]:
    """Name to unit; those that are not installed are not loaded."""
    command = f"systemctl show -p LoadState,ActiveState,ConditionResult {shlex.join(names)}"
    blocks = host.check_output(command).split("\n\n")
    return dict(zip(names, map(Unit, blocks), strict=True))


def test_within_30_s(facts: Facts) -> None:
    """The clock is within 30 s of the clock here."""
    expect(
        abs(facts.clock_offset) - facts.clock_error <= SECONDS,
        expected=f"at most {SECONDS:g} s from the clock of the machine that verifies",
        found=f"{facts.clock_offset:+.1f} s",
        fix="chronyc makestep on the node; if every node says so, the clock here is wrong",
        command="date",
    )


def test_is_kept(host: NodeHost) -> None:
    """A time service keeps the clock."""
    loaded = {name: unit for name, unit in units(host, DAEMONS).items() if unit.loaded}
    if loaded and all(unit.unwanted for unit in loaded.values()):
        pytest.skip("the clock belongs to the machine that this container runs on")
    expect(
        any(unit.active for unit in loaded.values()),
        expected="one active of " + ", ".join(DAEMONS),
        found=", ".join(f"{name} {unit.state}" for name, unit in loaded.items()) or "none of them installed",
        fix="systemctl start chronyd.service; journalctl -u chronyd.service",
        command="systemctl status chronyd.service",
    )


SKEW = 1.0
"""Seconds between nodes; etcd warns of more between its members, and leases and logs mislead."""


def test_agrees_with_the_others(facts: Facts, others: Mapping[str, Facts]) -> None:
    """The clock agrees with those of most other nodes."""
    if len(others) < 2:
        pytest.skip("fewer than three nodes were asked: nobody could say whose clock is wrong")
    middle = statistics.median(each.clock_offset for each in (facts, *others.values()))
    error = facts.clock_error + max(each.clock_error for each in others.values())
    off = facts.clock_offset - middle
    expect(
        abs(off) - error <= SKEW,
        expected=f"at most {SKEW:g} s from the middle of {len(others) + 1} nodes",
        found=f"{off:+.1f} s",
        fix="chronyc tracking; chronyc makestep",
        command="date +%s.%N",
    )
