"""What `slipway secrets check` proves, and each way in which it can fail."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.generate.gitops.secrets import BY_NAME, Wanted
from slipway.secret import Secret
from slipway.secrets import check, keys, recipients, store
from slipway.secrets.manifest import Manifest
from slipway.tools import age

NAMES = (
    "encryption", "sops-age", "gitea-admin", "git-reader", "backup-repo", "backup-s3", "git-webhook", "forgejo-admin",
    "openbao-seal", "openbao-admin", "openbao-snapshots-backup",
)  # fmt: skip


@pytest.fixture(scope="session")
def opened(made_once):
    """Every file of the repository, opened once: tests change copies of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(made_once / "config"))
        root = made_once / "repository"
        key = check._key_of_the_cluster(root)[0]
        assert key is not None
        found, problems = check.open_all(root, key)
        assert problems == ()
        return dict(found)


def changed(opened: Mapping[Path, Manifest], name: str, **values: bytes | None) -> dict[Path, Manifest]:
    """With other values in one Secret; None takes one away."""
    about: Wanted = BY_NAME[name]
    old = opened[about.file]
    new = {**old.values, **{key.replace("__", "-"): Secret(value or b"") for key, value in values.items()}}
    kept = {key: value for key, value in new.items() if values.get(key.replace("-", "__"), b"") is not None}
    return {**opened, about.file: Manifest(old.namespace, old.name, kept)}


def texts(problems) -> list[str]:
    return [str(problem) for problem in problems]


def test_a_repository_as_init_makes_it_is_right(repository):
    repository.commit()
    report = check.check(repository.inventory)
    assert texts(report.problems) == []
    assert [each.name for each in report.secrets] == list(NAMES)
    assert report.looked.files > 100
    assert report.looked.objects > 100
    report.require()


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_that_is_removed_is_named_with_who_reads_it(repository, opened, name):
    about = BY_NAME[name]
    (repository.root / about.file).unlink()
    left = {file: found for file, found in opened.items() if file != about.file}
    (problem,) = check.missing_or_wrong(repository.inventory, left)
    assert str(problem) == f"{about.file}: {about}: missing; {about.reader} reads it"
    assert problem.hint == "slipway secrets init"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sops-age"])
def test_a_key_that_a_secret_lacks_is_named(repository, opened, name):
    key = BY_NAME[name].keys[-1].name
    found = check.missing_or_wrong(repository.inventory, changed(opened, name, **{key.replace("-", "__"): None}))
    assert [problem.text for problem in found] == [f"{key}: missing"]


def test_a_newline_after_the_seals_key_is_told_and_the_key_is_not(repository, opened):
    key = opened[BY_NAME["openbao-seal"].file].values["key"].reveal()
    (problem,) = check.missing_or_wrong(repository.inventory, changed(opened, "openbao-seal", key=key + b"\n"))
    assert "65 bytes, the last one a newline" in problem.text
    assert key.decode() not in str(problem)


def test_what_openbao_repeats_must_be_the_same(repository, opened):
    found = check._repeated(repository.inventory, changed(opened, "backup-s3", AWS_ACCESS_KEY_ID=b"another-one"))
    assert texts(found) == [
        f"{BY_NAME['openbao-snapshots-backup'].file}: openbao/openbao-snapshots-backup: "
        "AWS_ACCESS_KEY_ID: another value than in secrets/backup-s3"
    ]


def test_an_address_is_held_against_the_inventory(repository, opened):
    repository.change({"backup": {"repository": "s3:https://elsewhere.example.org/backups"}})
    (problem,) = check._repeated(repository.inventory, opened)
    assert "not s3:https://elsewhere.example.org/backups/small/openbao/openbao-snapshots" in problem.text


def test_a_file_that_its_stage_does_not_list_would_never_reach_the_cluster(repository, opened):
    (repository.root / "gitops/bootstrap/secrets/app/kustomization.yaml").write_text("resources: [namespace.yaml]\n")
    found = check.missing_or_wrong(repository.inventory, opened)
    assert {problem.secret for problem in found} == {
        "secrets/backup-repo", "secrets/backup-s3", "secrets/forgejo-admin",
    }  # fmt: skip
    assert {problem.hint for problem in found} == {"slipway generate"}


def test_a_secret_under_another_ones_name_is_told(repository, opened):
    about = BY_NAME["backup-s3"]
    other = Manifest("default", "backup-s3", opened[about.file].values)
    found = check.missing_or_wrong(repository.inventory, {**opened, about.file: other})
    assert [problem.text for problem in found] == ["is the Secret default/backup-s3"]


def test_what_only_a_key_of_this_machine_opens_is_closed_for_the_cluster(repository):
    """Everything opens here, by a key that Flux will never have."""
    (own,) = store.recipients_of(repository.root)
    mine, file = age.generate(), BY_NAME["backup-s3"].file
    keys.add(mine, "mine")
    recipients.add(repository.root, [mine.public])
    recipients.remove(repository.root, own)
    store.rewritten(repository.root, file, store.decrypt(repository.root, file))
    found = texts(check.check(repository.inventory).problems)
    assert f"{file}: the age key does not open it" in found
    assert any("its key is none of the recipients" in text for text in found)


def test_everything_wrong_is_told_in_one_pass(repository):
    repository.commit()
    root = repository.root
    value = repository.values("backup-s3")["AWS_SECRET_ACCESS_KEY"]
    (root / "notes.txt").write_text(f"do not forget: {value.decode()}\n")
    (root / "gitops/cluster-apps/sample/app/token.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {token: in-the-clear}\n"
    )
    password = base64.b64encode(repository.values("openbao-admin")["password"]).decode()
    (root / "old.yaml").write_text(f"data: {{password: {password}}}\n")
    repository.commit()
    (root / "old.yaml").unlink()
    repository.commit()
    seal = BY_NAME["openbao-seal"]
    repository.rewrite("openbao-seal", key=b"ab" * 32)
    (root / BY_NAME["git-webhook"].file).write_text(
        "kind: Secret\nmetadata: {name: git-webhook}\ndata: {token: eA==}\n"
    )
    found = texts(check.check(repository.inventory).problems)
    expected = (
        "notes.txt: AWS_SECRET_ACCESS_KEY of secrets/backup-s3 in plain text",
        "gitops/cluster-apps/sample/app/token.yaml: the Secret token in plain text",
        "old.yaml: in Git's history (",
        f"{seal.file}: openbao/openbao-seal: the name ",
        f"{BY_NAME['git-webhook'].file}: is not encrypted",
        f"{BY_NAME['git-webhook'].file}: the Secret git-webhook in plain text",
    )
    for text in expected:
        assert any(line.startswith(text) for line in found), (text, found)
    assert value.decode() not in "".join(found)
