"""The gate: open for a fresh green record of every node, and for nothing else."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.verify.fakes import Canned, FakeHost
from tests.unit.verify.machines import HERE
from tests.unit.verify.test_runner import FACTS, fine, node

from slipway.errors import GateRefused, InvalidInput, Unreachable
from slipway.events import Event, Events
from slipway.groups import MOST_ROWS, named
from slipway.inventory import Inventory, load
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
        ({"seen": live(w1=None)}, "w1: cannot be asked, so nobody knows what it runs"),
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


MANY = [f"w{number}" for number in range(1, 301)]


LARGE = """\
apiVersion: slipway/v1
cluster:
  name: large
  network: {podCIDR: 10.128.0.0/12}
  k0s: {version: 1.36.3+k0s.2}
defaults:
  network: {interface: eno1, prefixLength: 16, gateway: 10.1.0.1}
hosts:
  cp1: {address: 10.1.9.1, role: controller}
"""


def fleet(tmp_path: Path) -> tuple[Inventory, dict[str, Record | InvalidInput | None], gate.Present]:
    """Three hundred workers, each verified a minute later than the one before, and nothing wrong with them."""
    workers = (f"  {name}: {{address: 10.1.{at // 200}.{at % 200 + 2}, role: worker}}" for at, name in enumerate(MANY))
    (tmp_path / "inventory.yaml").write_text(LARGE + "\n".join(workers) + "\n")
    inventory = load(tmp_path / "inventory.yaml")
    names = [host.name for host in inventory.hosts]
    known: dict[str, Record | InvalidInput | None] = {
        name: Record(name, SYSTEM, BOOT, dict.fromkeys(PACKS, pack(hours=at / 60)), "said")
        for at, name in enumerate(names)
    }
    about = Digests(dict.fromkeys(names, "said"), dict.fromkeys(PACKS, "checks"))
    return inventory, known, gate.Present({name: (SYSTEM, BOOT) for name in names}, about)


def looked(
    known: dict[str, Record | InvalidInput | None], inventory: Inventory, seen: gate.Present, hours: int = 0
) -> gate.GateResult:
    there = {name: each for name, each in known.items() if each}
    return gate.check(inventory, there, seen, NOW + timedelta(hours=hours))


def refusal(result: gate.GateResult) -> tuple[list[str], str]:
    """The lines of what a person is told, without the first, and what to type."""
    with pytest.raises(GateRefused) as refused:
        result.require()
    return [line.strip() for line in str(refused.value).splitlines()[1:]], str(refused.value.hint)


def test_of_three_hundred_nodes_equal_reasons_are_told_once(tmp_path):
    inventory, known, seen = fleet(tmp_path)
    assert looked(known, inventory, seen).open, "control"
    lines, hint = refusal(looked(known, inventory, seen, hours=48))
    names = named([each.name for each in inventory.hosts])
    assert lines == [f"301 nodes ({names}): packs {', '.join(PACKS)} ran more than 24 h ago"]
    assert hint == "slipway verify"


def test_of_three_hundred_nodes_each_kind_of_reason_is_a_line_and_the_way_on_is_named_once(tmp_path):
    inventory, known, seen = fleet(tmp_path)
    for at, name in enumerate(MANY[:212]):
        known[name] = Record(name, SYSTEM, BOOT, dict.fromkeys(PACKS, pack(hours=30 + at / 60)), "said")
    for name in MANY[212:250]:
        known[name] = InvalidInput(f"records/{name}.json: not written by a verification of this deployer")
    known["w299"] = None
    live = {**seen.live, **{name: (f"/nix/store/{name}-old", BOOT) for name in MANY[250:290]}}
    del live["w300"]
    now = replace(seen, live=live, wanted=dict.fromkeys(live, SYSTEM), told={"w299": "green"})
    lines, hint = refusal(looked(known, inventory, now))
    assert [re.sub(r"\(.*\)", "()", line) for line in lines] == [
        f"212 nodes (): packs {', '.join(PACKS)} ran more than 24 h ago",
        "38 nodes (): its record does not count: records/NODE.json: not written by a verification of this deployer",
        "40 nodes (): runs /nix/store/..., the inventory wants /nix/store/...",
        "40 nodes (): runs /nix/store/..., verified was /nix/store/...",
        "w299: never verified by this deployer; its own copy tells of green, which nobody here can vouch for",
        "w300: cannot be asked, so nobody knows what it runs",
    ]
    assert hint == "slipway deploy; slipway verify"


def test_reasons_that_all_differ_fit_on_a_screen(tmp_path):
    inventory, known, seen = fleet(tmp_path)
    for name in MANY:
        wrong = {"os": pack(counts=Counts(1, 1), red=[f"os.of.{name}"])}
        known[name] = Record(name, SYSTEM, BOOT, {**dict.fromkeys(PACKS, pack()), **wrong}, "said")
    result = looked(known, inventory, seen)
    lines, _ = refusal(result)
    assert lines == [*[f"{name}: pack os is red: os.of.{name}" for name in MANY[: MOST_ROWS - 1]],
                     f"and {301 - MOST_ROWS} more reasons: slipway gate --json has each"]  # fmt: skip
    assert len(result.to_json()["reasons"]) == 300


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
        raise Unreachable("w2 (root@192.0.2.2): no host key is pinned; it shows SHA256:x\nmore of it")

    hosts = {host.name: node(host.name) for host in inventory.hosts}
    assert FACTS.startswith(SYSTEM)
    assert gate.look(inventory, hosts.__getitem__).open
    hosts["w2"] = FakeHost("w2", away)
    shut = gate.look(inventory, hosts.__getitem__)
    assert [str(reason) for reason in shut.reasons] == [
        "w2: cannot be asked, so nobody knows what it runs: no host key is pinned; it shows SHA256:x"
    ]


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
