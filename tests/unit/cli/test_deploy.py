"""`slipway trust` against a real sshd, and what `plan` and `deploy` print."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli import deploy as module
from slipway.cli.main import build
from slipway.errors import DeployFailed, SlipwayError, Unreachable, UsageError
from slipway.outcome import NodeResult, Outcome
from slipway.rollout.engine import Deployment
from slipway.rollout.plan import NodePlan
from slipway.ssh import pool
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import KnownHosts

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]
    user: {user}
    port: {port}
  network: {{interface: eth0, prefixLength: 24}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller}}
  w1: {{address: 10.0.0.21, role: worker}}
"""


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    """An inventory takes no loopback address; the machines are looked for there all the same."""
    monkeypatch.setattr(pool, "endpoint_of", lambda host: Endpoint(host.name, "127.0.0.1", host.ssh.port))
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user=sshd.endpoint.user, port=sshd.port))
    return tmp_path


@pytest.fixture
def slipway(repository):
    """Run a command in the repository; return its exit code and what it printed, or raise its SlipwayError."""

    def slipway(*words: str, input: str | None = None):
        result = CliRunner().invoke(build(words[:1]), [*words, "-i", str(repository / "inventory.yaml")], input=input)
        if isinstance(result.exception, SlipwayError):
            raise result.exception
        return result

    return slipway


@pytest.fixture
def fingerprint(sshd):
    said = subprocess.run(
        ["ssh-keygen", "-lf", str(sshd.folder / "host_ed25519.pub")], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]


def pinned(repository: Path, port: int) -> list[str]:
    return [key.fingerprint for key in KnownHosts.load(repository / "known_hosts").of("127.0.0.1", port)]


def test_the_right_fingerprint_pins_the_key(slipway, repository, sshd, fingerprint):
    result = slipway("trust", "cp1", "--fingerprint", fingerprint)
    assert result.exit_code == 0
    assert fingerprint in result.stderr
    assert pinned(repository, sshd.port) == [fingerprint]


def test_another_fingerprint_pins_nothing(slipway, repository, sshd):
    with pytest.raises(Unreachable, match="not pinned: cp1"):
        slipway("trust", "cp1", "--fingerprint", "SHA256:something")
    assert pinned(repository, sshd.port) == []


def test_yes_pins_what_is_shown_and_a_second_time_changes_nothing(slipway, repository, sshd, fingerprint):
    slipway("trust", "cp1", "--yes")
    before = (repository / "known_hosts").read_text()
    assert "pinned already" in slipway("trust", "cp1", "--yes").stderr
    assert (repository / "known_hosts").read_text() == before
    assert pinned(repository, sshd.port) == [fingerprint]


def test_with_nobody_to_ask_it_says_what_to_type(slipway, repository, sshd, fingerprint):
    with pytest.raises(UsageError) as caught:
        slipway("trust", "cp1")
    assert caught.value.hint == f"slipway trust cp1 --fingerprint {fingerprint}"
    assert pinned(repository, sshd.port) == []


@pytest.mark.parametrize(("answer", "pins"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_decides(slipway, repository, sshd, monkeypatch, answer, pins):
    monkeypatch.setattr(module, "_somebody_is_there", lambda: True)
    if pins:
        slipway("trust", "cp1", input=answer)
    else:
        with pytest.raises(Unreachable):
            slipway("trust", "cp1", input=answer)
    assert bool(pinned(repository, sshd.port)) == pins


def test_a_changed_key_is_shown_beside_the_pinned_one(slipway, repository, sshd, fingerprint):
    other = (sshd.folder / "client.pub").read_text().split()
    (repository / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other[0]} {other[1]}\n")
    old = pinned(repository, sshd.port)
    result = slipway("trust", "cp1", "--yes")
    assert f"pinned so far: ssh-ed25519 {old[0]}" in result.stderr
    assert pinned(repository, sshd.port) == [fingerprint]


def test_one_fingerprint_is_of_one_machine(slipway):
    with pytest.raises(UsageError, match="of one machine; 2 are chosen"):
        slipway("trust", "--fingerprint", "SHA256:x")


def test_a_machine_that_does_not_answer_keeps_no_other_from_being_pinned(slipway, repository, sshd, monkeypatch):
    text = (repository / "inventory.yaml").read_text()
    closed = text.replace("{address: 10.0.0.21, role: worker}", "{address: 10.0.0.21, role: worker, ssh: {port: 1}}")
    (repository / "inventory.yaml").write_text(closed)
    with pytest.raises(Unreachable, match="not pinned: w1"):
        slipway("trust", "--yes")
    assert len(pinned(repository, sshd.port)) == 1


RESULT = Deployment(
    (
        NodeResult("cp1", Outcome.OK, "", 3.0, "fine", "/nix/store/a-old", "/nix/store/abcdefghijk-nixos-system-cp1"),
        NodeResult("w1", Outcome.ROLLED_BACK, "no confirmation", 9.0, "the last line", None, None),
    )
)


def test_deploy_shows_every_node_and_ends_with_its_error(slipway, repository, monkeypatch, capsys):
    monkeypatch.setattr(module, "roll_out", lambda *_: RESULT)
    with pytest.raises(DeployFailed, match="rolled-back: w1"):
        slipway("deploy")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert json.loads(written.read_text())["error"]["exitCode"] == 6


def test_deploy_prints_json_alone(slipway, monkeypatch):
    monkeypatch.setattr(module, "roll_out", lambda *_: Deployment(RESULT.nodes[:1]))
    printed = json.loads(slipway("deploy", "--json").stdout)
    assert [node["outcome"] for node in printed["nodes"]] == ["ok"]


def test_an_error_before_any_node_is_in_the_run_as_well(slipway, repository):
    with pytest.raises(SlipwayError, match="generated files"):
        slipway("deploy")
    (written,) = repository.glob(".slipway/runs/*/result.json")
    assert json.loads(written.read_text())["error"]["hint"] == "slipway generate"


def test_plan_shows_what_each_node_would_do(slipway, monkeypatch):
    plans = (
        NodePlan("cp1", "controller cp1", "/nix/store/abcdefghijk-old", "/nix/store/lmnopqrstuv-new", True,
                 ("k0s: 1.35 → 1.36",), ("would restart k0s.service",)),
        NodePlan("w1", "workers", "/nix/store/x-same", "/nix/store/x-same", False),
    )  # fmt: skip
    monkeypatch.setattr(module, "make_plan", lambda _preparation: plans)
    result = slipway("plan")
    assert result.stdout.splitlines() == [
        "cp1  abcdefgh old -> lmnopqrs new",
        "    k0s: 1.35 → 1.36",
        "    would restart k0s.service",
        "w1  unchanged",
    ]
    assert "1 of 2 nodes would change: slipway deploy" in result.stderr
    assert json.loads(slipway("plan", "--json").stdout)[0]["packages"] == ["k0s: 1.35 → 1.36"]
