"""From which minor release to which: the inventory wants 1.36, where nothing else is said."""

import pytest

from slipway.cluster import join, skew
from slipway.cluster.live import LiveNode, Living
from slipway.cluster.skew import Leap, Running
from slipway.errors import Unreachable
from slipway.inventory.releases import newest_release

ALL = ("cp1", "cp2", "cp3", "w1", "w2")


def everywhere(minor: int, **others: int) -> Running:
    nodes = {**dict.fromkeys(ALL, minor), **others}
    return Running(
        {name: minor for name, minor in nodes.items() if name.startswith("cp")},
        {name: minor for name, minor in nodes.items() if name.startswith("w")},
    )


@pytest.fixture
def fleet(world):
    return world(controllers=3, workers=2)


@pytest.mark.parametrize("minor", [35, 36])
def test_one_minor_release_is_a_step(fleet, minor):
    skew.require(fleet.inventory, everywhere(minor), ALL)


def test_two_are_refused_with_the_one_between(fleet):
    with pytest.raises(Leap) as caught:
        skew.require(fleet.inventory, everywhere(34), ALL)
    assert str(caught.value) == (
        "cp1 cp2 cp3 run Kubernetes 1.34: the inventory wants 1.36; k0s goes one minor release at a time"
    )
    assert caught.value.hint == (
        f"write `cluster.k0s.version: {newest_release('1.35.')}` first; slipway generate; slipway deploy; "
        "then 1.36.3+k0s.2"
    )


def test_one_controller_that_is_behind_holds_up_the_others(fleet):
    with pytest.raises(Leap, match=r"^cp3 runs Kubernetes 1\.34: the inventory wants 1\.36"):
        skew.require(fleet.inventory, everywhere(35, cp3=34), ["cp1"])


def test_a_worker_that_is_two_behind_holds_up_the_control_plane(fleet):
    with pytest.raises(Leap, match=r"^w2 runs Kubernetes 1\.34: .* behind their control plane, not two"):
        skew.require(fleet.inventory, everywhere(35, w2=34), ["cp1"])
    skew.require(fleet.inventory, everywhere(35, w2=34), ["w2"])


@pytest.mark.parametrize("name", ["cp2", "w1"])
def test_nothing_goes_back(fleet, name):
    with pytest.raises(Leap, match=rf"^{name} runs Kubernetes 1\.37: k0s does not go back to 1\.36"):
        skew.require(fleet.inventory, everywhere(36, **{name: 37}), ALL)
    skew.require(fleet.inventory, everywhere(36, **{name: 37}), ["cp1"])


def test_who_does_not_say_what_it_runs_is_not_refused(fleet):
    skew.require(fleet.inventory, Running({}, {}), ALL)


def test_controllers_are_asked_and_kubelets_known(fleet, monkeypatch):
    monkeypatch.setattr(join, "serves_minor", lambda machine: 35 if machine.name == "cp1" else None)
    nodes = {"w1": LiveNode("w1", kubelet="v1.34.2+k0s"), "w2": LiveNode("w2", kubelet="odd")}
    assert skew.running(fleet.inventory, fleet.pool, Living(nodes)) == Running({"cp1": 35}, {"w1": 34})


def test_the_control_plane_rises_where_a_chosen_controller_goes_to_another_minor_release(fleet, monkeypatch):
    runs = dict.fromkeys(("cp1", "cp2"), "1.36.3+k0s.1") | {"cp3": "1.35.7+k0s.0"}
    monkeypatch.setattr(skew, "running_release", lambda machine: runs[machine.name])
    assert skew.rises(fleet.inventory, fleet.pool, ALL) == 36, "half-way"
    for chosen in (["cp1", "cp2"], ["w1"], []):
        assert skew.rises(fleet.inventory, fleet.pool, chosen) == 0


def test_a_controller_that_does_not_say_what_runs_does_not_rise(fleet, monkeypatch):
    def silent(_machine):
        raise Unreachable("no answer")

    monkeypatch.setattr(skew, "running_release", silent)
    assert skew.rises(fleet.inventory, fleet.pool, ALL) == 0
