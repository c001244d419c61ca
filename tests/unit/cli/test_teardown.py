"""`slipway teardown` asks first; the cluster is a fake."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli.two_hosts import INVENTORY
from typer.testing import CliRunner, Result

from slipway.cli.main import build
from slipway.cluster import kubeconfig
from slipway.errors import UsageError
from slipway.inventory import load
from slipway.rollout import lease
from slipway.ssh import pool
from slipway.ssh.keys import KNOWN_HOSTS
from slipway.stages import teardown as stages
from slipway.stages.model import Stage
from slipway.stages.teardown import Removal

GOES = (Removal("app", Stage.CLUSTER_APPS, "sample"), Removal("flux", Stage.BOOTSTRAP, "flux"))


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch):
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    shutil.copy(sshd.folder / "known_hosts", tmp_path / KNOWN_HOSTS)
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user=sshd.endpoint.user, port=sshd.port))
    monkeypatch.setattr(lease, "FOLDER", str(tmp_path / "run"))
    monkeypatch.setattr(kubeconfig, "of", lambda *_: None)
    monkeypatch.setattr(stages, "planned", lambda _site: GOES)
    return tmp_path


@pytest.fixture
def gone(monkeypatch):
    gone: list[Removal] = []

    def take(_site: object, removals: tuple[Removal, ...]) -> tuple[str, ...]:
        gone.extend(removals)
        return ("pvc-cache",)

    monkeypatch.setattr(stages, "teardown", take)
    return gone


def teardown(repository: Path, *words: str) -> Result:
    path = str(repository / "inventory.yaml")
    return CliRunner().invoke(build(["teardown"]), ["teardown", *words, "-i", path])


@pytest.mark.parametrize("words", [(), ("--yes", "another")])
def test_without_the_clusters_name_it_only_tells_what_would_go(repository, gone, words):
    result = teardown(repository, *words)
    assert isinstance(result.exception, UsageError)
    assert "nothing was taken down" in str(result.exception)
    assert "goes: cluster-apps: app sample" in result.stderr
    assert gone == []


def test_with_it_all_of_that_goes(repository, gone):
    name = load(repository / "inventory.yaml").cluster.name
    result = teardown(repository, "--yes", name)
    assert result.exit_code == 0, result.output
    assert tuple(gone) == GOES
    assert "2 removed, and 1 cache of backups; volumes and their data are still there" in result.stderr
    assert json.loads(teardown(repository, "--yes", name, "--json").stdout)["caches"] == ["pvc-cache"]


def test_a_rehearsal_tells_the_same_and_asks_nobody(repository, gone):
    result = teardown(repository, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "would go: cluster-apps: app sample" in result.stderr
    assert json.loads(teardown(repository, "--dry-run", "--json").stdout) == {
        "wouldRemove": ["cluster-apps: app sample", "bootstrap: flux flux"]
    }
    assert gone == []


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_where_nothing_is_nobody_is_asked(repository, gone, monkeypatch, words):
    monkeypatch.setattr(stages, "planned", lambda _site: ())
    monkeypatch.setattr(stages, "teardown", lambda *_: pytest.fail("nothing is there"))
    result = teardown(repository, *words)
    assert result.exit_code == 0, result.output
    assert "nothing of the stages is in the cluster" in result.stderr
