"""The gate: open for a fresh green record of every node, and for nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.verify.fakes import FakeHost
from tests.unit.verify.test_packs import HERE
from tests.unit.verify.test_runner import FACTS, node

from slipway.errors import GateRefused, Unreachable
from slipway.inventory import load
from slipway.verify import gate, record
from slipway.verify.record import PackRecord, Record
from slipway.verify.result import Counts

INVENTORY = load(HERE / "inventory.yaml")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SYSTEM, BOOT = "/nix/store/system", "this-boot"
PACKS = ("os", "network", "k0s")


def pack(*, hours: float = 1.0, counts: Counts | None = None, red: Sequence[str] = ()) -> PackRecord:
    return PackRecord(counts or Counts(passed=3), tuple(red), (NOW - timedelta(hours=hours)).isoformat())


def records(**changed: dict[str, PackRecord | None] | None) -> dict[str, Record]:
    """A good record of every node; `w1={"k0s": pack(...)}` changes packs of one, `w1=None` takes it away."""
    found = {}
    for host in INVENTORY.hosts:
        packs: dict[str, PackRecord | None] = {name: pack() for name in PACKS}
        change = changed.get(host.name, {})
        if change is not None:
            merged = {name: each for name, each in {**packs, **change}.items() if each is not None}
            found[host.name] = Record(host.name, SYSTEM, BOOT, merged)
    return found


def live(**changed: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
    known: dict[str, tuple[str, str] | None] = {host.name: (SYSTEM, BOOT) for host in INVENTORY.hosts}
    known |= changed
    return {name: seen for name, seen in known.items() if seen}


def reasons(known: dict[str, Record] | None = None, seen: dict[str, tuple[str, str]] | None = None) -> list[str]:
    result = gate.check(INVENTORY, known or records(), seen or live(), NOW)
    assert result.open == (not result.reasons)
    return [str(reason) for reason in result.reasons]


def test_open_when_every_node_is_verified_as_it_runs():
    assert reasons() == []
    gate.check(INVENTORY, records(), live(), NOW).require()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"known": records(w1=None)}, "w1: never verified"),
        ({"seen": live(w1=None)}, "w1: does not answer, so nobody knows what it runs"),
        (
            {"seen": live(w1=("/nix/store/other", BOOT))},
            "w1: runs /nix/store/other, verified was /nix/store/system",
        ),
        ({"seen": live(w1=("", BOOT))}, "w1: runs no system of NixOS, verified was /nix/store/system"),
        ({"seen": live(w1=(SYSTEM, "next-boot"))}, "w1: rebooted since it was verified"),
        ({"known": records(w1={"k0s": None})}, "w1: pack k0s never ran on this system in this boot"),
        (
            {"known": records(w1={"k0s": pack(counts=Counts(2, 1, 1), red=["k0s.a.b", "k0s.c.d"])})},
            "w1: pack k0s is red: k0s.a.b, k0s.c.d",
        ),
        (
            {"known": records(w1={"k0s": pack(counts=Counts(0, 5), red=[f"k0s.{n}" for n in range(5)])})},
            "w1: pack k0s is red: k0s.0, k0s.1, k0s.2 and 2 more",
        ),
        ({"known": records(w1={"os": pack(counts=Counts(skipped=3))})}, "w1: pack os is red: no check of it passed"),
        ({"known": records(w1={"os": pack(hours=25)})}, "w1: pack os ran 25 h ago, which is more than 24 h"),
        ({"known": records(w1={"user": pack(counts=Counts(0, 1), red=["user.a"])})}, "w1: pack user is red: user.a"),
        (
            {"known": records(w1={"os": pack(hours=-3)})},
            "w1: pack os ran 3 h in the future: is the clock here right?",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shut_for_one_reason(broken, reason):
    assert reasons(**broken) == [reason]


def test_all_reasons_of_all_nodes_are_told_at_once():
    told = reasons(records(cp1=None, w2={"os": None, "k0s": pack(hours=48)}), live(w2=(SYSTEM, "next")))
    assert [each.partition(":")[0] for each in told] == ["cp1", "w2", "w2", "w2"]


def test_a_refusal_says_what_is_missing_and_what_to_type():
    with pytest.raises(GateRefused, match="w1: never verified") as refused:
        gate.check(INVENTORY, records(w1=None), live(), NOW).require()
    assert refused.value.hint == "slipway verify w1"
    assert refused.value.exit_code == 9


def test_look_asks_the_nodes_and_reads_the_records(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    inventory = load(tmp_path / "inventory.yaml")
    fresh = datetime.now(UTC).isoformat()
    for host in inventory.hosts:
        packs = {name: PackRecord(Counts(1), (), fresh) for name in PACKS}
        record.write(tmp_path, Record(host.name, SYSTEM, BOOT, packs))

    def away(_command):
        raise Unreachable("nobody there")

    hosts = {host.name: node(host.name) for host in inventory.hosts}
    assert FACTS.startswith(SYSTEM)
    assert gate.look(inventory, hosts.__getitem__).open
    hosts["w2"] = FakeHost("w2", away)
    assert gate.look(inventory, hosts.__getitem__).nodes == ("w2",)
