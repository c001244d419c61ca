"""Records: what a verification leaves behind for the gate."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.errors import InvalidInput
from slipway.verify import record
from slipway.verify.result import Check, NodeVerification, Verdict, Verification

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
    return NodeVerification(node, packs, system, boot, checks, unreachable=unreachable)


def keep(root: Path, *results: NodeVerification, time: str = LATE) -> None:
    record.keep(root, Verification(time, results))


def test_a_record_is_what_the_contract_says(tmp_path):
    keep(tmp_path, result("os", "k0s", red=["k0s"]))
    written = json.loads((tmp_path / ".slipway/records/w1.json").read_text())
    counts = {"errors": 0, "skipped": 0, "time": LATE}
    assert written == {
        "node": "w1",
        "system": "/nix/store/s",
        "bootId": "b",
        "time": LATE,
        "green": False,
        "packs": {
            "os": {"passed": 1, "failed": 0, "red": [], **counts},
            "k0s": {"passed": 0, "failed": 1, "red": ["k0s.x.y"], **counts},
        },
    }


def test_what_is_written_can_be_read(tmp_path):
    keep(tmp_path, result("os"), result("os", node="w2", red=["os"]))
    found = record.read_all(tmp_path)
    assert {name: each.green for name, each in found.items()} == {"w1": True, "w2": False}
    assert found["w2"].red == ("os.x.y",)


def test_packs_of_the_same_system_and_boot_add_up(tmp_path):
    keep(tmp_path, result("os", "k0s", red=["os"]), time=EARLY)
    keep(tmp_path, result("os"), time=LATE)
    found = record.read_all(tmp_path)["w1"]
    assert found.green
    assert {name: pack.time for name, pack in found.packs.items()} == {"os": LATE, "k0s": EARLY}
    assert found.time == EARLY


@pytest.mark.parametrize("change", [{"system": "/nix/store/other"}, {"boot": "another"}])
def test_packs_of_another_system_or_boot_are_forgotten(tmp_path, change):
    keep(tmp_path, result("os", "k0s"), time=EARLY)
    keep(tmp_path, result("os", **change), time=LATE)
    assert set(record.read_all(tmp_path)["w1"].packs) == {"os"}


def test_an_unreachable_node_keeps_its_record(tmp_path):
    keep(tmp_path, result("os"), time=EARLY)
    keep(tmp_path, result("os", system="", boot="", red=["os"], unreachable=True), time=LATE)
    assert record.read_all(tmp_path)["w1"].time == EARLY


def test_nothing_but_records_is_left_in_the_folder(tmp_path):
    keep(tmp_path, result("os"))
    assert [path.name for path in (tmp_path / ".slipway/records").iterdir()] == ["w1.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"node": "w1", "system": "", "bootId": "", "packs": {}}'])
def test_a_file_that_is_no_record_is_named(tmp_path, text):
    path = tmp_path / ".slipway/records/w1.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"w1\.json: not a verification record"):
        record.read_all(tmp_path)
