"""`slipway node` and `slipway reset` as a user sees them, over a real sshd; the cluster is a fake."""

import json
from dataclasses import replace

import paramiko
import pytest
from tests.unit.cli.test_deploy import repository  # noqa: F401 (a fixture)
from tests.unit.cluster.credentials import KUBECONFIG
from typer.testing import CliRunner

from slipway.cli import node
from slipway.cli.main import build
from slipway.cluster import members, removal
from slipway.cluster.members import Membership
from slipway.cluster.removal import LastController, Standing, StillMember
from slipway.errors import DeployFailed, LockedByAnother, Unreachable, UsageError
from slipway.inventory import load
from slipway.report.status import last_deploys
from slipway.result import CommandFailed, CommandResult
from slipway.rollout import lock
from slipway.ssh.connection import shown_key
from slipway.ssh.known_hosts import fingerprint_of
from slipway.ssh.pool import Unforeseen
from slipway.verify import record
from slipway.verify.result import Check, NodeVerification, Verdict, Verification

MEMBERS = {"cp1": "https://10.0.0.11:2380", "cp2": "https://10.0.0.12:2380", "cp3": "https://10.0.0.13:2380"}


@pytest.fixture
def cluster(repository, monkeypatch):  # noqa: F811
    """What was done to it; `looked` is how a host stands."""
    done: list[str] = []
    hosts = load(repository / "inventory.yaml")
    worker = Standing(hosts.host("w1"), "cp1", Membership(kubelet=True, active=True), "", "", True, {}, KUBECONFIG)
    lost = Standing(hosts.host("cp1"), "cp2", None, "cp1: no route to host", "10.0.0.11", True, MEMBERS, KUBECONFIG)
    looked = {"w1": worker, "cp1": lost}
    monkeypatch.setattr(removal, "look", lambda _inventory, _pool, name: looked[name])
    monkeypatch.setattr(
        removal, "remove", lambda *_, drains: done.append(f"removed, {'' if drains else 'not '}drained")
    )
    monkeypatch.setattr(removal, "forget", lambda *_: done.append("forgotten"))
    monkeypatch.setattr(removal, "wipe", lambda machine: done.append(f"wiped {machine.name}"))
    monkeypatch.setattr(removal, "require_forgotten", lambda *_: None)
    monkeypatch.setattr(members, "look", lambda _: Membership(control_plane=True, ca="c" * 64))
    return done, looked


def test_what_is_lost_is_named_and_somebody_has_to_agree(cluster, slipway):
    done, _ = cluster
    with pytest.raises(UsageError, match="nobody is there to agree"):
        slipway("node", "remove", "w1")
    assert done == []
    said = slipway("node", "remove", "w1", "--yes").stderr
    assert "w1: its Node goes" in said and "its kubelet's certificate" in said
    assert "next: delete w1 from the inventory: " in said and "inventory.yaml:14" in said
    assert done == ["removed, drained"]
    slipway("node", "remove", "w1", "--yes", "--no-drain")
    assert done[1:] == ["removed, not drained"]


@pytest.mark.parametrize("dry", [False, True])
def test_what_fails_on_a_machine_is_no_fault_of_slipway_s_own(cluster, slipway, repository, monkeypatch, dry):  # noqa: F811
    """It ended with the exit code of an internal error, and with a hint at the help."""

    def fails(*_what: object, **_how: object) -> None:
        raise CommandFailed(CommandResult(("k0s", "etcd", "leave"), "cp1", 1, "", "Error: no leader", 1.0))

    monkeypatch.setattr(removal, "look" if dry else "remove", fails)
    with pytest.raises(DeployFailed, match=r"(?s)cp1: k0s etcd leave: exit code 1.*no leader") as caught:
        slipway("node", "remove", "w1", "--dry-run" if dry else "--yes")
    assert caught.value.exit_code == 6 and "the same command again" in str(caught.value.hint)
    codes = [
        json.loads(each.read_text())["error"]["exitCode"] for each in repository.glob(".slipway/runs/*/result.json")
    ]
    assert codes == ([] if dry else [6])


def test_control_a_mistake_of_ours_stays_one(cluster, slipway, monkeypatch):
    def fails(*_what: object, **_how: object) -> None:
        raise Unforeseen("w1: KeyError in removal.py:1")

    monkeypatch.setattr(removal, "remove", fails)
    with pytest.raises(Unforeseen) as caught:
        slipway("node", "remove", "w1", "--yes")
    assert caught.value.exit_code == 1


def test_a_dry_run_does_nothing(cluster, slipway):
    done, _ = cluster
    assert "would lose: w1: its Node goes" in slipway("node", "remove", "w1", "--dry-run").stderr
    assert json.loads(slipway("reset", "w1", "--dry-run", "--json").stdout)["wouldLose"]
    assert json.loads(slipway("node", "replace", "cp1", "--dry-run", "--json").stdout)["wouldLose"]
    assert done == []


def test_a_dry_run_waits_for_nobody_and_leaves_no_run(cluster, slipway, repository):  # noqa: F811
    with lock.hold(repository):
        for words in (("node", "remove", "w1"), ("node", "replace", "cp1"), ("reset", "w1")):
            assert "would lose" in slipway(*words, "--dry-run").stderr
            with pytest.raises(LockedByAnother):
                slipway(*words, "--yes")
    assert not (repository / ".slipway" / "runs").exists()


def test_an_even_number_of_members_and_a_machine_that_is_silent_are_told(cluster, slipway):
    said = slipway("node", "remove", "cp1", "--dry-run").stderr
    assert "out of etcd (10.0.0.11), which has 2 members then; an even number" in said
    assert "does not answer and keeps its data and keys" in said


@pytest.mark.parametrize(
    ("words", "of", "word"),
    [
        (("node", "remove", "w1"), "w1", "removed"),
        (("node", "replace", "cp1"), "cp1", "to be replaced"),
        (("reset", "w1"), "w1", "reset"),
    ],
)
def test_who_left_the_cluster_has_no_record_for_the_gate(cluster, slipway, repository, words, of, word):  # noqa: F811
    """The gate looked at system and boot alone, and stood open for a machine without k0s; status knows who left."""
    check = Check("os.x.y", "os", "", Verdict.PASSED)
    found = (NodeVerification(name, ("os",), "/nix/store/s", "b", (check,)) for name in ("cp1", "w1"))
    record.keep(repository, Verification("2026-11-23T10:00:00+00:00", tuple(found)))
    slipway(*words, "--dry-run")
    assert record.read_all(repository).keys() == {"cp1", "w1"}
    slipway(*words, "--yes")
    assert record.read_all(repository).keys() == {"cp1", "w1"} - {of}
    assert last_deploys(repository, [of])[of].left == word


def test_a_lost_machine_is_forgotten_and_the_next_steps_are_told(cluster, slipway):
    done, _ = cluster
    printed = json.loads(slipway("node", "replace", "cp1", "--yes", "--json").stdout)
    assert printed["next"] == ["slipway trust cp1 --replace, when it is installed", "slipway deploy cp1"]
    assert done == ["forgotten"]


def test_a_machine_that_lives_is_not_replaced(cluster, slipway):
    done, _ = cluster
    with pytest.raises(StillMember):
        slipway("node", "replace", "w1", "--yes")
    assert done == []


def test_the_host_key_is_pinned_anew_if_it_is_the_one_that_was_named(cluster, slipway, repository, sshd):  # noqa: F811
    done, looked = cluster
    looked["w1"] = replace(looked["w1"], machine=Membership())
    known = repository / "known_hosts"
    (line,) = known.read_text().splitlines()
    known.write_text(line.replace(line.split()[2], OTHER_KEY) + "\n")
    before = known.read_text()
    with pytest.raises(Unreachable, match=r"that is not SHA256:x: not pinned"):
        slipway("node", "replace", "w1", "--yes", "--fingerprint", "SHA256:x")
    assert known.read_text() == before and done == []
    shown = fingerprint_of(shown_key(sshd.endpoint).asbytes())
    slipway("node", "replace", "w1", "--yes", "--fingerprint", shown, "--dry-run")
    assert known.read_text() == before, "a dry run pins nothing"
    said = json.loads(slipway("node", "replace", "w1", "--yes", "--fingerprint", shown, "--json").stdout)
    pinned = shown_key(sshd.endpoint).get_base64()
    assert pinned not in before and pinned in known.read_text() and said["next"] == ["slipway deploy w1"]


def test_a_new_machine_behind_a_jump_host_is_looked_at_through_it(cluster, slipway, monkeypatch):
    asked = []

    def shown(_endpoint, reach):
        asked.append(reach)
        return paramiko.ECDSAKey.generate()

    monkeypatch.setattr(node, "shown_key", shown)
    with pytest.raises(Unreachable, match="not pinned"):
        slipway("node", "replace", "w1", "--yes", "--fingerprint", "SHA256:x")
    assert asked and asked[0] is not None


OTHER_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm"


def test_reset_names_the_control_plane_and_wipes_all_that_were_named(cluster, slipway):
    done, _ = cluster
    said = slipway("reset", "cp1", "w1", "--yes").stderr
    assert "cp1: the control plane's data and keys there (cluster cccccccccccc)" in said
    assert sorted(done) == ["wiped cp1", "wiped w1"]
    assert "next: slipway reboot --no-drain cp1 w1, before k0s runs there again" in said


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [
        (DeployFailed("cp1: etcd is still there"), 6, "degraded"),
        (Unreachable("cp1: no route to host"), 5, "unreachable"),
    ],
)
def test_a_machine_that_cannot_be_reset_keeps_no_other_and_hides_none(
    cluster, slipway, repository, monkeypatch, error, code, outcome,  # noqa: F811
):  # fmt: skip
    done, _ = cluster

    def wipe(machine):
        if machine.name == "cp1":
            raise error
        done.append(f"wiped {machine.name}")

    monkeypatch.setattr(removal, "wipe", wipe)
    words = ["reset", "cp1", "w1", "--yes", "--json", "-i", str(repository / "inventory.yaml")]
    ended = CliRunner().invoke(build(["reset"]), words)
    assert isinstance(ended.exception, type(error)) and ended.exception.exit_code == code
    assert ended.exception.hint == "slipway reset cp1"
    said = json.loads(ended.stdout)
    assert {node["node"]: node["outcome"] for node in said["nodes"]} == {"cp1": outcome, "w1": "ok"}
    assert said["next"][0].startswith("slipway reboot --no-drain w1,")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert [node["outcome"] for node in json.loads(written.read_text())["nodes"]] == [outcome, "ok"]


def test_reset_leaves_out_whom_it_is_told_to(cluster, slipway):
    done, _ = cluster
    slipway("reset", "cp1", "w1", "--exclude", "controller", "--yes")
    assert done == ["wiped w1"]


def test_what_is_refused_changes_nothing(cluster, slipway, monkeypatch):
    done, _ = cluster

    def refuse(*_):
        raise LastController("cp1: is the only controller", hint="x")

    monkeypatch.setattr(removal, "look", refuse)
    with pytest.raises(LastController):
        slipway("node", "remove", "cp1", "--yes")
    with pytest.raises(UsageError, match="'w9' names no host"):
        slipway("node", "remove", "w9", "--yes")
    assert done == []
