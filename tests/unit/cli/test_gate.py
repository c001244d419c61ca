"""`slipway gate` as a user sees it; nodes and the build of systems are fakes."""

import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.verify.fakes import FakeHost
from tests.unit.verify.machines import HERE
from tests.unit.verify.test_gate import PACKS, SYSTEM
from tests.unit.verify.test_runner import COMMIT, node

from slipway.cli import gate as command
from slipway.cli import verify as verify_command
from slipway.errors import GateRefused, InvalidInput, Unreachable
from slipway.inventory import load
from slipway.rollout import phases
from slipway.verify import catalog, digests, gate, record
from slipway.verify.gate import GateResult
from slipway.verify.record import PackRecord, Record
from slipway.verify.result import Counts


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """All nodes run SYSTEM and have a green record of it; `wanted` is what the inventory wants of each."""
    file = tmp_path / "inventory.yaml"
    file.write_text((HERE / "inventory.yaml").read_text())
    inventory = load(file)
    about = digests.of(inventory, inventory.hosts, catalog.available(inventory))
    now = datetime.now(UTC).isoformat()
    for host in inventory.hosts:
        packs = {name: PackRecord(Counts(1), (), now, about.packs[name]) for name in PACKS}
        record.write(tmp_path, Record(host.name, SYSTEM, "this-boot", packs, about.nodes[host.name]))
    found = SimpleNamespace(file=file, root=tmp_path, wanted={host.name: SYSTEM for host in inventory.hosts})

    class FakePreparation:
        def __init__(self, *_):
            pass

        def require_generated(self):
            if not found.wanted:
                raise InvalidInput("1 generated file does not follow", hint="slipway generate")

        def build(self):
            return found.wanted

    pool = nullcontext(SimpleNamespace(host=node, shut=lambda: None))
    for module in (command, verify_command):
        monkeypatch.setattr(module, "Pool", SimpleNamespace(of=lambda _: pool))
    monkeypatch.setattr(phases, "Preparation", FakePreparation)
    monkeypatch.setattr(verify_command, "_kubeconfig", lambda *_: None)
    return found


def test_an_open_gate_names_the_next_command(cluster, capsys):
    command.gate(cluster.file)
    assert "the gate is open: slipway handoff" in capsys.readouterr().err


def test_a_shut_gate_says_every_reason_and_what_to_type(cluster, capsys):
    cluster.wanted["w2"] = "/nix/store/newer"
    (cluster.root / ".slipway/records/w1.json").unlink()
    with pytest.raises(GateRefused) as refused:
        command.gate(cluster.file)
    assert capsys.readouterr().out.splitlines() == [
        "w1: never verified",
        "w2: runs /nix/store/system, the inventory wants /nix/store/newer",
    ]
    assert str(refused.value) == "the gate is shut for w1 w2"
    assert refused.value.hint == "slipway deploy w2; slipway verify w1 w2"


def test_a_touched_record_does_not_count(cluster, capsys):
    file = cluster.root / ".slipway/records/w1.json"
    file.write_text(file.read_text().replace("this-boot", "that-boot"))
    with pytest.raises(GateRefused):
        command.gate(cluster.file)
    assert "not written by a verification of this deployer" in capsys.readouterr().out


@pytest.mark.parametrize("missing", [False, True])
def test_json_says_the_same_and_the_exit_code_stays(cluster, capsys, missing):
    if missing:
        (cluster.root / ".slipway/records/w1.json").unlink()
    with pytest.raises(GateRefused) if missing else nullcontext():
        command.gate(cluster.file, json_output=True)
    said = json.loads(capsys.readouterr().out)
    reasons = [{"node": "w1", "what": "never verified"}] if missing else []
    assert said == {"open": not missing, "reasons": reasons, "next": "slipway verify w1" if missing else ""}


def test_status_compares_with_what_the_inventory_wants_now(cluster, capsys):
    cluster.wanted["w2"] = "/nix/store/newer"
    verify_command.status(inventory_file=cluster.file, json_output=True)
    next_of = {each["node"]: each["next"] for each in json.loads(capsys.readouterr().out)["nodes"]}
    assert next_of["w2"] == "slipway deploy w2"
    verify_command.status(quick=True, inventory_file=cluster.file, json_output=True)
    next_of = {each["node"]: each["next"] for each in json.loads(capsys.readouterr().out)["nodes"]}
    assert next_of["w2"] == ""


def test_status_is_shown_also_where_the_wanted_systems_cannot_be_known(cluster, capsys):
    cluster.wanted.clear()
    verify_command.status(inventory_file=cluster.file)
    shown = capsys.readouterr()
    assert "1 generated file does not follow" in shown.err
    assert "w2" in shown.out


def test_status_reads_each_record_once_and_shows_what_the_gate_judged(cluster, capsys, monkeypatch):
    read, read_one = list[str](), record.read

    def count(path: Path) -> Record:
        read.append(path.stem)
        return read_one(path)

    monkeypatch.setattr(record, "read", count)
    verify_command.status(quick=True, inventory_file=cluster.file, json_output=True)
    assert sorted(read) == ["cp1", "cp2", "w1", "w2"]
    states = {each["node"]: each["verification"]["state"] for each in json.loads(capsys.readouterr().out)["nodes"]}
    assert states == dict.fromkeys(read, "green")


def test_status_has_the_system_and_the_commit_of_each_node_as_it_says_itself(cluster, capsys, monkeypatch):
    """Also in a fresh clone, which knows of no deploy."""
    verify_command.status(quick=True, inventory_file=cluster.file, json_output=True)
    shown = json.loads(capsys.readouterr().out)["nodes"]
    assert {(each["system"], each["commit"], each["deploy"]) for each in shown} == {(SYSTEM, COMMIT, None)}
    verify_command.status(["w1"], quick=True, inventory_file=cluster.file)
    assert COMMIT[:12] in capsys.readouterr().out

    def away(name: str) -> FakeHost:
        raise Unreachable(f"{name}: nobody there")

    silent = nullcontext(SimpleNamespace(host=away, shut=str))
    monkeypatch.setattr(verify_command, "Pool", SimpleNamespace(of=lambda _: silent))
    verify_command.status(quick=True, inventory_file=cluster.file, json_output=True)
    shown = json.loads(capsys.readouterr().out)["nodes"]
    assert {(each["system"], each["commit"]) for each in shown} == {(None, None)}


def test_status_asks_the_api_beside_the_nodes(cluster, capsys, monkeypatch):
    """Each of the two waits for the other to have begun."""
    both, missed = threading.Barrier(2), list[object]()

    def meet(answer: object) -> Callable[..., object]:
        def asked(*_args: object, **_options: object) -> object:
            try:
                both.wait(30)
            except threading.BrokenBarrierError:
                missed.append(answer)
            return answer

        return asked

    monkeypatch.setattr(verify_command, "_kubeconfig", meet(None))
    monkeypatch.setattr(gate, "look", meet(GateResult(())))
    verify_command.status(quick=True, inventory_file=cluster.file, json_output=True)
    assert not missed
    assert json.loads(capsys.readouterr().out)["gate"]["open"]
