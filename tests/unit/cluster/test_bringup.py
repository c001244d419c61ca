"""Machines become one cluster, once; and what a failure on the way leaves behind."""

import socket

import pytest
from tests.unit.cluster.conftest import World
from tests.unit.cluster.fakes import TOKEN_SECRET

from slipway.cluster import bringup
from slipway.cluster.join import SENTINEL
from slipway.cluster.token import TOKEN_FILE

QUIET = ("sh", "systemctl is-active", "k0s kubectl", "k0s kubeconfig", "journalctl")
"""Commands that change nothing."""


def changes(world: World) -> list[str]:
    """The commands of all machines that changed something."""
    calls = [" ".join(call) for machine in world.pool.machines.values() for call in machine.calls]
    return [call for call in calls if not call.startswith(QUIET)]


def test_everybody_joins(world):
    one = world()
    assert one.outcomes() == {"cp1": "ok", "w1": "ok", "w2": "ok"}
    assert set(one.cluster.nodes) == {"w1", "w2"}


def test_a_second_time_changes_nothing(world):
    one = world(controllers=3)
    one.bring_up()
    for machine in one.pool.machines.values():
        machine.calls.clear()
    assert set(one.outcomes().values()) == {"unchanged"}
    assert changes(one) == []


def test_control_a_change_would_be_seen(world):
    one = world()
    one.bring_up()
    assert changes(one) != []


def test_tokens_and_the_sentinel_do_not_outlive_the_join(world):
    one = world(controllers=3)
    one.bring_up()
    assert one.cluster.made == 4
    assert one.cluster.tokens == {}
    for machine in one.pool.machines.values():
        assert machine.files.get(TOKEN_FILE, b"") == b""
        assert SENTINEL not in machine.files


def test_no_secret_is_an_argument_or_an_event(world):
    one = world()
    one.bring_up()
    words = [word for machine in one.pool.machines.values() for call in machine.calls for word in call]
    assert not [word for word in words if TOKEN_SECRET in word or word.startswith("H4sI")]
    assert TOKEN_SECRET not in "".join(event.to_json() for event in one.told)


def test_controllers_come_one_by_one_after_the_founder(world):
    one = world(controllers=3, workers=0)
    assert set(one.outcomes().values()) == {"ok"}
    assert list(one.cluster.etcd) == ["cp1", "cp2", "cp3"]
    started = [event.node for event in one.told if event.state == "started"]
    assert started == ["cp1", "cp2", "cp3"]


def test_tokens_come_from_the_controller_that_has_the_data(world):
    one = world(controllers=3, workers=1)
    one.machine("cp2").data, one.machine("cp2").state = True, "active"
    one.cluster.etcd["cp2"] = "https://cp2:2380"
    assert one.outcomes() == {"cp1": "ok", "cp2": "unchanged", "cp3": "ok", "w1": "ok"}
    assert not [call for call in one.machine("cp1").calls if call[:2] == ("k0s", "token")]


def test_an_unreachable_worker_keeps_nobody_out(world):
    one = world()
    one.machine("w1").breaks = "unreachable"
    assert one.outcomes() == {"cp1": "ok", "w1": "unreachable", "w2": "ok"}


def test_a_worker_whose_k0s_dies_is_degraded_with_its_last_words(world):
    one = world()
    one.machine("w1").breaks = "dies"
    results = one.bring_up()
    assert results["w1"].outcome == "degraded"
    assert "k0s.service is failed" in results["w1"].reason
    assert results["w1"].log == "what k0s said on w1"
    assert results["w2"].outcome == "ok"
    assert one.cluster.tokens == {}
    assert one.machine("w1").files[TOKEN_FILE] == b""


def test_without_a_control_plane_the_others_are_skipped(world):
    one = world(controllers=3, workers=1)
    one.machine("cp1").breaks = "api"
    results = one.bring_up()
    assert {name: str(result.outcome) for name, result in results.items()} == {
        "cp1": "degraded", "cp2": "skipped", "cp3": "skipped", "w1": "skipped",
    }  # fmt: skip
    assert "still waits for etcd" in results["cp1"].reason
    assert SENTINEL not in one.machine("cp1").files


def test_after_a_controller_that_fails_to_join_no_other_tries(world):
    one = world(controllers=3, workers=1)
    one.machine("cp2").breaks = "dies"
    assert one.outcomes() == {"cp1": "ok", "cp2": "degraded", "cp3": "skipped", "w1": "ok"}


@pytest.mark.parametrize(
    ("place", "sign"),
    [
        (lambda one: setattr(one.machine("cp2"), "breaks", "unreachable"), "cp2 cannot be asked"),
        (lambda one: setattr(one.machine("w1"), "kubelet", True), "w1 has joined one"),
    ],
    ids=["unreachable controller", "joined worker"],
)
def test_no_second_cluster_is_founded(world, place, sign):
    one = world(controllers=3, workers=1)
    place(one)
    results = one.bring_up()
    assert results["cp1"].outcome == "blocked"
    assert sign in results["cp1"].reason
    assert not [call for call in one.machine("cp1").calls if call[:2] == ("systemctl", "restart")]


def test_no_cluster_is_founded_where_an_api_answers(world):
    one = world()
    one.listening.add("10.0.0.10")
    results = one.bring_up()
    assert results["cp1"].outcome == "blocked"
    assert "10.0.0.10:6443 answers" in results["cp1"].reason


def test_an_open_port_answers_and_a_closed_one_does_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert bringup.answers("127.0.0.1", port)
    assert not bringup.answers("127.0.0.1", port)


def test_the_first_controller_being_unreachable_stops_everything(world):
    one = world(controllers=3, workers=1)
    one.machine("cp1").breaks = "unreachable"
    assert one.outcomes() == {"cp1": "unreachable", "cp2": "skipped", "cp3": "skipped", "w1": "skipped"}
    assert changes(one) == []


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_a_member_that_stands_still_is_started(world, name):
    one = world()
    one.bring_up()
    one.machine(name).state = "inactive"
    assert one.bring_up()[name].outcome == "ok"
    assert one.machine(name).state == "active"
    assert one.cluster.made == 2


def test_a_worker_that_was_stopped_while_joining_joins_anew(world):
    one = world()
    one.machine("w1").half_joined = True
    assert one.outcomes()["w1"] == "ok"


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_a_token_left_by_an_interruption_is_removed(world, name):
    one = world()
    one.bring_up()
    one.machine(name).files[TOKEN_FILE] = b"old"
    assert one.bring_up()[name].outcome == "ok"
    assert one.machine(name).files[TOKEN_FILE] == b""
    assert set(one.outcomes().values()) == {"unchanged"}


def test_a_new_configuration_restarts_controllers_one_after_the_other(world):
    one = world(controllers=3, workers=1)
    one.bring_up()
    for name in ("cp1", "cp2"):
        one.machine(name).outdated = True
        one.machine(name).calls.clear()
    one.machine("cp3").calls.clear()
    one.told.clear()
    assert one.outcomes() == {"cp1": "ok", "cp2": "ok", "cp3": "unchanged", "w1": "unchanged"}
    assert ("systemctl", "restart", "k0s.service") in one.machine("cp1").calls
    assert ("systemctl", "restart", "k0s.service") not in one.machine("cp3").calls
    said = [event.data["text"] for event in one.told if event.state == "ok"]
    assert said == ["k0s runs on its new configuration"] * 2


def test_after_a_controller_that_does_not_come_back_no_other_is_restarted(world):
    one = world(controllers=3, workers=0)
    one.bring_up()
    one.machine("cp1").outdated = one.machine("cp2").outdated = True
    one.machine("cp1").breaks = "api"
    one.machine("cp2").calls.clear()
    assert one.outcomes()["cp1"] == "degraded"
    assert ("systemctl", "restart", "k0s.service") not in one.machine("cp2").calls
