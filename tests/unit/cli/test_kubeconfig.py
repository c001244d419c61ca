"""`slipway kubeconfig`; the controllers are fakes."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from tests.unit.cluster.credentials import admin, written

from slipway.cli import kubeconfig as command
from slipway.cli.main import build, guarded
from slipway.cluster import kubeconfig as made
from slipway.errors import InvalidInput, UsageError

INVENTORY = """\
apiVersion: slipway/v1
cluster:
  name: home
  k0s: {version: 1.36.3+k0s.2}
  network: {NETWORK}
defaults: {network: {interface: eno1, prefixLength: 24, gateway: 10.0.0.1}}
hosts:
  cp1: {address: 10.0.0.10, role: controller+worker}
"""
OTHER: dict[str, Any] = {
    "clusters": [{"name": "work", "cluster": {"server": "https://192.0.2.1:6443"}}, {"name": "home", "cluster": {}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "users": [{"name": "me", "user": {"token": "x"}}],
    "current-context": "work",
    "preferences": {"colors": True},
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A repository and a home; `network` is that of the cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(command, "Pool", SimpleNamespace(of=lambda _: nullcontext()))

    def fake_of(inventory, _pool):
        return made.rebuilt(written(admin()), made.servers(inventory), 6443)

    monkeypatch.setattr(made, "of", fake_of)

    def with_network(network="{}"):
        (tmp_path / "inventory.yaml").write_text(INVENTORY.replace("{NETWORK}", network))
        return tmp_path

    return with_network


def run(*words: str) -> int:
    return guarded(lambda: build(["kubeconfig"])(["kubeconfig", *words], prog_name="slipway"), debug=False)


def test_a_new_file_is_its_owners_alone_and_named_as_the_cluster(site, capsys):
    root = site()
    assert run("-o", "home.kubeconfig") == 0
    file = root / "home.kubeconfig"
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text())
    assert found["current-context"] == "home"
    assert found["clusters"][0]["cluster"]["server"] == "https://10.0.0.10:6443"
    out, err = capsys.readouterr()
    assert out == ""
    assert "kubectl --kubeconfig home.kubeconfig --context home get nodes" in err
    assert "client-key-data" not in err


@pytest.mark.parametrize(
    ("network", "server"),
    [
        ("{vip: {address: 10.0.0.5/24}}", "https://10.0.0.5:6443"),
        ("{externalAddress: api.example.org}", "https://api.example.org:6443"),
        ("{vip: {address: 10.0.0.5/24}, externalAddress: api.example.org}", "https://api.example.org:6443"),
    ],
)
def test_the_address_that_outlives_a_controller_is_taken(site, network, server):
    root = site(network)
    assert run("-o", "k") == 0
    assert json.loads((root / "k").read_text())["clusters"][0]["cluster"]["server"] == server


def test_a_file_that_is_there_stays_as_it_is(site):
    (site() / "k").write_text("mine")
    with pytest.raises(UsageError, match="k exists"):
        command.kubeconfig(output=Path("k"), merge=False)
    assert Path("k").read_text() == "mine"


def test_merged_the_other_clusters_stay(site):
    root = site()
    own = root / "home" / ".kube" / "config"
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump(OTHER))
    own.chmod(0o644)
    assert run("--merge") == 0
    found = yaml.safe_load(own.read_text())
    assert [each["name"] for each in found["clusters"]] == ["work", "home"]
    assert found["clusters"][1]["cluster"]["server"] == "https://10.0.0.10:6443"
    assert found["users"][0] == OTHER["users"][0]
    assert found["preferences"] == {"colors": True}
    assert found["current-context"] == "home"
    assert own.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in own.parent.iterdir()] == ["config"]


def test_merged_a_second_time_nothing_is_there_twice(site):
    root = site()
    assert run("--merge") == run("--merge") == 0
    found = yaml.safe_load((root / "home" / ".kube" / "config").read_text())
    assert [len(found[entries]) for entries in ("clusters", "contexts", "users")] == [1, 1, 1]


@pytest.mark.parametrize("text", ["a: [", "- a", "clusters: {a: b}", "just text"])
def test_what_is_no_kubeconfig_is_left_alone(site, monkeypatch, text):
    root = site()
    monkeypatch.setenv("KUBECONFIG", str(root / "mine"))
    (root / "mine").write_text(text)
    with pytest.raises(InvalidInput, match="no kubeconfig; nothing was changed"):
        command.kubeconfig(output=None, merge=True)
    assert (root / "mine").read_text() == text


def test_standard_output_only_when_asked_for(site, capsys):
    site()
    assert run("-o", "-") == 0
    assert json.loads(capsys.readouterr().out)["current-context"] == "home"
    assert run() == 2
    assert capsys.readouterr().out == ""
