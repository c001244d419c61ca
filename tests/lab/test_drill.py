"""The cold-start drill with the real sops, age, restic, SeaweedFS and OpenBao, and each way in which it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from tests.lab import cold_start as world
from tests.unit.sealed import KEY, S3, Repository

from slipway.cli.generate import set_up
from slipway.errors import SlipwayError, UsageError
from slipway.events import Events
from slipway.generate import tree, writer
from slipway.generate.gitops.secrets import BY_NAME
from slipway.generate.skeleton import Flake
from slipway.inventory import load
from slipway.lab import cold_start
from slipway.secret import Secret
from slipway.secrets import bundles, check, drill, keys, making, recipients, rotate, store
from slipway.secrets.drill import DrillFailed, Plan
from slipway.tools import age, restic, s3
from slipway.tools.s3 import Account

pytestmark = pytest.mark.lab

SECRETS = (
    "encryption", "sops-age", "gitea-admin", "git-reader", "backup-repo", "backup-s3", "git-webhook", "forgejo-admin",
    "openbao-seal", "openbao-admin", "openbao-snapshots-backup",
)  # fmt: skip


@dataclass(frozen=True)
class Saved:
    """A repository, and the S3 account with what its cluster has saved. `folder` holds it and its age key."""

    folder: Path
    address: str
    snapshot: bytes


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(cold_start.ensure(Events())), prepend=":")
        patch.setenv("XDG_CONFIG_HOME", str(folder / "own" / "config"))
        (folder / "s3").mkdir()
        with world.s3(folder / "s3", S3) as address:
            root = repository_at(folder / "own" / "repository", address)
            (folder / "openbao").mkdir()
            with world.as_in_the_cluster(root, folder / "openbao") as bao:
                snapshot = bao.snapshot()
            world.save(of(root), folder, snapshot)
            yield Saved(folder / "own", address, snapshot)


def repository_at(root: Path, address: str) -> Path:
    set_up(root, "small", Flake())
    file = root / "inventory.yaml"
    whole = yaml.safe_load(file.read_text())
    whole["defaults"]["ssh"]["authorizedKeys"] = [KEY]
    file.write_text(yaml.safe_dump({**whole, "stages": {"mode": "install", "backup": {"repository": address}}}))
    making.fill(load(file), {"backup-s3": S3})
    writer.write(root, writer.changes(root, tree.render(load(file))))
    Repository(root).commit()
    return root


def of(root: Path) -> restic.Repository:
    return restic.Repository.of(world.values(root, "openbao-snapshots-backup"))


@pytest.fixture
def repository(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    shutil.copytree(saved.folder, tmp_path / "own", symlinks=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own" / "config"))
    return Repository(tmp_path / "own" / "repository")


def drilled(repository: Repository, **how: object) -> drill.DrillResult:
    plan = Plan(str(repository.root))
    return drill.drill(replace(plan, **how), Events())  # type: ignore[arg-type]


def elsewhere(repository: Repository, prefix: str) -> restic.Repository:
    """The repository of restic at another prefix, which the files in Git then name."""
    repository.change({"mode": "install", "backup": {**_backup(repository), "to": prefix}})
    making.repeat(repository.inventory)
    writer.write(repository.root, writer.changes(repository.root, tree.render(repository.inventory)))
    repository.commit()
    return of(repository.root)


def _backup(repository: Repository) -> dict[str, str]:
    return dict(yaml.safe_load((repository.root / "inventory.yaml").read_text())["stages"]["backup"])


def test_from_the_repository_and_the_key_alone_a_secret_comes_back(repository, saved, monkeypatch, tmp_path):
    private = keys.find(store.recipients_of(repository.root))
    assert private is not None
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    before = restic.newest(of_closed(repository, private.private))
    result = drilled(repository, age_key=private.private, known="sample")
    assert [each.name for each in result.steps] == [
        "repository", "secrets", "snapshot", "restore", "openbao", "unseal and read",
    ]  # fmt: skip
    assert "secret/slipway says small, secret/sample is there" in result.steps[-1].text
    assert before is not None
    assert result.saved == before.time
    assert not result.previous


def of_closed(repository: Repository, key: Secret) -> restic.Repository:
    opened, _ = check.open_all(repository.root, key)
    return restic.Repository.of(opened[BY_NAME["openbao-snapshots-backup"].file].values)


def test_a_bundle_and_the_key_that_was_kept_offline_suffice(repository, tmp_path):
    offline = age.generate()
    recipients.add(repository.root, [offline.public])
    recipients.bring_in_step(repository.root)
    repository.commit()
    repository.git("bundle", "create", "--quiet", str(tmp_path / "small.bundle"), "HEAD", "--all")
    result = drilled(repository, source=str(tmp_path / "small.bundle"), age_key=offline.private)
    assert offline.public in result.steps[1].text


def test_a_bundle_in_s3_and_the_key_suffice_where_every_clone_is_lost(repository, monkeypatch):
    with pytest.raises(SlipwayError, match="HTTP 404"):
        s3.read(bundles.place_of(repository.inventory), Account.of(S3))
    place, size = bundles.save(repository.inventory)
    for name, value in S3.items():
        monkeypatch.setenv(name, value.reveal().decode())
    assert len(s3.read(place, Account.of(S3))) == size
    result = drilled(repository, source=str(place))
    assert f"of {place}" in result.steps[0].text


def test_an_account_of_nobody_gets_no_bundle(repository):
    bundles.save(repository.inventory)
    with pytest.raises(SlipwayError, match="HTTP 403"):
        s3.read(bundles.place_of(repository.inventory), Account("nobody", Secret("nothing")))


def test_what_is_not_committed_does_not_count(repository):
    repository.rewrite("openbao-seal", key=b"ab" * 32)
    assert drilled(repository).steps


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_missing_is_named(repository, name):
    (repository.root / BY_NAME[name].file).unlink()
    repository.commit()
    with pytest.raises(DrillFailed, match=rf"{BY_NAME[name].file}: {BY_NAME[name]}: missing") as failed:
        drilled(repository)
    assert failed.value.hint == "slipway secrets init"
    assert failed.value.exit_code == 8


def test_without_a_backup_the_drill_fails(repository):
    elsewhere(repository, "nobody")
    with pytest.raises(DrillFailed, match=r"snapshot: .*/nobody/openbao/openbao-snapshots: there is no repository"):
        drilled(repository)


def test_an_empty_repository_fails_the_drill(repository, tmp_path):
    world.save(elsewhere(repository, "empty"), tmp_path, None)
    with pytest.raises(DrillFailed, match="the repository is empty: nothing was ever saved"):
        drilled(repository)


def test_a_repository_of_another_password_fails_the_drill(repository, tmp_path):
    own = elsewhere(repository, "foreign")
    world.save(restic.Repository(own.address, Secret("the password of another"), own.account), tmp_path, b"x")
    with pytest.raises(DrillFailed, match="the password opens none of its keys: it is another cluster's"):
        drilled(repository)


def test_a_snapshot_that_the_seals_key_does_not_open_fails_the_drill(repository, tmp_path):
    (tmp_path / "other").mkdir()
    world.save(elsewhere(repository, "sealed"), tmp_path, world.foreign_snapshot(tmp_path / "other"))
    with pytest.raises(DrillFailed, match=r"unseal: the key of openbao/openbao-seal \(.*\) does not open"):
        drilled(repository)


def test_a_volume_without_a_snapshot_of_openbao_fails_the_drill(repository, tmp_path):
    world.save(elsewhere(repository, "hollow"), tmp_path, b"")
    with pytest.raises(DrillFailed, match=r"its newest snapshot has no openbao\.snap"):
        drilled(repository)


def test_another_clusters_snapshot_fails_the_drill(repository):
    text = (repository.root / "inventory.yaml").read_text().replace("name: small", "name: other", 1)
    (repository.root / "inventory.yaml").write_text(text)
    repository.change({"backup": {**_backup(repository), "to": "small"}})
    repository.commit()
    with pytest.raises(DrillFailed, match="cluster is 'small', and this cluster is other"):
        drilled(repository)


@pytest.mark.nightly
def test_after_a_change_of_the_seals_key_the_one_before_opens_what_was_saved(repository):
    rotate.seal(repository.inventory)
    repository.commit()
    result = drilled(repository)
    assert result.previous
    assert "it needs the key before" in result.steps[-1].text
    repository.rewrite("openbao-seal", previous__key=b"", previous__key__id=b"")
    repository.commit()
    with pytest.raises(DrillFailed, match="does not open what was saved"):
        drilled(repository)


@pytest.mark.nightly
def test_openbao_takes_the_new_key_and_what_it_saves_then_needs_no_other(repository, tmp_path):
    """The whole change in one life: sealed with the first key, started with both, saved, opened with the new one."""
    (tmp_path / "bao").mkdir()
    with world.as_in_the_cluster(repository.root, tmp_path / "bao"):
        pass
    rotate.seal(repository.inventory)
    repository.commit()
    with world.as_in_the_cluster(repository.root, tmp_path / "bao") as bao:
        snapshot = bao.snapshot()
    world.save(elsewhere(repository, "changed"), tmp_path, snapshot)
    result = drilled(repository)
    assert not result.previous
    rotate.forget_seal(repository.inventory)
    repository.commit()
    assert drilled(repository).steps


def opens(repository: Repository, password: bytes) -> bool:
    own = of(repository.root)
    try:
        return restic.exists(restic.Repository(own.address, Secret(password), own.account))
    except restic.ForeignRepository:
        return False


@pytest.mark.nightly
def test_restics_password_changes_in_two_steps_and_can_be_interrupted(repository, saved, tmp_path, monkeypatch):
    own = elsewhere(repository, "turned")
    world.save(own, tmp_path, saved.snapshot)
    old = repository.values("backup-repo")["RESTIC_PASSWORD"]

    def no_power(*_words: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(restic, "add_password", no_power)
        with pytest.raises(OSError, match="the power went"):
            rotate.restic(repository.inventory, print)
    assert repository.values("backup-repo")["RESTIC_PASSWORD"] == old
    new = repository.values("backup-repo")["RESTIC_NEXT_PASSWORD"]
    rotate.restic(repository.inventory, print)
    assert repository.values("backup-repo")["RESTIC_PASSWORD"] == new
    assert repository.values("openbao-snapshots-backup")["RESTIC_PASSWORD"] == new
    assert opens(repository, old)
    assert opens(repository, new)
    repository.commit()
    assert drilled(repository).steps
    with pytest.raises(UsageError, match="still good for the repositories"):
        rotate.restic(repository.inventory, print)
    rotate.finish_restic(repository.inventory, print)
    assert not opens(repository, old)
    assert opens(repository, new)
    assert list(repository.values("backup-repo")) == ["RESTIC_PASSWORD"]
    repository.commit()
    assert drilled(repository).steps


def test_an_account_that_does_not_open_the_backups_is_not_written_down(repository):
    before = repository.files()
    with pytest.raises(restic.AccountRefused, match="is not let in"):
        rotate.s3(repository.inventory, {"AWS_SECRET_ACCESS_KEY": Secret("of nobody")})
    assert repository.files() == before
