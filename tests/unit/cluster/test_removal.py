"""Machines that leave: who may, in which order, and what is left of them."""

from typing import Any, cast

import pytest
from tests.unit.cluster.conftest import World

from slipway.cluster import drain, removal
from slipway.cluster.bringup import QuorumAtRisk
from slipway.cluster.removal import LastController, Standing, StillMember
from slipway.cluster.token import ISSUED
from slipway.errors import DeployFailed, Interrupted
from slipway.events import Event, Events
from slipway.result import CommandFailed, CommandResult
from slipway.ssh.host import Local
from slipway.ssh.pool import Pool
from slipway.tools import kubectl
from slipway.wait import WaitedTooLong


class Api:
    """kubectl, for what is deleted and drained; `told` is all that was done, k0s's own commands between."""

    def __init__(self, one: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.one, self.told = one, cast("list[str]", [])
        self.stuck = False
        self.unknown: tuple[str, ...] = ()
        monkeypatch.setattr(kubectl, "kubectl", self.kubectl)
        monkeypatch.setattr(drain, "cordon", lambda _secret, name: not self.tell(f"cordon {name}"))
        monkeypatch.setattr(drain, "uncordon", lambda _secret, name: self.tell(f"uncordon {name}"))
        monkeypatch.setattr(drain, "drain", self.drain)

    def tell(self, what: str) -> str:
        self.told.append(what)
        return ""

    def drain(self, _secret: Any, name: str, *_: Any) -> None:
        if self.stuck:
            raise drain.DrainStuck(f"{name}: drain waits for default/web")
        self.tell(f"drain {name}")

    def kubectl(self, _secret: Any, *words: str) -> CommandResult:
        verb, kind, name = words[:3]
        assert words[3:] == ("--ignore-not-found", "--wait=false")
        if kind in self.unknown:
            said = f'error: the server doesn\'t have a resource type "{kind}"'
            raise CommandFailed(CommandResult(words, "localhost", 1, "", said, 0.0))
        self.tell(f"{verb} {kind} {name} ({'runs' if self.one.machine(name).state == 'active' else 'stopped'})")
        if kind == "node":
            self.one.cluster.nodes.pop(name, None)
        return CommandResult(words, "localhost", 0, "", "", 0.0)


@pytest.fixture
def one(world):
    made = world(controllers=3)
    made.bring_up()
    for name in ("cp1", "cp2", "cp3"):
        made.cluster.etcd[name] = f"https://{made.machine(name).address}:2380"
    return made


@pytest.fixture
def api(one, monkeypatch):
    return Api(one, monkeypatch)


def look(one: World, name: str) -> Standing:
    return removal.look(one.inventory, cast("Pool", one.pool), name)


def remove(one: World, name: str, *, drains: bool = True) -> None:
    pool = cast("Pool", one.pool)
    removal.remove(one.inventory, pool, Events(one.told.append), look(one, name), drains=drains)


def test_a_worker_is_drained_stopped_forgotten_and_wiped(one, api):
    remove(one, "w2")
    assert api.told == ["cordon w2", "drain w2", "delete node w2 (stopped)"]
    assert not one.machine("w2").kubelet and one.machine("w2").state == "inactive"
    assert set(one.cluster.nodes) == {"w1"} and set(one.cluster.etcd) == {"cp1", "cp2", "cp3"}


def test_a_controller_leaves_etcd_before_it_stops(one, api):
    remove(one, "cp3")
    stays, goes = one.machine("cp1").calls, one.machine("cp3").calls
    assert ("k0s", "etcd", "leave", f"--peer-address={one.machine('cp3').address}") in stays
    assert not any(call[:3] == ("k0s", "etcd", "leave") for call in goes)
    assert set(one.cluster.etcd) == {"cp1", "cp2"} and not one.machine("cp3").data
    kinds = [line.split()[1] for line in api.told]
    assert kinds == ["node", "controlnodes.autopilot.k0sproject.io", "etcdmembers.etcd.k0sproject.io"]


def test_a_member_that_is_a_worker_in_the_inventory_now_leaves_etcd_all_the_same(one, api):
    one.cluster.etcd["w1"] = f"https://{one.machine('w1').address}:2380"
    remove(one, "w1")
    assert set(one.cluster.etcd) == {"cp1", "cp2", "cp3"}


def test_what_a_cluster_does_not_know_of_need_not_be_deleted(one, api):
    api.unknown = removal.OBJECTS
    remove(one, "cp3")
    assert not one.machine("cp3").data


def test_control_another_refusal_of_the_api_ends_it_before_the_machine_is_wiped(one, api, monkeypatch):
    def forbidden(_secret, *words):
        raise CommandFailed(CommandResult(words, "localhost", 1, "", "Error from server (Forbidden)", 0.0))

    monkeypatch.setattr(kubectl, "kubectl", forbidden)
    with pytest.raises(CommandFailed, match="Forbidden"):
        remove(one, "w1")
    assert one.machine("w1").kubelet


def test_called_again_it_goes_on(one, api):
    one.machine("cp3").breaks = "reset"
    with pytest.raises(CommandFailed, match="is still there"):
        remove(one, "cp3")
    one.machine("cp3").breaks = ""
    remove(one, "cp3")
    assert not one.machine("cp3").data


def test_where_pods_do_not_leave_the_node_is_let_back_and_nothing_changed(one, api):
    api.stuck = True
    with pytest.raises(drain.DrainStuck):
        remove(one, "w1")
    assert api.told == ["cordon w1", "uncordon w1"]
    assert one.machine("w1").state == "active"
    remove(one, "w1", drains=False)
    assert api.told[2:] == ["delete node w1 (stopped)"]


@pytest.mark.parametrize("ends", [drain.DrainStuck("w1: drain waits for default/web"), KeyboardInterrupt()])
def test_where_a_node_cannot_be_let_back_either_that_is_told_and_hides_no_reason(one, api, monkeypatch, ends):
    """After a Ctrl-C kubectl is not started any more: the node stayed cordoned without a word."""

    def drains(*_: Any) -> None:
        raise ends

    def refuses(*_: Any) -> None:
        raise Interrupted("kubectl: interrupted")

    told: list[Event] = []
    monkeypatch.setattr(drain, "drain", drains)
    monkeypatch.setattr(drain, "uncordon", refuses)
    with pytest.raises(type(ends)):
        removal.remove(one.inventory, cast("Pool", one.pool), Events(told.append), look(one, "w1"), drains=True)
    assert [(each.phase, each.state, each.node) for each in told[-1:]] == [("uncordon", "failed", "w1")]
    assert told[-1].data["text"] == "stays cordoned: kubectl: interrupted"


def test_a_machine_that_does_not_answer_is_taken_out_of_the_cluster_alone(one, api):
    one.machine("cp2").breaks = "unreachable"
    standing = look(one, "cp2")
    assert standing.machine is None and "no route to host" in standing.why
    remove(one, "cp2")
    assert set(one.cluster.etcd) == {"cp1", "cp3"} and one.machine("cp2").data


def test_tokens_that_are_out_for_it_are_taken_back(one, api):
    one.cluster.tokens["abc123"] = "worker"
    one.machine("cp2").files[f"{ISSUED}abc123"] = b"w1"
    remove(one, "w1")
    assert one.cluster.tokens == {} and f"{ISSUED}abc123" not in one.machine("cp2").files


def test_the_last_controller_stays(world):
    one = world(controllers=1)
    one.bring_up()
    with pytest.raises(LastController) as caught:
        look(one, "cp1")
    assert caught.value.hint == "to give the cluster up: slipway reset cp1"


def test_nobody_leaves_where_the_others_would_have_no_quorum(one):
    one.machine("cp3").breaks = "api"
    with pytest.raises(QuorumAtRisk, match="2 members without it, and cp3 does not serve"):
        look(one, "cp2")
    assert look(one, "cp3").etcd, "the one that is ill may go"


def test_control_with_all_well_or_for_a_worker_there_is_no_question(one):
    assert look(one, "cp2").by == "cp1" and look(one, "cp1").by == "cp2"
    one.machine("cp3").breaks = "api"
    assert look(one, "w1").etcd == ""


def test_where_no_other_controller_serves_each_says_why(one):
    for name in ("cp1", "cp3"):
        one.machine(name).breaks = "api"
    with pytest.raises(DeployFailed, match=r"no other controller serves:\ncp1: .*\ncp3: "):
        look(one, "cp2")


def test_a_member_that_etcd_does_not_let_go_is_told(one, api, monkeypatch):
    monkeypatch.setattr(removal, "GONE_WITHIN", 0.1)
    one.machine("cp1").breaks = "keeps members"
    with pytest.raises(WaitedTooLong, match="cp3: out of etcd"):
        remove(one, "cp3")
    assert one.machine("cp3").state == "active"


def test_a_lost_controller_makes_room_for_a_new_machine_that_joins(one, api):
    machine = one.machine("cp2")
    machine.data, machine.state, machine.ca = False, "inactive", ""
    assert str(one.bring_up("cp2")["cp2"].outcome) == "degraded", "etcd has a member of that name"
    standing = look(one, "cp2")
    removal.require_gone(standing)
    removal.forget(one.inventory, cast("Pool", one.pool), Events(), standing)
    assert str(one.bring_up("cp2")["cp2"].outcome) == "ok"


@pytest.mark.parametrize("name", ["cp2", "w1"])
def test_a_machine_with_a_part_in_a_cluster_is_no_new_one(one, name):
    with pytest.raises(StillMember, match="not a new one") as caught:
        removal.require_gone(look(one, name))
    assert f"slipway node remove {name}" in str(caught.value.hint)


@pytest.mark.parametrize("names", [["cp2"], ["w1"], ["cp2", "w1"]])
def test_a_member_that_would_be_missed_is_not_reset(one, names):
    with pytest.raises(StillMember, match=f"{', '.join(names)}: a member of the cluster that cp1 serves"):
        removal.require_forgotten(one.inventory, cast("Pool", one.pool), names)


def test_where_nobody_is_left_to_miss_it_it_may_be_reset(one):
    pool = cast("Pool", one.pool)
    removal.require_forgotten(one.inventory, pool, ["cp1", "cp2", "cp3"])
    for name in ("cp1", "cp3"):
        one.machine(name).state = "failed"
    removal.require_forgotten(one.inventory, pool, ["cp2"])
    one.machine("cp1").state = "active"
    one.cluster.etcd.pop("cp2")
    removal.require_forgotten(one.inventory, pool, ["cp2"])


def test_the_script_leaves_neither_data_nor_keys_nor_ciliums_network_and_says_where_something_stays(
    tmp_path, monkeypatch
):
    """With a fake k0s that resets nothing, in a folder that stands for the machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "k0s").write_text("#!/bin/sh\nexit 1\n")
    (programs / "k0s").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    script = removal.WIPE.replace("/var/lib", f"{tmp_path}/var/lib").replace("/etc/", f"{tmp_path}/etc/")
    for name in ("var/lib/k0s/pki/ca.key", "var/lib/k0s/etcd/member/snap/db", "var/lib/k0s/kubelet.conf",
                 "var/lib/slipway/join-token-abc123", "etc/k0s/k0stoken", "etc/k0s/encryption.json",
                 "etc/cni/net.d/05-cilium.conflist"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    Local().run(["sh", "-c", script, "reset k0s"])
    left = {str(each.relative_to(tmp_path)): each.read_text() for each in tmp_path.rglob("*") if each.is_file()}
    assert {name for name, text in left.items() if text == "secret"} == set()
    assert "etc/k0s/k0stoken" in left, "empty, for a start without it would found a cluster"
    (programs / "rm").symlink_to("/bin/true")
    (tmp_path / "var/lib/k0s/pki").mkdir(parents=True)
    with pytest.raises(CommandFailed, match=r"k0s reset ended with 1, and .*/pki is still there"):
        Local().run(["sh", "-c", script, "reset k0s"])
