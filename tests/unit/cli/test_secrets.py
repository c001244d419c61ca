"""`slipway secrets`, as a person meets it."""

import json

import pytest
import typer
from tests.unit.sealed import S3, Repository
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.generate.gitops.secrets import BY_NAME
from slipway.tools import age


@pytest.fixture
def slipway(repository, monkeypatch):
    """`slipway(words...)` runs a command in the repository."""
    monkeypatch.chdir(repository.root)
    for name in S3:
        monkeypatch.delenv(name, raising=False)
    runner = CliRunner()
    app: typer.Typer = build(["secrets"])
    return lambda *words: runner.invoke(app, ["secrets", *words])


def without_s3(repository: Repository) -> None:
    for name in ("backup-s3", "openbao-snapshots-backup"):
        (repository.root / BY_NAME[name].file).unlink()


def test_init_says_what_is_lacking_and_what_comes_next(slipway, repository):
    without_s3(repository)
    done = slipway("init")
    assert done.exit_code == 0
    assert "lacking  secrets/backup-s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in done.stdout
    assert "next: slipway secrets edit secrets/backup-s3\n" in done.stderr
    assert "edit openbao/" not in done.stderr


def test_init_takes_from_the_environment_what_only_a_person_has(slipway, repository, monkeypatch):
    without_s3(repository)
    for name, value in S3.items():
        monkeypatch.setenv(name, value.reveal().decode())
    found = json.loads(slipway("init", "--json").stdout)
    assert [path.rpartition("/")[2] for path in found["made"]] == [
        "backup-s3.sops.yaml", "openbao-snapshots-backup.sops.yaml",
    ]  # fmt: skip
    assert found["lacking"] == []
    assert repository.values("backup-s3") == {name: value.reveal() for name, value in S3.items()}


def test_a_second_init_changes_nothing(slipway, repository):
    before = repository.files()
    assert slipway("init").exit_code == 0
    assert repository.files() == before


def test_a_new_recipient_opens_what_was_there(slipway, repository):
    offline = age.generate().public
    found = json.loads(slipway("init", "--recipient", offline, "--json").stdout)
    assert found["recipients"] == [offline]
    assert len(found["reencrypted"]) == 11
