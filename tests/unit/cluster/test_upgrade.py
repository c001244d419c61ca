"""The way from the releases that run to another one."""

from typing import cast

import pytest

from slipway.cluster import upgrade
from slipway.cluster.skew import Leap
from slipway.errors import Unreachable, UsageError
from slipway.inventory.releases import known_releases, newest_release
from slipway.ssh.pool import Pool


@pytest.mark.parametrize(
    ("now", "wanted", "steps"),
    [
        ({"1.36.3+k0s.2"}, "1.36.3+k0s.2", ()),
        ({"1.36.3+k0s.1"}, "1.36.3+k0s.2", ("1.36.3+k0s.2",)),
        ({"1.35.7+k0s.0"}, "1.36.3+k0s.2", ("1.36.3+k0s.2",)),
        ({"1.34.9+k0s.0"}, "1.36.3+k0s.2", (newest_release("1.35."), "1.36.3+k0s.2")),
        ({"1.35.7+k0s.0", "1.34.9+k0s.0"}, "1.35.7+k0s.0", ("1.35.7+k0s.0",)),
    ],
    ids=["none", "a build", "a minor", "two minors", "half-way"],
)
def test_one_minor_release_at_a_time(now, wanted, steps):
    assert upgrade.steps(now, wanted) == steps


@pytest.mark.parametrize("wanted", ["1.35.7+k0s.0", "1.36.3+k0s.1"])
def test_never_back(wanted):
    with pytest.raises(Leap, match="does not go back to"):
        upgrade.steps({"1.36.3+k0s.2", "1.35.7+k0s.0"}, wanted)


def test_a_minor_release_that_nobody_knows_is_no_step():
    with pytest.raises(Leap, match="does not know"):
        upgrade.steps({"1.28.5+k0s.0"}, "1.31.1+k0s.1")


def test_a_release_by_name_by_its_minor_or_the_newest():
    assert upgrade.target("1.35.7+k0s.0") == "1.35.7+k0s.0"
    assert upgrade.target("1.35") == newest_release("1.35.")
    assert upgrade.target("") == list(known_releases())[-1]
    for odd in ("1.99", "v1.36.3+k0s.2", "1.36.", "newest"):
        with pytest.raises(UsageError, match="no release of k0s that slipway knows"):
            upgrade.target(odd)


def test_every_machine_says_what_it_runs_or_nothing_begins(world):
    one = world()
    one.bring_up()
    pool = cast("Pool", one.pool)
    assert set(upgrade.running(one.inventory, pool).values()) == {"1.36.3+k0s.2"}
    one.machine("w2").breaks = "unreachable"
    with pytest.raises(Unreachable, match="which k0s runs is not known of all:\nw2") as caught:
        upgrade.running(one.inventory, pool)
    assert caught.value.hint == "slipway status"
