"""`slipway encryption`: the steps to another key as a user takes them; the controllers are fakes, sops is real."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.sealed import keys_of
from typer.testing import CliRunner

from slipway.cli import encryption as command
from slipway.cli import locked
from slipway.cli.main import build
from slipway.cluster import rekeying
from slipway.cluster.rekeying import Holding, UnsafeKeys
from slipway.errors import SlipwayError, Unreachable, UsageError
from slipway.secrets import at_rest, store

INVENTORY = """\
apiVersion: slipway/v1
cluster:
  name: home
  k0s: {{version: 1.36.3+k0s.2, encryptSecrets: {encrypt}}}
defaults: {{network: {{interface: eno1, prefixLength: 24}}}}
hosts:
  cp1: {{address: 10.0.0.10, role: controller+worker}}
  cp2: {{address: 10.0.0.11, role: controller+worker}}
  cp3: {{address: 10.0.0.12, role: controller+worker}}
"""
NAMES = ("cp1", "cp2", "cp3")


class Site:
    """A repository and what its controllers hold; `deploy` is what a deploy brings them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.seen: dict[str, Any] = {}
        self.stored = 0
        monkeypatch.setattr(rekeying, "look_at", lambda *_: self.seen)
        monkeypatch.setattr(rekeying, "store_anew", self.store_anew)
        self.runs: list[str] = []
        pool = SimpleNamespace(shut=lambda: None)
        for module in (command, locked):
            monkeypatch.setattr(module, "Pool", SimpleNamespace(of=lambda _: nullcontext(pool)))
        monkeypatch.setattr(locked, "held", self.held)

    def held(self, _inventory, _pool, _events, run, **_):
        self.runs.append(run)
        return nullcontext()

    def deploy(self, *names: str, loaded: bool = True) -> None:
        keys = at_rest.read(self.root)
        rekeying.require(keys, self.seen)
        for name in names or NAMES:
            self.seen[name] = Holding(keys.marks, writes=True, loaded=loaded)

    def store_anew(self, keys, *_):
        rekeying.require_written(keys, self.seen)
        self.stored += 1
        self.seen = {name: replace(each, stored_anew=keys.writer.mark) for name, each in self.seen.items()}
        return 7

    def names(self) -> list[str]:
        return [key.name for key in at_rest.read(self.root).every]

    def __call__(self, *words: str):
        argv = ["encryption", *words, "-i", str(self.root / "inventory.yaml")]
        result = CliRunner().invoke(build(["encryption"]), argv)
        if isinstance(result.exception, SlipwayError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result


@pytest.fixture
def site(tmp_path, monkeypatch):
    keys_of(monkeypatch, tmp_path / "config")
    root = tmp_path / "repository"
    root.mkdir()
    (root / "inventory.yaml").write_text(INVENTORY.format(encrypt="true"))
    store.create(root)
    made = Site(root, monkeypatch)
    made.deploy()
    return made


def test_three_steps_with_a_deploy_after_each_bring_another_key(site):
    for names, said in [
        (["slipway", "slipway-2"], "made the key slipway-2, to read by at first"),
        (["slipway-2", "slipway"], "every controller reads by slipway-2"),
        (["slipway-2"], "stored 7 Secrets anew with the key slipway-2"),
        (["slipway-2", "slipway-3"], "made the key slipway-3"),
    ]:
        told = site("rotate").stderr
        assert said in told
        assert "next: slipway deploy" in told
        assert site.names() == names
        site.deploy()
    assert site.stored == 1


def test_no_two_of_them_have_the_clusters_lock_at_once(site):
    """The lock knows its holder by the run: who has the same name would take it, and give it back for the other."""
    site("rotate")
    site.deploy()
    site("rotate")
    site.deploy()
    site("rewrite")
    assert len(set(site.runs)) == len(site.runs) == 3


def test_no_step_is_taken_before_the_last_one_is_everywhere(site):
    site("rotate")
    with pytest.raises(UnsafeKeys, match="do not have what"):
        site("rotate")
    site.deploy("cp1", "cp2")
    with pytest.raises(UnsafeKeys, match="do not have what"):
        site("rotate")
    site.deploy(loaded=False)
    with pytest.raises(UnsafeKeys, match="cp1"):
        site("rotate")
    site.deploy()
    site.seen["cp3"] = Unreachable("cp3: no route to host")
    with pytest.raises(UnsafeKeys, match="cp3: cannot be asked"):
        site("rotate")
    assert site.names() == ["slipway", "slipway-2"]
    site.deploy()
    site("rotate")
    assert site.names() == ["slipway-2", "slipway"]


def test_the_old_key_stays_where_secrets_cannot_be_stored_anew(site, monkeypatch):
    for _ in range(2):
        site("rotate")
        site.deploy()

    def fails(*_):
        raise UnsafeKeys("cp2: its API server does not write with it yet")

    monkeypatch.setattr(rekeying, "store_anew", fails)
    with pytest.raises(UnsafeKeys):
        site("rotate")
    assert site.names() == ["slipway-2", "slipway"]


def test_rewrite_stores_every_secret_anew(site):
    assert "stored 7 Secrets anew with the key slipway" in site("rewrite").stderr
    assert json.loads(site("rewrite", "--json").stdout) == {"stored": 7, "key": "slipway"}
    assert site.names() == ["slipway"]


def test_status_says_who_holds_what_and_what_comes_next(site):
    site("rotate")
    result = site("status")
    assert result.stdout.splitlines()[1].split() == ["cp1", "slipway", "slipway", "yes"]
    assert "next: slipway deploy" in result.stderr
    site.deploy(loaded=False)
    result = site("status")
    assert result.stdout.splitlines()[3].split() == ["cp3", "slipway", "slipway,", "slipway-2", "not", "yet"]
    assert "next: look again in a minute" in result.stderr
    site.deploy()
    assert "next: slipway encryption rotate" in site("status").stderr


def test_status_tells_no_key_and_whom_it_could_not_ask(site):
    site.seen["cp2"] = Unreachable("cp2: no route to host")
    assert "cp2: no route to host" in site("status").stdout
    said = site("status", "--json").stdout
    assert json.loads(said)["controllers"] == {
        "cp1": {"keys": ["slipway"], "writesWith": "slipway", "loaded": True, "storedAnewWith": ""},
        "cp2": {"error": "cp2: no route to host"},
        "cp3": {"keys": ["slipway"], "writesWith": "slipway", "loaded": True, "storedAnewWith": ""},
    }
    assert at_rest.read(site.root).writer.base64 not in said


@pytest.mark.parametrize("words", ["status", "rotate", "rewrite"])
def test_without_encryption_there_is_nothing_to_change(site, words):
    (site.root / "inventory.yaml").write_text(INVENTORY.format(encrypt="false"))
    with pytest.raises(UsageError, match="encryptSecrets is false"):
        site(words)
