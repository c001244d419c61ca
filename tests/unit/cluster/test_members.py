"""Who is in the cluster, and waiting until everybody is Ready."""

import subprocess
import threading

import pytest

from slipway.cluster.members import LOOK, Membership, Nodes, look, wait_ready
from slipway.errors import Degraded
from slipway.events import Events
from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools import kubectl


def test_the_script_is_one_that_sh_takes(tmp_path):
    script = LOOK.replace("/var/lib/k0s", str(tmp_path)).replace("systemctl", "false")
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("", "")


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
    assert set(said.stdout.split()) == words


def test_look_reads_the_words(world):
    one = world()
    assert look(one.machine("w1")) == Membership()
    one.bring_up()
    assert look(one.machine("w1")) == Membership(kubelet=True, active=True)
    assert look(one.machine("cp1")) == Membership(control_plane=True, active=True)


def test_many_who_wait_share_one_request(monkeypatch):
    asked = []

    def get(_kubeconfig, kind):
        asked.append(kind)
        return {"items": []}

    monkeypatch.setattr(kubectl, "get", get)
    nodes = Nodes(Secret("k"))
    threads = [threading.Thread(target=nodes.registered, args=(f"w{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["nodes"]


def test_an_api_server_that_is_away_is_waited_for(monkeypatch):
    def get(_kubeconfig, _kind):
        raise CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", "trying\nconnection refused", 0.0))

    monkeypatch.setattr(kubectl, "get", get)
    assert Nodes(Secret("k")).registered("w1") == (None, "connection refused")


def test_ready_names_who_is_not_and_why(world):
    one = world()
    one.bring_up()
    one.cluster.nodes["w1"] = True
    with pytest.raises(Degraded, match=r"w2: cni plugin not initialized; w3: not registered") as caught:
        wait_ready(Nodes(Secret("k")), ("w1", "w2", "w3"), Events(one.told.append), deadline=0.1)
    assert "w1" not in str(caught.value)
    assert [event.node for event in one.told if (event.phase, event.state) == ("ready", "done")] == ["w1"]


def test_ready_returns_when_all_are(world):
    one = world()
    one.bring_up()
    one.cluster.nodes.update(w1=True, w2=True)
    wait_ready(Nodes(Secret("k")), ("w1", "w2"), Events(), deadline=0.1)
