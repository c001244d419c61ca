"""Secrets are encrypted at rest: the key comes to each controller before it is wanted, and nowhere else."""

import getpass
import json
import stat
import subprocess
from pathlib import Path

import pytest
from tests.unit.cluster.conftest import World

from slipway.cluster import encryption
from slipway.cluster.encryption import Key, Keys
from slipway.generate.k0s import ENCRYPTION
from slipway.secret import Secret

KEYS = Keys((Key("slipway", Secret(b"k" * 32)),))
IN_BASE64 = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


def providers(content: Secret | bytes) -> list[str]:
    whole = json.loads(content.reveal() if isinstance(content, Secret) else content)
    assert whole["kind"] == "EncryptionConfiguration"
    (rule,) = whole["resources"]
    assert rule["resources"] == ["secrets"]
    return [name for provider in rule["providers"] for name in provider]


@pytest.mark.parametrize(("writes", "order"), [(True, ["secretbox", "identity"]), (False, ["identity", "secretbox"])])
def test_what_is_first_is_written_with_and_both_are_read(writes, order):
    made = encryption.configuration(KEYS, writes=writes)
    assert providers(made) == order
    assert IN_BASE64.encode() in made.reveal()
    assert (encryption.WRITES in made.reveal().decode()) is writes


def placed(script: str, path: Path, content: bytes, owner: str) -> None:
    subprocess.run(["sh", "-c", script, "x", str(path), owner], input=content, check=True)


@pytest.mark.parametrize("owner", [getpass.getuser(), "nobody-has-this-name"], ids=["known", "not yet"])
def test_the_file_is_its_owner_s_alone(tmp_path, owner):
    path = tmp_path / "k0s" / "encryption.json"
    placed(encryption.PLACE, path, b"one", owner)
    placed(encryption.PLACE, path, b"two", owner)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert list(path.parent.iterdir()) == [path]


def test_what_is_the_same_is_not_written_and_another_takes_its_mark_away(tmp_path):
    """The API server need not look again, and what was stored anew for other keys counts no more."""
    path, mark = tmp_path / "encryption.json", tmp_path / "encryption.stored-anew"
    placed(encryption.PLACE, path, b"one", "nobody-has-this-name")
    mark.touch()
    before = path.stat()
    placed(encryption.PLACE, path, b"one", "nobody-has-this-name")
    assert (path.stat().st_ino, mark.exists()) == (before.st_ino, True)
    placed(encryption.PLACE, path, b"two", "nobody-has-this-name")
    assert (path.read_bytes(), mark.exists()) == (b"two", False)


def test_several_keys_are_read_and_the_first_is_written_with():
    keys = Keys((Key("slipway-2", Secret(b"n" * 32)), *KEYS.every))
    whole = json.loads(encryption.configuration(keys, writes=True).reveal())
    first, second = whole["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert (first["name"], second["name"], second["secret"]) == ("slipway-2", "slipway", IN_BASE64)


def test_a_mark_tells_keys_apart_and_nothing_of_them():
    again, other = Key("slipway", Secret(b"k" * 32)), Key("slipway", Secret(b"o" * 32))
    assert KEYS.writer.mark == again.mark != other.mark
    assert IN_BASE64[:8] not in KEYS.writer.mark


def test_preparing_leaves_what_is_there(tmp_path):
    path = tmp_path / "k0s" / "encryption.json"
    placed(encryption.PREPARE, path, b"one", "nobody-has-this-name")
    placed(encryption.PREPARE, path, b"two", "nobody-has-this-name")
    assert path.read_bytes() == b"one"


def writing(one: World) -> dict[str, bool | None]:
    """Which machines have the key, and whether they write with it."""
    return {
        name: machine.writes if ENCRYPTION in machine.files else None for name, machine in one.pool.machines.items()
    }


def from_before(world, controllers: int = 3) -> World:
    """A cluster without encryption, whose controllers have got a configuration with it."""
    one: World = world(controllers=controllers, workers=1)
    one.bring_up()
    one.keys = KEYS
    for machine in one.pool.machines.values():
        machine.outdated = machine.controller
    return one


def told(one: World) -> list[str]:
    return [f"{event.state}: {event.data['text']}" for event in one.told if event.phase == "secrets"]


def test_a_new_cluster_writes_with_the_key_from_the_start(world):
    one = world(controllers=3, workers=1)
    one.keys = KEYS
    assert set(one.outcomes().values()) == {"ok"}
    assert writing(one) == {"cp1": True, "cp2": True, "cp3": True, "w1": None}
    assert told(one) == []
    for name in ("cp1", "cp2", "cp3"):
        calls = one.machine(name).calls
        place = next(place for place, call in enumerate(calls) if encryption.PLACE in call)
        assert place < calls.index(("systemctl", "restart", "k0s.service"))
    assert set(one.outcomes().values()) == {"unchanged"}


def test_the_key_is_no_argument(world):
    one = world(controllers=1, workers=0)
    one.keys = KEYS
    one.bring_up()
    assert IN_BASE64 not in str(one.machine("cp1").calls)


def test_a_cluster_from_before_learns_to_read_before_it_writes(world, monkeypatch):
    one = from_before(world)
    modes = []
    plain = encryption.place

    def place(controller, keys, *, writes):
        modes.append((controller.name, writes))
        plain(controller, keys, writes=writes)

    monkeypatch.setattr(encryption, "place", place)
    one.bring_up()
    names = ["cp1", "cp2", "cp3"]
    assert modes == [*((name, False) for name in names), *((name, True) for name in names)]
    (text,) = told(one)
    assert text.startswith("done: encrypted from a minute on; then store the old ones anew: slipway encryption rewrite")


def test_nobody_writes_what_a_controller_that_was_not_chosen_cannot_read(world):
    one = from_before(world)
    one.bring_up("cp1", "cp2")
    assert writing(one) == {"cp1": False, "cp2": False, "cp3": None, "w1": None}
    one.bring_up("cp3")
    assert writing(one) == {"cp1": True, "cp2": True, "cp3": True, "w1": None}


def test_nobody_writes_what_a_controller_that_failed_cannot_read(world):
    one = from_before(world)
    one.machine("cp3").breaks = "unreachable"
    one.bring_up()
    assert True not in writing(one).values()


def test_a_controller_that_joins_later_writes_as_the_others(world):
    one = world(controllers=3, workers=0)
    one.keys = KEYS
    one.bring_up("cp1", "cp2")
    one.bring_up("cp3")
    assert writing(one) == {"cp1": True, "cp2": True, "cp3": True}


def test_encryption_is_not_taken_away_from_a_cluster_that_uses_it(world):
    one = world(controllers=1, workers=0)
    one.keys = KEYS
    one.bring_up()
    one.keys, one.machine("cp1").outdated = None, True
    one.machine("cp1").calls.clear()
    result = one.bring_up()["cp1"]
    assert (result.outcome, "encryptSecrets is false" in result.reason) == ("blocked", True)
    assert ("systemctl", "restart", "k0s.service") not in one.machine("cp1").calls
