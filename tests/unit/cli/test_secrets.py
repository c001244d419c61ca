"""`slipway secrets`, as a person meets it."""

import json
from pathlib import Path

import pytest
import typer
from tests.unit.sealed import S3, Repository
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.cli.secrets import _given
from slipway.generate.gitops.secrets import BY_NAME, DEPLOY, SEEDS, Form, Key, Wanted
from slipway.secret import Secret
from slipway.tools import age


@pytest.fixture
def slipway(repository, monkeypatch):
    """`slipway(words...)` runs a command in the repository."""
    monkeypatch.chdir(repository.root)
    for name in S3:
        monkeypatch.delenv(name, raising=False)
    runner = CliRunner()
    app: typer.Typer = build(["secrets"])
    return lambda *words, input=None: runner.invoke(app, ["secrets", *words], input=input)


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


def test_check_shows_each_secret_and_ends_well(slipway, repository):
    done = slipway("check")
    assert done.exit_code == 0
    assert "openbao/openbao-seal" in done.stdout
    assert "one key alone opens all of this" in done.stderr


def test_check_names_what_is_wrong_and_ends_with_3(slipway, repository):
    (repository.root / BY_NAME["openbao-seal"].file).unlink()
    done = slipway("check", "--json")
    found = json.loads(done.stdout)
    assert [problem["secret"] for problem in found["problems"]] == ["openbao/openbao-seal"]
    assert [row["secret"] for row in found["secrets"] if not row["ok"]] == ["openbao/openbao-seal"]
    assert done.exception is not None
    assert done.exception.exit_code == 3


def test_an_edit_from_standard_input_changes_what_it_names_and_what_repeats_it(slipway, repository):
    before = repository.values("backup-s3")
    done = slipway("edit", "secrets/backup-s3", "--stdin", input="AWS_SECRET_ACCESS_KEY: another-secret-key\n")
    assert done.exit_code == 0
    after = {**before, "AWS_SECRET_ACCESS_KEY": b"another-secret-key"}
    assert repository.values("backup-s3") == after
    assert repository.values("openbao-snapshots-backup")["AWS_SECRET_ACCESS_KEY"] == b"another-secret-key"
    assert "another-secret-key" not in done.output


def test_an_edit_that_is_wrong_changes_nothing(slipway, repository):
    before = repository.files()
    done = slipway("edit", "openbao-seal", "--stdin", input="key: too-short\n")
    assert "key: not 64 hex digits and no newline: 9 bytes; nothing was changed" in str(done.exception)
    assert repository.files() == before


EDITOR = """#!/bin/sh
case $1 in /dev/shm/slipway-*) ;; *) exit 9 ;; esac
[ "$(stat -c %a "$1")" = 600 ] || exit 8
sed -i 's/^"password": .*/"password": "by-the-editor-of-the-test"/' "$1"
"""


def test_an_edit_by_an_editor_sees_a_file_in_memory(slipway, repository, tmp_path, monkeypatch):
    editor = tmp_path / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    assert slipway("edit", "openbao/openbao-admin").exit_code == 0
    assert repository.values("openbao-admin") == {"password": b"by-the-editor-of-the-test"}
    assert not list(Path("/dev/shm").glob("slipway-*"))


def test_an_editor_that_changes_nothing_leaves_the_file_as_it_is(slipway, repository, monkeypatch):
    before = repository.files()
    monkeypatch.setenv("VISUAL", "true")
    assert "nothing was changed" in slipway("edit", "secrets/backup-s3").stderr
    assert repository.files() == before


def test_an_editor_that_fails_changes_nothing(slipway, repository, monkeypatch):
    before = repository.files()
    monkeypatch.setenv("VISUAL", "false")
    assert "the editor ended with 1" in str(slipway("edit", "secrets/backup-s3").exception)
    assert repository.files() == before


def test_a_secret_that_nobody_knows_is_told_with_those_there_are(slipway, repository):
    assert "secrets/backup-s3" in str(slipway("edit", "nobody").exception)


def test_rotate_says_in_numbers_what_comes_next(slipway, repository):
    before = repository.values("openbao-seal")
    done = slipway("rotate", "seal")
    assert done.exit_code == 0
    assert done.stdout == f"wrote    {BY_NAME['openbao-seal'].file}\n"
    assert "next 1: git add and commit\n" in done.stderr
    assert "next 2: slipway handoff: it brings" in done.stderr
    assert repository.values("openbao-seal")["previous-key"] == before["key"]


def test_finish_is_for_what_has_two_steps(slipway, repository):
    assert "--finish is for age, seal and restic" in str(slipway("rotate", "webhook", "--finish").exception)


def test_a_new_account_of_s3_is_asked_for_by_its_names(slipway, repository):
    before = repository.files()
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(slipway("rotate", "s3").exception)
    assert repository.files() == before


def test_a_drill_without_its_programs_says_how_to_get_them(slipway, repository, monkeypatch):
    monkeypatch.setattr("slipway.secrets.drill.find_program", lambda _name: None)
    done = slipway("drill")
    assert done.exception is not None
    assert done.exception.exit_code == 12
    assert done.exception.hint == "nix shell nixpkgs#restic"


def test_a_name_of_the_environment_that_two_secrets_share_fills_neither(monkeypatch):
    """One login of the shell would become the password of both mirrors."""
    monkeypatch.setenv("REGISTRY_PASSWORD", "geheim")
    (key,) = (Key("REGISTRY_PASSWORD", Form.GIVEN),)
    one, other = (Wanted("containerd", f"registry-{name}", SEEDS, DEPLOY, "containerd", (key,)) for name in "ab")
    assert _given(((one, key),)) == {"registry-a": {"REGISTRY_PASSWORD": Secret("geheim")}}
    assert _given(((one, key), (other, key))) == {}
