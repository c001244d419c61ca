"""Backups in files, with the real age."""

import json

import pytest
from tests.unit.cluster.archives import archive

from slipway.cluster import backup
from slipway.errors import InvalidInput, PrerequisiteMissing, UsageError
from slipway.secrets import backups, store
from slipway.tools import age


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """With an age key of its own, as `slipway init` makes it, and another recipient."""
    pair, other = age.generate(), age.generate()
    keys = tmp_path / "keys.txt"
    keys.touch(0o600)
    keys.write_bytes(pair.private.reveal() + b"\n")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(keys))
    root = tmp_path / "repository"
    root.mkdir()
    (root / store.CONFIG).write_text(f"creation_rules: [{{age: '{pair.public},{other.public}'}}]\n")
    return root


@pytest.fixture
def made():
    found = backup.read(archive())
    about = backup.About(
        "homelab", found.about.identity, "1.36.3+k0s.2", "cp1", "10.0.0.11", "2026-11-26T01:02:03+00:00"
    )
    return backup.Archive(about, found.content)


def test_it_is_encrypted_for_its_owner_alone_and_comes_back(repository, made):
    saved = backups.save(repository, made)
    assert saved.path == repository / ".slipway" / "backups" / "homelab-20261126T010203Z.tar.gz.age"
    assert saved.path.stat().st_mode & 0o777 == 0o600 and saved.path.parents[1].stat().st_mode & 0o077 == 0
    assert b"authority" not in saved.path.read_bytes() and len(saved.recipients) == 2
    assert backups.load(repository, saved.path).content == made.content


def test_what_it_holds_is_told_beside_it_without_a_secret(repository, made):
    saved = backups.save(repository, made)
    beside = saved.path.with_name(saved.path.name + ".json")
    assert json.loads(beside.read_text()) == {
        "cluster": "homelab", "identity": made.about.identity, "k0s": "1.36.3+k0s.2", "controller": "cp1",
        "address": "10.0.0.11", "time": "2026-11-26T01:02:03+00:00", "sha256": made.digest, "bytes": made.size,
        "recipients": list(saved.recipients),
    }  # fmt: skip
    assert backups.known(saved.path.parent) == [saved]


def test_only_what_is_still_there_and_makes_sense_is_listed(repository, made, tmp_path):
    first = backups.save(repository, made, tmp_path / "a.age")
    gone = backups.save(repository, made, tmp_path / "b.age")
    gone.path.unlink()
    (tmp_path / "c.age.json").write_text("{}")
    (tmp_path / "d.age.json").write_text("x")
    assert [each.path for each in backups.known(tmp_path)] == [first.path]


def test_nothing_is_overwritten(repository, made, tmp_path):
    (tmp_path / "mine").write_text("mine")
    for plain in (False, True):
        with pytest.raises(UsageError, match="exists; it is not overwritten"):
            backups.save(repository, made, tmp_path / "mine", plain=plain)
    assert (tmp_path / "mine").read_text() == "mine"


def test_in_plain_text_only_where_that_was_asked_for(repository, made, tmp_path):
    saved = backups.save(repository, made, tmp_path, plain=True)
    assert saved.path.name == "homelab-20261126T010203Z.tar.gz" and saved.recipients == ()
    assert saved.path.stat().st_mode & 0o777 == 0o600
    assert backups.load(repository, saved.path).digest == made.digest


def test_without_recipients_there_is_no_backup_and_no_file(repository, made, tmp_path):
    (repository / store.CONFIG).unlink()
    with pytest.raises(InvalidInput, match="no creation rule with age recipients"):
        backups.save(repository, made, tmp_path / "x.age")
    assert not (tmp_path / "x.age").exists()


def test_who_has_no_key_is_told_what_is_missing(repository, made, tmp_path, monkeypatch):
    saved = backups.save(repository, made)
    (tmp_path / "keys.txt").write_bytes(age.generate().private.reveal())
    with pytest.raises(PrerequisiteMissing, match="the private key of none of its recipients"):
        backups.load(repository, saved.path)


def test_one_that_was_changed_since_is_refused(repository, made, tmp_path):
    saved = backups.save(repository, made, tmp_path, plain=True)
    saved.path.write_bytes(archive({"etcd-snapshot.db": b"other", "pki/ca.crt": b"other"}).reveal())
    with pytest.raises(InvalidInput, match="its digest is"):
        backups.load(repository, saved.path)


def test_a_file_that_is_not_there(repository, tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        backups.load(repository, tmp_path / "none")
