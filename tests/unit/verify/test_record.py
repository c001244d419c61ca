"""Records: what a verification leaves behind for the gate."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.verify import record
from slipway.verify.digests import Digests
from slipway.verify.record import Record
from slipway.verify.result import Check, NodeVerification, Obstacle, Verdict, Verification

DIGESTS = Digests({"w1": "said", "w2": "said"}, {"os": "checks", "k0s": "checks"})
EARLY, LATE = "2026-11-23T10:00:00+00:00", "2026-11-23T12:00:00+00:00"


def result(
    *packs: str,
    node: str = "w1",
    system: str = "/nix/store/s",
    boot: str = "b",
    red: Sequence[str] = (),
    unreachable: bool = False,
) -> NodeVerification:
    checks = tuple(
        Check(f"{pack}.x.y", pack, "Something", Verdict.FAILED if pack in red else Verdict.PASSED) for pack in packs
    )
    return NodeVerification(node, packs, system, boot, checks, obstacle=Obstacle.UNREACHABLE if unreachable else None)


def keep(root: Path, *results: NodeVerification, time: str = LATE) -> None:
    record.keep(root, Verification(time, results, digests=DIGESTS))


def kept(root: Path, node: str = "w1") -> Record:
    found = record.read_all(root)[node]
    assert isinstance(found, Record), found
    return found


def test_a_record_is_what_the_contract_says(tmp_path):
    keep(tmp_path, result("os", "k0s", red=["k0s"]))
    written = json.loads((tmp_path / ".slipway/records/w1.json").read_text())
    counts = {"errors": 0, "skipped": 0, "time": LATE, "content": "checks"}
    assert re.fullmatch("[0-9a-f]{64}", written.pop("seal"))
    assert written == {
        "node": "w1",
        "system": "/nix/store/s",
        "bootId": "b",
        "inventory": "said",
        "time": LATE,
        "green": False,
        "packs": {
            "os": {"passed": 1, "failed": 0, "red": [], **counts},
            "k0s": {"passed": 0, "failed": 1, "red": ["k0s.x.y"], **counts},
        },
    }


def test_what_is_written_can_be_read(tmp_path):
    keep(tmp_path, result("os"), result("os", node="w2", red=["os"]))
    assert kept(tmp_path).green
    assert kept(tmp_path, "w2").red == ("os.x.y",)


def test_packs_of_the_same_system_and_boot_add_up(tmp_path):
    keep(tmp_path, result("os", "k0s", red=["os"]), time=EARLY)
    keep(tmp_path, result("os"), time=LATE)
    found = kept(tmp_path)
    assert found.green
    assert {name: pack.time for name, pack in found.packs.items()} == {"os": LATE, "k0s": EARLY}
    assert found.time == EARLY


@pytest.mark.parametrize("change", [{"system": "/nix/store/other"}, {"boot": "another"}])
def test_packs_of_another_system_or_boot_are_forgotten(tmp_path, change):
    keep(tmp_path, result("os", "k0s"), time=EARLY)
    keep(tmp_path, result("os", **change), time=LATE)
    assert set(kept(tmp_path).packs) == {"os"}


def test_packs_of_another_inventory_are_forgotten(tmp_path):
    keep(tmp_path, result("os", "k0s"), time=EARLY)
    changed = Verification(LATE, (result("os"),), digests=Digests({"w1": "something else"}, {"os": "checks"}))
    record.keep(tmp_path, changed)
    assert set(kept(tmp_path).packs) == {"os"}


def test_an_unreachable_node_keeps_its_record(tmp_path):
    keep(tmp_path, result("os"), time=EARLY)
    keep(tmp_path, result("os", system="", boot="", red=["os"], unreachable=True), time=LATE)
    assert kept(tmp_path).time == EARLY


def test_nothing_but_records_is_left_in_the_folder(tmp_path):
    keep(tmp_path, result("os"))
    assert [path.name for path in (tmp_path / ".slipway/records").iterdir()] == ["w1.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"node": "w1", "system": "", "bootId": "", "packs": {}}'])
def test_a_file_that_is_no_record_is_named(tmp_path, text):
    path = tmp_path / ".slipway/records/w1.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    keep(tmp_path, result("os", node="w2"))
    found = record.read_all(tmp_path)
    assert "w1.json: not a verification record" in str(found["w1"])
    assert isinstance(found["w1"], InvalidInput) and found["w1"].hint == "slipway verify w1"
    assert isinstance(found["w2"], Record)


def test_a_record_that_was_changed_by_hand_does_not_count(tmp_path):
    keep(tmp_path, result("os", red=["os"]))
    path = tmp_path / ".slipway/records/w1.json"
    path.write_text(path.read_text().replace('"failed": 1', '"failed": 0').replace('"passed": 0', '"passed": 1'))
    assert "not written by a verification of this deployer" in str(record.read_all(tmp_path)["w1"])


def test_a_record_of_another_node_does_not_count(tmp_path):
    keep(tmp_path, result("os"))
    path = tmp_path / ".slipway/records/w1.json"
    path.with_name("w2.json").write_text(path.read_text())
    assert isinstance(record.read_all(tmp_path)["w2"], InvalidInput)


def test_a_record_of_another_deployer_does_not_count(tmp_path, monkeypatch):
    keep(tmp_path, result("os"))
    assert kept(tmp_path).green
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert isinstance(record.read_all(tmp_path)["w1"], InvalidInput)


def test_a_record_is_forgotten_alone_and_what_is_not_there_is_no_error(tmp_path):
    keep(tmp_path, result("os", node="w1"), result("os", node="w2"))
    record.forget(tmp_path, "w1")
    record.forget(tmp_path, "w1")
    assert record.read_all(tmp_path).keys() == {"w2"}
