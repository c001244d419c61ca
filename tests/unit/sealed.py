"""A repository with an inventory and its secrets, made once with the real sops and age-keygen."""

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.cli.generate import set_up
from slipway.generate import tree, writer
from slipway.generate.gitops.secrets import BY_NAME
from slipway.generate.skeleton import Flake
from slipway.inventory import Inventory, load
from slipway.secret import Secret
from slipway.secrets import making, store
from slipway.secrets.manifest import Manifest, written
from slipway.tools.run import run

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f admin@example"
S3 = {"AWS_ACCESS_KEY_ID": Secret("access-key-of-the-test"), "AWS_SECRET_ACCESS_KEY": Secret("secret-key-of-the-test")}
STAGES = {"mode": "install", "backup": {"repository": "s3:https://s3.example.org/backups"}}


def new_root(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """An empty repository below `folder` that has an age key of its own."""
    keys_of(monkeypatch, folder / "config")
    root = folder / "repository"
    root.mkdir()
    store.create(root)
    return root


@dataclass(frozen=True)
class Repository:
    """`root` is its folder; everything below is the test's own copy, its age key too."""

    root: Path

    @property
    def inventory(self) -> Inventory:
        return load(self.root / "inventory.yaml")

    def values(self, name: str) -> dict[str, bytes]:
        found = yaml.safe_load(store.decrypt(self.root, BY_NAME[name].file).reveal())
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def rewrite(self, name: str, **changes: bytes | None) -> None:
        """Other values in a Secret; None takes one away."""
        values = {**self.values(name), **{key.replace("__", "-"): value for key, value in changes.items()}}
        kept = {key: Secret(value) for key, value in values.items() if value is not None}
        about = BY_NAME[name]
        store.rewritten(self.root, about.file, written(Manifest(about.namespace, about.name, kept)))

    def change(self, stages: dict[str, Any]) -> None:
        file = self.root / "inventory.yaml"
        whole = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**whole, "stages": {**whole["stages"], **stages}}))

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
        return run(["git", "-C", str(self.root), *who, *words]).stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=state")

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file() and ".git" not in path.parts}


def keys_of(patch: pytest.MonkeyPatch, configuration: Path) -> None:
    """Have sops and slipway look for age keys below `configuration` alone, whatever whoever runs the tests has."""
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"):
        patch.delenv(name, raising=False)
    patch.setenv("XDG_CONFIG_HOME", str(configuration))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a repository and of the key file that opens it."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        keys_of(patch, folder / "config")
        root = folder / "repository"
        set_up(root, "small", Flake(lab=False))
        file = root / "inventory.yaml"
        whole = yaml.safe_load(file.read_text())
        whole["defaults"]["ssh"]["authorizedKeys"] = [KEY]
        file.write_text(yaml.safe_dump({**whole, "stages": STAGES}))
        making.fill(load(file), {"backup-s3": S3})
        writer.write(root, writer.changes(root, tree.render(load(file))))
    yield folder


@pytest.fixture
def repository(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    shutil.copytree(made_once, tmp_path / "own", symlinks=True)
    keys_of(monkeypatch, tmp_path / "own" / "config")
    return Repository(tmp_path / "own" / "repository")
