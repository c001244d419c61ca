"""The keys for encryption at rest in a repository, with the real sops."""

import pytest
from tests.unit.sealed import new_root

from slipway.cluster.encryption import Keys
from slipway.cluster.rekeying import Holding
from slipway.errors import InvalidInput
from slipway.paths import ENCRYPTION_KEY
from slipway.secrets import at_rest, store
from slipway.secrets.at_rest import Step


@pytest.fixture
def root(tmp_path, monkeypatch):
    return new_root(monkeypatch, tmp_path)


def names(keys: Keys) -> list[str]:
    return [key.name for key in keys.every]


def test_a_new_repository_has_one_key_of_its_own(root):
    first = at_rest.read(root)
    assert names(first) == ["slipway"]
    assert len(first.writer.secret.reveal()) == 32
    (root / ENCRYPTION_KEY).unlink()
    store.create(root)
    assert at_rest.read(root).marks != first.marks


def test_a_change_of_keys_step_by_step(root):
    first = at_rest.read(root)
    for change, wanted in [
        (at_rest.with_a_new_one, ["slipway", "slipway-2"]),
        (at_rest.promoted, ["slipway-2", "slipway"]),
        (at_rest.alone, ["slipway-2"]),
        (at_rest.with_a_new_one, ["slipway-2", "slipway-3"]),
        (at_rest.promoted, ["slipway-3", "slipway-2"]),
    ]:
        made = change(at_rest.read(root))
        at_rest.write(root, made)
        assert names(at_rest.read(root)) == wanted
        assert at_rest.read(root).marks == made.marks
        assert made.writer.base64 not in (root / ENCRYPTION_KEY).read_text()
    assert first.writer.secret not in [key.secret for key in made.every]
    assert list((root / "secrets").glob(".*")) == []


@pytest.mark.parametrize(
    "values",
    [
        {"key": b"short"},
        {},
        {"other": b"k" * 32, "other-name": b"slipway"},
        {"key": b"k" * 32, "other": b"o" * 32},
        {"key": b"k" * 32, "name": b'a"b'},
        {"key": b"k" * 32, "other": b"short", "other-name": b"old"},
    ],
    ids=["short", "none", "other alone", "one name for two", "name", "other short"],
)
def test_what_are_no_such_keys_is_refused_without_being_shown(root, monkeypatch, values):
    plain = store.kubernetes_secret("kube-system", "encryption", values)
    monkeypatch.setattr(store, "decrypt", lambda *_: plain)
    with pytest.raises(InvalidInput, match=r"data\.key, or data\.other, is not 32 bytes in base64") as caught:
        at_rest.read(root)
    assert caught.value.__cause__ is None


def test_the_next_step_follows_from_the_file_and_what_every_controller_holds(root):
    one = at_rest.read(root)
    two = at_rest.with_a_new_one(one)
    other = at_rest.promoted(two)
    both = {"cp1": Holding(two.marks, writes=True), "cp2": Holding(two.marks, writes=True)}
    assert at_rest.step(one, {"cp1": Holding(one.marks, writes=True)}) is Step.BEGIN
    assert at_rest.step(one, {"cp1": Holding(one.marks, writes=False)}) is Step.DEPLOY
    assert at_rest.step(two, both) is Step.PROMOTE
    assert at_rest.step(two, {**both, "cp2": Holding(one.marks, writes=True)}) is Step.DEPLOY
    assert at_rest.step(other, both) is Step.DEPLOY
    assert at_rest.step(other, {"cp1": Holding(other.marks, writes=True)}) is Step.FINISH
