"""Machines become one cluster, once; and what a failure on the way leaves behind."""

import socket
import threading
import time

import pytest
from tests.unit.cluster.conftest import World
from tests.unit.cluster.fakes import TOKEN_SECRET

from slipway.cluster import bringup, join, unit
from slipway.cluster.members import RENAME, SENTINEL
from slipway.cluster.token import ISSUED, TOKEN_FILE
from slipway.errors import Interrupted
from slipway.events import Events
from slipway.inventory import load

QUIET = ("sh", "grep", "systemctl show", "k0s kubectl", "k0s kubeconfig", "k0s etcd member-list", "journalctl")
"""Commands that change nothing."""
PASSES = "5s"
"""A bound of joining that is meant to pass; all else succeeds long before its own."""


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
    loud = [event for event in one.told if not event.data.get("quiet") and event.state != "started"]
    assert set(one.outcomes().values()) == {"unchanged"}
    assert changes(one) == []
    assert [event for event in one.told if not event.data.get("quiet") and event.state != "started"] == loud


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


def test_the_permission_to_be_renamed_is_taken_back(world):
    """By a first join, and on a machine that was a member before."""
    one = world()
    for _ in range(2):
        for machine in one.pool.machines.values():
            machine.files[RENAME] = b""
        one.bring_up()
        assert not [machine.name for machine in one.pool.machines.values() if RENAME in machine.files]


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
    assert "k0s.service is failed: it ended with an error" in results["w1"].reason
    assert results["w1"].log == "what k0s said on w1"
    assert results["w2"].outcome == "ok"
    assert one.cluster.tokens == {}
    assert one.machine("w1").files[TOKEN_FILE] == b""


@pytest.mark.parametrize("name", ["w1", "cp2"])
def test_what_nobody_foresaw_is_told_of_its_node_and_ends_nobody_elses_join(world, monkeypatch, name):
    """It was a node that was skipped without a reason, or the end of the whole run."""
    one, restarts = world(controllers=2, workers=2), unit.restart

    def restart(machine):
        if machine.name == name:
            raise KeyError("what")
        restarts(machine)

    monkeypatch.setattr(unit, "restart", restart)
    results = one.bring_up()
    assert results[name].outcome == "degraded"
    assert f"{name}: KeyError in test_bringup.py" in results[name].reason
    assert {str(result.outcome) for other, result in results.items() if other != name} == {"ok"}


def test_without_a_control_plane_the_others_are_skipped(world):
    one = world(controllers=3, workers=1, within=PASSES)
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
    one = world(controllers=3, workers=0, within=PASSES)
    one.bring_up()
    one.machine("cp1").outdated = one.machine("cp2").outdated = True
    one.machine("cp1").breaks = "api"
    one.machine("cp2").calls.clear()
    assert one.outcomes()["cp1"] == "degraded"
    assert ("systemctl", "restart", "k0s.service") not in one.machine("cp2").calls


def restarted(world: World, name: str) -> bool:
    return ("systemctl", "restart", "k0s.service") in world.machine(name).calls


# --- a worker follows its control plane ---


def test_a_new_configuration_restarts_a_worker_after_its_controllers(world):
    one = world(controllers=1, workers=2)
    one.bring_up()
    one.machine("cp1").outdated = one.machine("w1").outdated = True
    one.told.clear()
    assert one.outcomes() == {"cp1": "ok", "w1": "ok", "w2": "unchanged"}
    assert one.machine("w1").started > one.machine("cp1").started
    assert [event.node for event in one.told if event.state == "ok"] == ["cp1", "w1"]


@pytest.mark.parametrize("serves", ["35", "35+"])
@pytest.mark.parametrize("joined", [True, False], ids=["joined", "new"])
def test_a_worker_that_would_be_newer_than_a_controller_runs_on_as_it_is(world, serves, joined):
    """Only the worker was chosen: a controller still runs what it ran."""
    one = world(controllers=2, workers=1)
    one.bring_up(*(["cp1", "cp2", "w1"] if joined else ["cp1", "cp2"]))
    one.machine("w1").outdated = joined
    one.machine("w1").calls.clear()
    one.machine("cp2").serves = serves
    result = one.bring_up("w1")["w1"]
    assert (result.outcome, result.reason) == (
        "blocked",
        "w1: its k0s is not started: it would be 1.36.3+k0s.2, and cp2 still serves Kubernetes 1.35",
    )
    assert not restarted(one, "w1")


def test_a_worker_whose_start_its_machine_refuses_is_no_member(world):
    """Its node is still Ready by the word of the kubelet from before."""
    one = world(controllers=1, workers=1)
    one.bring_up()
    one.machine("w1").outdated, one.machine("w1").breaks = True, "skipped"
    one.machine("w1").says = "slipway: cp1 is behind: it waits for the control plane"
    result = one.bring_up("w1")["w1"]
    assert result.outcome == "degraded"
    assert 'k0s.service is inactive: it ended with an error: "slipway: cp1 is behind: it waits for' in result.reason


def test_a_controller_that_does_not_say_what_it_serves_holds_nobody_up(world):
    one = world(controllers=3, workers=1)
    one.bring_up()
    one.machine("w1").outdated = True
    one.machine("cp3").breaks, one.machine("cp2").serves = "unreachable", "unknown"
    assert one.bring_up("w1")["w1"].outcome == "ok"


# --- what an interruption leaves, and what the next run finds ---


def interrupts(world: World, monkeypatch, name: str) -> None:
    """Ctrl-C while this machine is waited for: every connection of the run is shut, then KeyboardInterrupt comes."""
    waits = join.wait_for_api

    def wait_for_api(controller, *, within, say):
        if controller.name == name:
            for machine in world.pool.machines.values():
                machine.shut.set()
            raise KeyboardInterrupt
        waits(controller, within=within, say=say)

    monkeypatch.setattr(join, "wait_for_api", wait_for_api)


def test_interrupting_the_founding_leaves_no_permission_to_found(world, monkeypatch):
    one = world(controllers=1, workers=1)
    interrupts(one, monkeypatch, "cp1")
    with pytest.raises(KeyboardInterrupt):
        one.bring_up()
    assert SENTINEL not in one.machine("cp1").files
    assert restarted(one, "cp1")


def test_interrupting_a_join_leaves_no_token(world, monkeypatch):
    one = world(controllers=2, workers=0)
    interrupts(one, monkeypatch, "cp2")
    with pytest.raises(KeyboardInterrupt):
        one.bring_up()
    assert one.cluster.made == 1
    assert one.cluster.tokens == {}
    assert one.machine("cp2").files[TOKEN_FILE] == b""
    assert not [path for path in one.machine("cp1").files if path.startswith(ISSUED)]


def test_a_connection_that_is_shut_ends_the_run_as_interrupted(world, monkeypatch):
    """A thread hears of an interruption by its connection alone; that is no fault of the node."""
    one = world(controllers=1, workers=0)

    def wait_for_api(controller, *, within, say):
        controller.shut.set()
        controller.run(["true"])

    monkeypatch.setattr(join, "wait_for_api", wait_for_api)
    with pytest.raises(Interrupted):
        one.bring_up()


@pytest.mark.parametrize("path", [SENTINEL, RENAME])
@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_a_permission_that_a_run_has_left_is_removed(world, name, path):
    one = world()
    one.bring_up()
    one.machine(name).files[path] = b""
    assert one.outcomes()[name] == "ok"
    assert path not in one.machine(name).files
    assert set(one.outcomes().values()) == {"unchanged"}


def test_a_controller_that_lost_its_data_beside_a_left_permission_founds_nothing(world):
    one = world(controllers=3, workers=0)
    one.bring_up()
    two = one.machine("cp2")
    two.files[SENTINEL], two.data, two.ca, two.state = b"", False, "", "inactive"
    del one.cluster.etcd["cp2"]
    assert one.outcomes()["cp2"] == "ok"
    assert SENTINEL not in two.files
    assert two.ca == "ca-of-cp1"


def test_tokens_of_a_run_that_was_killed_are_invalidated_by_the_next(world):
    one = world(controllers=1, workers=2)
    one.bring_up()
    one.cluster.tokens = {"abc123": "worker", "def456": "worker", "a0a0a0": "worker"}
    one.machine("cp1").files |= {ISSUED + "abc123": b"w1", ISSUED + "def456": b"w2"}
    one.bring_up("w1")
    assert set(one.cluster.tokens) == {"def456", "a0a0a0"}
    assert "join token abc123 of a run that did not end invalidated" in [event.data.get("text") for event in one.told]
    one.bring_up()
    assert set(one.cluster.tokens) == {"a0a0a0"}
    assert not [path for path in one.machine("cp1").files if path.startswith(ISSUED)]


# --- chosen means chosen ---


def test_only_the_chosen_join(world):
    one = world(controllers=3, workers=2)
    assert list(one.bring_up("cp1", "w1")) == ["cp1", "w1"]
    assert list(one.cluster.etcd) == ["cp1"]
    assert list(one.cluster.nodes) == ["w1"]
    for name in ("cp2", "cp3", "w2"):
        assert {call[0] for call in one.machine(name).calls} == {"sh"}


def test_others_that_fail_are_neither_waited_for_nor_reported(world):
    one = world(controllers=1, workers=2)
    one.machine("w2").breaks = "unreachable"
    assert {name: str(result.outcome) for name, result in one.bring_up("cp1", "w1").items()} == {
        "cp1": "ok",
        "w1": "ok",
    }


def test_an_outdated_controller_that_was_not_chosen_is_left_as_it_is(world):
    one = world(controllers=3, workers=1)
    one.bring_up()
    one.machine("cp2").outdated = True
    one.machine("cp2").calls.clear()
    assert {name: str(result.outcome) for name, result in one.bring_up("w1").items()} == {"w1": "unchanged"}
    assert not restarted(one, "cp2")


def test_a_worker_joins_by_a_controller_that_was_not_chosen(world):
    one = world(controllers=1, workers=1)
    one.bring_up("cp1")
    assert one.bring_up("w1")["w1"].outcome == "ok"


@pytest.mark.parametrize(
    ("founded", "why"),
    [
        (False, "no controller that answers has a cluster, and none was chosen"),
        (True, "cp1, which has the cluster and was not chosen: kube-apiserver still waits for etcd"),
    ],
    ids=["no cluster", "ill"],
)
def test_a_worker_does_not_wait_for_a_controller_that_was_not_chosen(world, founded, why):
    one = world(controllers=1, workers=1)
    if founded:
        one.bring_up("cp1")
    one.machine("cp1").breaks = "api"
    one.machine("cp1").calls.clear()
    result = one.bring_up("w1")["w1"]
    assert (result.outcome, why in result.reason) == ("skipped", True)
    assert not restarted(one, "cp1")


# --- quorum ---


def test_no_controller_is_restarted_where_that_would_cost_the_quorum(world):
    one = world(controllers=3, workers=0)
    one.bring_up()
    for name in ("cp1", "cp2"):
        one.machine(name).outdated = True
        one.machine(name).calls.clear()
    one.machine("cp3").breaks = "unreachable"
    results = one.bring_up()
    assert {name: str(result.outcome) for name, result in results.items()} == {
        "cp1": "blocked", "cp2": "skipped", "cp3": "unreachable",
    }  # fmt: skip
    assert "cp3 does not serve: without cp1 there is no quorum" in results["cp1"].reason
    assert not restarted(one, "cp1")
    assert not restarted(one, "cp2")


def test_a_controller_whose_api_is_not_ready_counts_as_lost(world):
    one = world(controllers=3, workers=0)
    one.bring_up()
    one.machine("cp1").outdated = True
    one.machine("cp2").breaks = "api"
    assert "cp2 does not serve" in one.bring_up()["cp1"].reason


def test_a_member_that_the_inventory_does_not_have_counts_as_lost(world):
    one = world(controllers=2, workers=0)
    one.bring_up()
    one.cluster.etcd["old"] = "https://old:2380"
    one.machine("cp1").outdated = True
    assert "etcd has 3 members, and old does not serve" in one.bring_up()["cp1"].reason


def test_one_or_two_controllers_that_are_well_are_restarted(world):
    for count in (1, 2):
        one = world(controllers=count, workers=0)
        one.bring_up()
        for machine in one.pool.machines.values():
            machine.outdated = True
        assert set(one.outcomes().values()) == {"ok"}


def test_where_nobody_lists_the_members_nothing_is_restarted(world):
    one = world(controllers=2, workers=0)
    one.bring_up()
    for machine in one.pool.machines.values():
        machine.breaks = "left"
    one.machine("cp1").outdated = True
    result = one.bring_up()["cp1"]
    assert (result.outcome, "nobody lists the members of etcd" in result.reason) == ("blocked", True)


# --- who is taken for whom ---


@pytest.mark.parametrize(
    "network", ["{vip: {address: 10.0.0.5/24}}", "{externalAddress: 10.0.0.5}"], ids=["virtual", "external"]
)
def test_the_address_before_the_controllers_is_asked_before_founding(world, tmp_path, network):
    one = world(controllers=1, workers=0)
    path = tmp_path / "inventory.yaml"
    path.write_text(path.read_text().replace("defaults:", f"  network: {network}\ndefaults:", 1))
    one.inventory = load(path)
    one.listening.add("10.0.0.5")
    result = one.bring_up()["cp1"]
    assert (result.outcome, "10.0.0.5:6443 answers" in result.reason) == ("blocked", True)


def test_a_load_balancer_with_nobody_behind_it_does_not_answer(monkeypatch):
    """It takes the connection and hangs up. One who is silent answers: an API server under load."""
    monkeypatch.setattr(bringup, "PROBE_TIMEOUT", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        hangs_up = threading.Thread(target=lambda: server.accept()[0].close())
        hangs_up.start()
        assert not bringup.answers("127.0.0.1", server.getsockname()[1])
        hangs_up.join()


def test_a_member_of_etcd_of_the_same_name_is_not_taken_for_a_machine_without_data(world):
    one = world(controllers=3, workers=0)
    one.bring_up()
    two = one.machine("cp2")
    two.data, two.ca, two.state = False, "", "inactive"
    two.calls.clear()
    result = one.bring_up()["cp2"]
    assert result.outcome == "degraded"
    assert "etcd, which has a member cp2" in result.reason
    assert not restarted(one, "cp2")
    assert one.cluster.tokens == {}


def test_a_node_of_another_machine_is_not_taken_for_this_one(world):
    one = world(controllers=1, workers=1, within=PASSES)
    one.cluster.machines["w1"] = "id-of-another"
    result = one.bring_up()["w1"]
    assert result.outcome == "degraded"
    assert "the node of this name is another machine's (machine-id id-of-another)" in result.reason


def test_a_node_whose_kubelet_does_not_report_has_not_joined(world):
    one = world(controllers=1, workers=1, within=PASSES)
    one.cluster.silent["w1"] = time.time() - 30
    result = one.bring_up()["w1"]
    assert result.outcome == "degraded"
    assert "registered, but its kubelet has not reported since k0s was started" in result.reason


def test_a_worker_that_was_started_a_moment_ago_is_waited_for_and_not_restarted(world):
    """Its activation has restarted k0s; the node is the one from before."""
    one = world(controllers=1, workers=1)
    one.bring_up()
    one.machine("w1").calls.clear()
    one.cluster.silent["w1"] = one.machine("w1").started - 5
    threading.Timer(0.7, one.cluster.silent.clear).start()
    assert one.outcomes()["w1"] == "unchanged"
    assert not restarted(one, "w1")


def test_a_controller_of_another_cluster_is_told(world):
    one = world(controllers=2, workers=0)
    one.bring_up()
    one.machine("cp2").ca = "ca-of-cp2"
    result = one.bring_up()["cp2"]
    assert result.outcome == "degraded"
    assert "cp2: has another cluster than cp1" in result.reason


# --- k0s that does not come up ---


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_a_k0s_that_ends_again_and_again_is_not_waited_for(world, name):
    one = world(controllers=1, workers=1, within="60s")
    one.machine(name).breaks = "loops"
    one.machine(name).says = "Error: chmod /var/lib/k0s/images: read-only file system\nUsage:\n  k0s worker [flags]\n"
    began = time.monotonic()
    result = one.bring_up()[name]
    assert time.monotonic() - began < 30
    assert result.outcome == "degraded"
    assert "k0s.service ended 3 times with an error and is started again each time" in result.reason
    assert '"Error: chmod /var/lib/k0s/images: read-only file system"' in result.reason
    assert "Usage" not in result.reason + result.log


# --- before anything is changed on a controller ---


def may_change(one: World, name: str) -> None:
    bringup.require_quorum_without(one.inventory, one.pool, Events(), name)  # type: ignore[arg-type]


def test_a_controller_changes_while_the_others_serve(world):
    one = world(controllers=3)
    one.bring_up()
    may_change(one, "cp1")


def test_a_controller_is_left_as_it_is_while_another_one_is_down(world):
    one = world(controllers=3)
    one.bring_up()
    one.machine("cp2").breaks = "api"
    with pytest.raises(bringup.QuorumAtRisk, match="cp1: not changed: etcd has 3 members, and cp2 does not serve"):
        may_change(one, "cp1")
    may_change(one, "cp2")


def test_a_member_that_the_inventory_does_not_have_does_not_serve(world):
    one = world(controllers=3)
    one.bring_up()
    one.cluster.etcd["stale"] = "https://10.0.0.99:2380"
    with pytest.raises(bringup.QuorumAtRisk, match="stale does not serve"):
        may_change(one, "cp1")


def test_who_has_no_part_in_the_cluster_takes_nothing_away(world):
    one = world(controllers=3)
    one.bring_up("cp1", "cp2")
    one.machine("cp2").breaks = "api"
    may_change(one, "cp3")
    one.machine("cp2").state = "failed"
    may_change(one, "cp2")


def test_where_etcd_has_lost_its_quorum_nothing_is_left_to_lose(world):
    one = world(controllers=3)
    one.bring_up()
    for name in ("cp1", "cp2", "cp3"):
        one.machine(name).breaks = "left"
    may_change(one, "cp1")


def test_only_controllers_and_the_chosen_are_looked_at_where_a_cluster_lives(world):
    one = world(controllers=1, workers=3)
    one.bring_up()
    for machine in one.pool.machines.values():
        machine.calls.clear()
    one.bring_up("w1")
    assert not one.machine("w2").calls and one.machine("w1").calls
