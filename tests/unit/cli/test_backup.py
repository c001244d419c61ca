"""`slipway backup` and `slipway restore` as a user sees them; the control plane is a fake, age is real."""

import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import typer
from tests.unit.cli.test_deploy import repository  # noqa: F401 (a fixture)
from tests.unit.cluster.archives import archive

from slipway.cli import locked
from slipway.cluster import backup, restore
from slipway.cluster.restore import Ground, StillThere
from slipway.errors import DeployFailed, InvalidInput, UsageError
from slipway.outcome import NodeResult, Outcome
from slipway.secrets import store
from slipway.tools import age

SAID = {"cluster": "test", "k0s": "1.36.3+k0s.2", "controller": "cp1", "time": "2026-11-26T01:02:03+00:00"}
READ = backup.read(archive({"slipway.json": json.dumps(SAID).encode(), "etcd-snapshot.db": b"x", "pki/ca.crt": b"CA"}))
ABOUT = READ.about
GROUND = Ground("cp1", {})


@pytest.fixture
def with_key(repository, tmp_path, monkeypatch):  # noqa: F811
    pair = age.generate()
    keys = tmp_path / "keys.txt"
    keys.touch(0o600)
    keys.write_bytes(pair.private.reveal())
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(keys))
    (repository / store.CONFIG).write_text(f"creation_rules: [{{age: {pair.public}}}]\n")
    monkeypatch.setattr(backup, "make", lambda *_: backup.Archive(ABOUT, READ.content))
    return repository


@pytest.fixture
def restored(with_key, slipway, monkeypatch):
    """The file of a backup, and what was restored of it."""
    done: list[str] = []

    def bring(_inventory, _pool, _events, made, ground, key):
        done.append(f"{made.about.cluster} on {ground.first}{' with a key' if key else ''}")
        return {"cp1": NodeResult("cp1", Outcome.OK, "has the cluster of the backup")}

    monkeypatch.setattr(restore, "require_cold", lambda *_: GROUND)
    monkeypatch.setattr(restore, "restore", bring)
    return json.loads(slipway("backup", "--json").stdout)["file"], done


def test_a_backup_is_told_and_listed(with_key, slipway):
    said = slipway("backup")
    assert "homelab" not in said.stdout and "cluster test (" in said.stdout and "sha256 " in said.stdout
    assert "slipway restore " in said.stderr and "warning" not in said.stderr
    (listed,) = json.loads(slipway("backup", "--list", "--json").stdout)
    assert (listed["identity"], listed["k0s"], len(listed["recipients"])) == (ABOUT.identity, "1.36.3+k0s.2", 1)
    assert "test-20261126T010203Z.tar.gz.age" in slipway("backup", "--list").stdout


def test_a_plain_one_is_warned_of(with_key, slipway, tmp_path):
    assert "holds every secret of the cluster" in slipway("backup", "--plain", "--to", str(tmp_path / "x")).stderr


def test_before_anything_is_asked_of_a_machine_it_is_clear_where_it_goes(with_key, slipway, monkeypatch):
    monkeypatch.setattr(backup, "make", lambda *_: pytest.fail("asked a machine"))
    with pytest.raises(UsageError, match="not overwritten"):
        slipway("backup", "--to", str(with_key / "inventory.yaml"))
    (with_key / store.CONFIG).unlink()
    with pytest.raises(InvalidInput, match="no creation rule"):
        slipway("backup")


def test_a_restore_names_what_is_lost_and_wants_somebody_to_agree(restored, slipway, monkeypatch):
    file, done = restored
    with pytest.raises(UsageError, match="nobody is there to agree") as caught:
        slipway("restore", file)
    assert "--yes" in str(caught.value.hint) and done == []
    said = slipway("restore", file, "--yes")
    assert "its state of 2026-11-26T01:02:03+00:00: what was written to it later is lost" in said.stderr
    assert done == ["test on cp1 with a key"]


@pytest.mark.parametrize(("agrees", "count"), [(True, 1), (False, 0)])
def test_somebody_who_is_there_is_asked(restored, slipway, monkeypatch, agrees, count):
    done = restored[1]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: agrees)
    with nullcontext() if agrees else pytest.raises(UsageError, match="not agreed to"):
        locked.agree(["x is lost"], "Do it?", yes=False)
        done.append("")
    assert len(done) == count


def test_a_dry_run_says_it_and_does_nothing(restored, slipway):
    file, done = restored
    assert "would: cluster test" in slipway("restore", file, "--dry-run").stderr
    assert json.loads(slipway("restore", file, "--dry-run", "--json").stdout)["wouldDo"]
    assert done == []


def test_who_did_not_come_back_is_the_error(restored, slipway, monkeypatch):
    result = {"cp1": NodeResult("cp1", Outcome.OK), "w1": NodeResult("w1", Outcome.DEGRADED, "no token")}
    monkeypatch.setattr(restore, "restore", lambda *_: result)
    with pytest.raises(DeployFailed, match=r"did not come back: w1 \(degraded\)"):
        slipway("restore", restored[0], "--yes", "--json")


def test_a_refusal_is_in_the_run_as_well(restored, slipway, monkeypatch, with_key):
    def refuse(*_):
        raise StillThere("cp1: the same cluster lives")

    monkeypatch.setattr(restore, "require_cold", refuse)
    with pytest.raises(StillThere):
        slipway("restore", restored[0], "--yes")
    written = [json.loads(each.read_text()) for each in with_key.glob(".slipway/runs/*/result.json")]
    assert {each["command"]: each["error"] and each["error"]["exitCode"] for each in written} == {
        "backup": None, "restore": 6,
    }  # fmt: skip
