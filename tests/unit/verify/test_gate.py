"""The gate: open for a fresh green record of every node, and for nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.verify.fakes import Canned, FakeHost
from tests.unit.verify.machines import HERE
from tests.unit.verify.test_runner import FACTS, fine, node

from slipway.errors import GateRefused, InvalidInput, Unreachable
from slipway.events import Event, Events
from slipway.inventory import load
from slipway.verify import catalog, digests, gate, record
from slipway.verify.digests import Digests
from slipway.verify.record import PackRecord, Record
from slipway.verify.result import Counts

INVENTORY = load(HERE / "inventory.yaml")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SYSTEM, BOOT = "/nix/store/system", "this-boot"
PACKS = INVENTORY.verify.packs


def pack(
    *, hours: float = 1.0, counts: Counts | None = None, red: Sequence[str] = (), content: str = "checks"
) -> PackRecord:
    return PackRecord(counts or Counts(passed=3), tuple(red), (NOW - timedelta(hours=hours)).isoformat(), content)


def records(**changed: dict[str, PackRecord | None] | None) -> dict[str, Record | InvalidInput]:
    """A good record of every node; `w1={"k0s": pack(...)}` changes packs of one, `w1=None` takes it away."""
    found: dict[str, Record | InvalidInput] = {}
    for host in INVENTORY.hosts:
        packs: dict[str, PackRecord | None] = {name: pack() for name in PACKS}
        change = changed.get(host.name, {})
        if change is not None:
            merged = {name: each for name, each in {**packs, **change}.items() if each is not None}
            found[host.name] = Record(host.name, SYSTEM, BOOT, merged, "said")
    return found


def live(**changed: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
    known: dict[str, tuple[str, str] | None] = {host.name: (SYSTEM, BOOT) for host in INVENTORY.hosts}
    known |= changed
    return {name: seen for name, seen in known.items() if seen}


def present(
    seen: gate.Live | None = None, wanted: dict[str, str] | None = None, packs: Sequence[str] = (*PACKS, "user")
) -> gate.Present:
    about = Digests({host.name: "said" for host in INVENTORY.hosts}, dict.fromkeys(packs, "checks"))
    return gate.Present(live() if seen is None else seen, about, wanted)


def reasons(known: gate.Records | None = None, seen: gate.Live | None = None) -> list[str]:
    result = gate.check(INVENTORY, known or records(), present(seen), NOW)
    assert result.open == (not result.reasons)
    return [str(reason) for reason in result.reasons]


def test_open_when_every_node_is_verified_as_it_runs():
    assert reasons() == []
    gate.check(INVENTORY, records(), present(), NOW).require()


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
        (
            {"known": records(w1={"os": pack(content="other")})},
            "w1: the checks of pack os are others than those that ran",
        ),
        (
            {"known": {**records(), "w1": InvalidInput("w1.json: not written by a verification of this deployer")}},
            "w1: its record does not count: w1.json: not written by a verification of this deployer",
        ),
        (
            {"known": {**records(), "w1": Record("w1", SYSTEM, BOOT, {name: pack() for name in PACKS}, "other")}},
            "w1: the inventory says something else of it than when it was verified",
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
        gate.check(INVENTORY, records(w1=None), present(), NOW).require()
    assert refused.value.hint == "slipway verify w1"
    assert refused.value.exit_code == 9


def test_shut_for_a_node_that_runs_something_else_than_the_inventory_wants():
    wanted = {**{host.name: SYSTEM for host in INVENTORY.hosts}, "w2": "/nix/store/newer"}
    result = gate.check(INVENTORY, records(), present(wanted=wanted), NOW)
    assert [str(each) for each in result.reasons] == [
        "w2: runs /nix/store/system, the inventory wants /nix/store/newer"
    ]
    assert result.hint == "slipway deploy w2; slipway verify w2"


def test_a_pack_that_is_gone_asks_nothing_any_more():
    known = records(w1={"user": pack(counts=Counts(0, 1), red=["user.a"])})
    assert gate.check(INVENTORY, known, present(packs=PACKS), NOW).open


def test_a_pack_that_is_required_and_gone_shuts():
    result = gate.check(INVENTORY, records(), present(packs=PACKS[:-1]), NOW)
    assert {each.what for each in result.reasons} == {
        f"pack {PACKS[-1]} is required by verify.packs, and there is none"
    }
    assert result.hint.startswith(f"take {PACKS[-1]} out of verify.packs, or write its checks; then slipway verify ")


@pytest.mark.parametrize(
    ("seconds", "said"), [(40, "40 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (-400, "6 min")]
)
def test_an_age_is_told_in_words_that_fit(seconds, said):
    assert gate._hours(timedelta(seconds=seconds)) == said


def test_look_asks_the_nodes_and_reads_the_records(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    inventory = load(tmp_path / "inventory.yaml")
    fresh = datetime.now(UTC).isoformat()
    about = digests.of(inventory, inventory.hosts, catalog.available(inventory))
    for host in inventory.hosts:
        packs = {name: PackRecord(Counts(1), (), fresh, about.packs[name]) for name in PACKS}
        record.write(tmp_path, Record(host.name, SYSTEM, BOOT, packs, about.nodes[host.name]))

    def away(_command):
        raise Unreachable("nobody there")

    hosts = {host.name: node(host.name) for host in inventory.hosts}
    assert FACTS.startswith(SYSTEM)
    assert gate.look(inventory, hosts.__getitem__).open
    hosts["w2"] = FakeHost("w2", away)
    assert gate.look(inventory, hosts.__getitem__).nodes == ("w2",)


def test_some_nodes_are_asked_alone_and_it_is_told_who_is_asked(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    inventory = load(tmp_path / "inventory.yaml")
    heard: list[Event] = []
    hosts = {host.name: node(host.name) for host in inventory.hosts}
    found = gate.look(inventory, hosts.__getitem__, hosts=[inventory.host("w1")], events=Events(heard.append))
    assert found.nodes == ("w1",)
    assert [(each.phase, each.state, each.node) for each in heard] == [("ask", "started", "w1"), ("ask", "done", "w1")]
    assert not hosts["w2"].asked


def test_what_a_node_says_of_itself_is_told_and_does_not_count(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    inventory = load(tmp_path / "inventory.yaml")
    copy = '{"green": true, "time": "2026-11-23T12:00:00+00:00"}'

    def said(command: str) -> Canned:
        return Canned("", copy if "verification.json" in command else "")

    shut = gate.look(inventory, lambda name: node(name, said if name == "w1" else fine))
    reasons = {each.node: each.what for each in shut.reasons}
    assert reasons["w1"] == (
        "never verified by this deployer; its own copy tells of green at 2026-11-23T12:00+00:00,"
        " which nobody here can vouch for"
    )
    assert reasons["w2"] == "never verified"


@pytest.mark.parametrize("left", [[], ["conftest.py"], ["_helper.py"]])
def test_a_deleted_folder_of_checks_stops_shutting(tmp_path, left):
    """What only served the checks that are gone is no pack either: nothing of it could ever turn green."""
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    (tmp_path / "verify").mkdir()
    inventory = load(tmp_path / "inventory.yaml")
    known = records(w1={"user": pack(counts=Counts(0, 1), red=["user.a"])})
    for name, shuts in (("test_a.py", True), *((name, False) for name in left)):
        (tmp_path / "verify" / name).write_text("")
        packs = tuple(catalog.available(inventory))
        assert ("user" in packs) is shuts
        assert gate.check(INVENTORY, known, present(packs=packs), NOW).open is not shuts
        (tmp_path / "verify" / name).unlink()
    assert "user" not in catalog.available(inventory)


def test_checks_in_a_folder_below_are_the_users_too(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    (tmp_path / "verify" / "storage").mkdir(parents=True)
    (tmp_path / "verify" / "storage" / "test_a.py").write_text("")
    inventory = load(tmp_path / "inventory.yaml")
    assert "user" in catalog.chosen(inventory)
    assert list(catalog.chosen(inventory, ["user"])) == ["user"]


def test_a_changed_inventory_shuts_for_the_nodes_that_it_concerns(tmp_path):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    inventory = load(tmp_path / "inventory.yaml")
    one = digests.of(inventory, inventory.hosts, {}).nodes
    changed = [h.model_copy(update={"labels": {"a": "b"}}) if h.name == "w1" else h for h in inventory.hosts]
    two = digests.of(inventory, changed, {}).nodes
    assert [name for name in one if one[name] != two[name]] == ["w1"]


def test_a_changed_pack_has_another_digest(tmp_path):
    (tmp_path / "a.py").write_text("one")
    before = digests.of_pack(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("compiled")
    assert digests.of_pack(tmp_path) == before
    (tmp_path / "a.py").write_text("two")
    assert digests.of_pack(tmp_path) != before
