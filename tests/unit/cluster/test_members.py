"""Who is in the cluster, and waiting until everybody is Ready."""

import hashlib
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.cluster.members import LOOK, Membership, Nodes, NoMembers, etcd_members, look, wait_ready
from slipway.errors import Degraded
from slipway.events import Events
from slipway.result import CommandFailed, CommandResult, OddAnswer
from slipway.tools import kubectl


def test_the_script_is_one_that_sh_takes(tmp_path):
    script = LOOK.replace("/var/lib/k0s", str(tmp_path)).replace("systemctl", "false")
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert ([word for word in said.stdout.split() if "=" not in word], said.stderr) == ([], "")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"etcd/member/snap/db": ""}, {"control-plane"}),
        ({"db/state.db": ""}, {"control-plane"}),
        ({"kubelet.conf": "users:\n- user:\n    client-certificate: {root}/cert.pem\n", "cert.pem": "x"}, {"kubelet"}),
        ({"kubelet.conf": "    client-certificate: {root}/cert.pem\n"}, {"half-joined"}),
        ({"kubelet.conf": "    client-certificate-data: abc\n"}, {"kubelet"}),
    ],
    ids=["etcd", "kine", "joined", "half-joined", "certificate inside"],
)
def test_what_the_script_sees(tmp_path, files, words):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{root}", str(tmp_path)))
    script = LOOK.replace("/var/lib/k0s", str(tmp_path)).replace("systemctl", "false")
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert {word for word in said.stdout.split() if "=" not in word} == words


def test_look_reads_the_words(world):
    one = world()
    assert look(one.machine("w1")) == Membership(machine_id="id-of-w1")
    before = time.time()
    one.bring_up()
    seen = look(one.machine("w1"))
    assert before - 1 < seen.started < time.time() + 1
    assert replace(seen, started=0.0) == Membership(kubelet=True, active=True, machine_id="id-of-w1")
    assert replace(look(one.machine("cp1")), started=0.0) == Membership(
        control_plane=True, active=True, machine_id="id-of-cp1", ca="ca-of-cp1"
    )


def test_the_script_tells_what_lies_about_and_who_the_machine_is(tmp_path):
    """With a fake systemctl that says when k0s was started."""
    (tmp_path / "allow-bootstrap").touch()
    (tmp_path / "join-token-abc123").write_text("w1")
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_text("a CA")
    (tmp_path / "systemctl").write_text('#!/bin/sh\n[ "$1" = show ] && echo 1000000\n')
    (tmp_path / "systemctl").chmod(0o755)
    script = LOOK
    for place in ("/var/lib/slipway", "/var/lib/k0s"):
        script = script.replace(place, str(tmp_path))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(["sh", "-c", script, "x"], capture_output=True, text=True, check=True, env=environment).stdout
    seen = look(Speaker(said))  # type: ignore[arg-type]
    assert (seen.sentinel, seen.rename, seen.issued) == (True, False, (("abc123", "w1"),))
    assert seen.ca == hashlib.sha256(b"a CA").hexdigest()
    assert seen.machine_id == Path("/etc/machine-id").read_text().strip()
    booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    assert seen.started == pytest.approx(booted + 1, abs=2)


class Speaker:
    """A fake machine that says one thing."""

    def __init__(self, said: str) -> None:
        self.said = said

    def run(self, argv, **_how):
        return CommandResult(tuple(argv), "w1", 0, self.said, "", 0.0)


def test_a_token_s_id_that_is_none_is_refused():
    """It becomes a word of a command on a controller."""
    with pytest.raises(OddAnswer):
        look(Speaker("issued=--help:w1"))  # type: ignore[arg-type]


def test_a_member_list_without_an_end_names_itself_and_its_likely_cause(world):
    one = world(controllers=2, workers=0)
    one.bring_up()
    one.machine("cp1").breaks = "left"
    with pytest.raises(NoMembers, match=r"cp1: k0s etcd member-list: no end after 20 s; .*has left etcd"):
        etcd_members(one.machine("cp1"))


def test_many_who_wait_share_one_request(monkeypatch):
    asked = []

    def get(_kubeconfig, kind, **_more):
        asked.append(kind)
        return {"items": []}

    monkeypatch.setattr(kubectl, "get", get)
    nodes = Nodes(KUBECONFIG)
    threads = [threading.Thread(target=nodes.registered, args=(f"w{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["nodes", "leases"]


def test_an_api_server_that_is_away_is_waited_for(monkeypatch):
    def get(_kubeconfig, _kind):
        raise CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", "trying\nconnection refused", 0.0))

    monkeypatch.setattr(kubectl, "get", get)
    assert Nodes(KUBECONFIG).registered("w1") == (None, "connection refused")


def test_ready_names_who_is_not_and_why(world):
    one = world()
    one.bring_up()
    one.cluster.nodes["w1"] = True
    with pytest.raises(Degraded, match=r"w2: cni plugin not initialized; w3: not registered") as caught:
        wait_ready(Nodes(KUBECONFIG), ("w1", "w2", "w3"), Events(one.told.append), deadline=0.1)
    assert "w1" not in str(caught.value)
    assert [event.node for event in one.told if (event.phase, event.state) == ("ready", "done")] == ["w1"]


def test_a_ready_from_before_k0s_was_started_does_not_count(world):
    """A kubelet that has died stays Ready for 40 s in the API server's eyes."""
    one = world()
    one.bring_up()
    one.cluster.nodes.update(w1=True, w2=True)
    since = {name: one.machine(name).started for name in ("w1", "w2")}
    one.cluster.silent["w2"] = since["w2"] - 5
    with pytest.raises(Degraded, match="w2: its kubelet has not reported since k0s was started"):
        wait_ready(Nodes(KUBECONFIG), ("w1", "w2"), Events(), deadline=0.1, since=since)
    one.cluster.silent["w2"] = since["w2"] + 1
    wait_ready(Nodes(KUBECONFIG), ("w1", "w2"), Events(), deadline=0.1, since=since)


@pytest.mark.parametrize("leased", [False, True])
def test_a_node_is_ready_once_its_kubelet_has_a_lease(monkeypatch, leased):
    """A kubelet registers first and makes its lease some seconds later; verification asks for it."""
    said = {"type": "Ready", "status": "True", "message": "kubelet is posting ready status"}
    node = {"metadata": {"name": "w1"}, "status": {"conditions": [said]}}
    lease = {"metadata": {"name": "w1"}, "spec": {"renewTime": "2026-11-26T04:30:00.000000Z"}}
    answers = {"nodes": [node], "leases": [lease] if leased else []}
    monkeypatch.setattr(kubectl, "get", lambda _config, kind, **_: {"items": answers[kind]})
    waiting = {} if leased else {"w1": "its kubelet has not renewed its lease yet"}
    assert Nodes(KUBECONFIG).not_ready(("w1",)) == waiting


def test_times_that_are_none_are_an_odd_answer(monkeypatch):
    broken = {"items": [{"metadata": {"name": "w1"}, "spec": {"renewTime": "soon"}}]}
    monkeypatch.setattr(kubectl, "get", lambda *_, **__: broken)
    with pytest.raises(OddAnswer, match="the API server"):
        Nodes(KUBECONFIG).all()


def test_ready_returns_when_all_are(world):
    one = world()
    one.bring_up()
    one.cluster.nodes.update(w1=True, w2=True)
    wait_ready(Nodes(KUBECONFIG), ("w1", "w2"), Events(), deadline=0.1)
