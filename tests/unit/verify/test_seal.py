"""The key that seals records."""

import threading

import pytest

from slipway.errors import InvalidInput
from slipway.verify import seal


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_the_key_is_made_once_and_is_its_owners_alone():
    one = seal.of({"a": 1})
    assert seal.of({"a": 1}) == one
    assert seal.key_file().stat().st_mode & 0o777 == 0o600
    assert seal.key_file().parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in seal.key_file().parent.iterdir()] == ["gate.key"]


def test_a_seal_holds_for_what_it_was_made_of_and_nothing_else():
    made = seal.of({"node": "w1", "green": False})
    assert seal.holds(made, {"green": False, "node": "w1"})
    assert not seal.holds(made, {"node": "w1", "green": True})
    assert not seal.holds("", {"node": "w1", "green": False})


def test_nothing_holds_without_a_key_and_looking_makes_none():
    assert not seal.holds("00", {})
    assert not seal.key_file().exists()


def test_a_key_that_others_can_read_is_refused():
    seal.of({})
    seal.key_file().chmod(0o644)
    with pytest.raises(InvalidInput, match="others can read the key") as refused:
        seal.of({})
    assert refused.value.hint == f"rm {seal.key_file()}; slipway verify"


def test_a_key_that_is_none_is_refused():
    seal.of({})
    seal.key_file().write_bytes(b"short")
    with pytest.raises(InvalidInput, match="not a key of 32 bytes"):
        seal.of({})


def test_runs_that_begin_together_agree_on_one_key():
    seals: list[str] = []
    threads = [threading.Thread(target=lambda: seals.append(seal.of({"a": 1}))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seals)) == 1
