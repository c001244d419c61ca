"""`slipway handoff` and the cluster's lock, over a real sshd; the gate and the stage are fakes."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.cli.test_deploy import THEIRS
from tests.unit.cli.two_hosts import INVENTORY
from typer.testing import CliRunner

from slipway.cli import gate
from slipway.cli.main import build
from slipway.cluster import kubeconfig
from slipway.errors import LockedByAnother
from slipway.outcome import Outcome
from slipway.rollout import lease
from slipway.ssh import pool
from slipway.ssh.keys import KNOWN_HOSTS
from slipway.stages import handoff as stages
from slipway.stages.handoff import HandoffResult, StepResult
from slipway.stages.model import Stage


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    shutil.copy(sshd.folder / "known_hosts", tmp_path / KNOWN_HOSTS)
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user=sshd.endpoint.user, port=sshd.port))
    monkeypatch.setattr(lease, "FOLDER", str(tmp_path / "run"))
    monkeypatch.setattr(gate, "look", lambda *_: SimpleNamespace(require=lambda: None))
    monkeypatch.setattr(kubeconfig, "of", lambda *_: None)
    return tmp_path


def handoff(repository: Path, *words: str) -> str:
    """What it says to a person."""
    result = CliRunner().invoke(build(["handoff"]), ["handoff", *words, "-i", str(repository / "inventory.yaml")])
    if result.exception:
        raise result.exception
    return result.stderr


def test_it_ends_with_the_way_to_kubectl(repository, monkeypatch):
    monkeypatch.setattr(stages, "handoff", lambda *_: HandoffResult(Stage.BOOTSTRAP, ()))
    last = handoff(repository).splitlines()[-1]
    assert last.startswith("kubectl: slipway kubeconfig --merge")
    assert "kubectl" not in handoff(repository, "--json")


def test_it_has_the_clusters_lock_while_it_hands_over(repository, monkeypatch):
    seen: list[str] = []

    def hand_over(*_):
        seen.append((repository / "run" / "deploy.lock").read_text())
        return HandoffResult(Stage.BOOTSTRAP, ())

    monkeypatch.setattr(stages, "handoff", hand_over)
    handoff(repository)
    assert len(seen) == 1 and str(repository) in seen[0]
    assert not (repository / "run" / "deploy.lock").exists()


def test_while_another_deploys_nothing_is_handed_over_unless_its_lock_is_broken(repository, monkeypatch):
    done: list[str] = []

    def hand_over(*_):
        done.append("x")
        return HandoffResult(Stage.BOOTSTRAP, ())

    monkeypatch.setattr(stages, "handoff", hand_over)
    (repository / "run").mkdir()
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    (repository / "run" / "deploy.lock").write_text(THEIRS.format(uptime))
    with pytest.raises(LockedByAnother, match="eva@there"):
        handoff(repository)
    assert done == []
    handoff(repository, "--break-lock")
    assert done == ["x"]


def test_a_dry_run_tells_what_is_lacking_and_takes_no_lock(repository, monkeypatch):
    seen: list[object] = []
    lacking = (StepResult("push", Outcome.OK, "the Git server has no commit", 0.1),)

    def look(_inventory, _config, _machines, _events, until):
        seen.append(until)
        assert not (repository / "run" / "deploy.lock").exists()
        return lacking

    monkeypatch.setattr(stages, "outlook", look)
    monkeypatch.setattr(stages, "handoff", lambda *_: pytest.fail("it was only asked"))
    words = ["handoff", "--dry-run", "--until", "bootstrap", "-i", str(repository / "inventory.yaml")]
    result = CliRunner().invoke(build(["handoff"]), words)
    assert result.exit_code == 0, result.output
    assert seen == [Stage.BOOTSTRAP]
    assert "push" in result.stdout
    assert "to do" in result.stdout
    assert "the Git server has no commit" in result.stdout
