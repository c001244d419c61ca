"""The pack burnin: each of its checks can pass, can fail, and tells that it could not run; machines are fakes."""

import json
import re
from typing import Any

import pytest
from tests.unit.verify.machines import HERE, INVENTORY, machine

from slipway.inventory import Inventory
from slipway.inventory import load as inventory_of
from slipway.verify import catalog, record
from slipway.verify.asked import Question
from slipway.verify.backend import Answer, NodeHost, host_of
from slipway.verify.canary import Canary
from slipway.verify.packs.burnin import load
from slipway.verify.result import Verdict, Verification
from slipway.verify.runner import Limits, ask

NETWORK, DISK, MEMORY = (
    f"burnin.load.{name}" for name in ("network_carries_enough", "disk_is_fit_for_etcd", "memory_keeps_what_it_is_told")
)


def iperf(rate: float) -> str:
    return json.dumps(
        {"start": {}, "end": {"sum_sent": {"bits_per_second": 9e9}, "sum_received": {"bits_per_second": rate}}}
    )


def fio(nanoseconds: int) -> str:
    return json.dumps({"jobs": [{"sync": {"lat_ns": {"percentile": {"50.000000": 9, "99.000000": nanoseconds}}}}]})


SOUND: dict[str, dict[str, Any]] = {
    "iperf3 --client": {"stdout": iperf(941e6)},
    "iperf3 --server": {"stdout": ""},
    "fio --name": {"stdout": fio(2_400_000)},
    "stress-ng --vm": {"stdout": ""},
}
BROKEN = {
    "w1 slow": ({"iperf3 --client": {"stdout": iperf(94e6)}}, NETWORK, "w2: 94 Mbit/s"),
    "cp1 slow": ({"fio --name": {"stdout": fio(31_000_000)}}, DISK, "31.0 ms"),
    "w1 forgets": (
        {"stress-ng --vm": {"exit": 2, "stderr": "stress-ng: fail: 3 bit errors\n"}},
        MEMORY,
        "3 bit errors",
    ),
}
NO_ANSWER = {
    "w1 busy": ({"iperf3 --client": {"exit": 1, "stdout": json.dumps({"error": "unable to connect"})}}, NETWORK),
    "cp1 odd": ({"fio --name": {"stdout": "fio: No space left"}}, DISK),
    "w1 bare": ({"stress-ng --vm": {"exit": 127}}, MEMORY),
    "w1 killed": ({"stress-ng --vm": {"exit": 3, "stderr": "out of memory\n"}}, MEMORY),
}


@pytest.fixture(scope="module")
def results():
    answers: dict[str, Any] = {"cp1": {}, "w1": {}}
    answers |= {key: each[0] for key, each in BROKEN.items()} | {key: each[0] for key, each in NO_ANSWER.items()}
    machines = {key: machine(key, key.split()[0], answers=SOUND | broken) for key, broken in answers.items()}
    questions = tuple(Question(key, INVENTORY.host(key.split()[0])) for key in answers)
    packs = catalog.chosen(INVENTORY, ["burnin"])
    found = ask(INVENTORY, questions, machines.__getitem__, packs, limits=Limits(burn_in=1))
    return {each.node: each for each in found}


@pytest.mark.parametrize(("node", "checks"), [("cp1", {DISK, MEMORY}), ("w1", {NETWORK, MEMORY})])
def test_sound_machines_bear_it(results, node, checks):
    assert results[node].green, results[node].red
    assert {check.id for check in results[node].checks} == checks


@pytest.mark.parametrize("key", BROKEN)
def test_control_a_weak_part_is_red_and_no_other(results, key):
    (check,) = results[key].red
    assert (check.id, check.verdict) == (BROKEN[key][1], Verdict.FAILED)
    assert BROKEN[key][2] in check.finding.found
    assert check.finding.fix


@pytest.mark.parametrize("key", NO_ANSWER)
def test_what_could_not_be_loaded_is_no_pass(results, key):
    assert [(check.id, check.verdict) for check in results[key].red] == [(NO_ANSWER[key][1], Verdict.ERROR)]


@pytest.mark.parametrize(
    ("others", "burn_in", "peers", "turn"),
    [
        (1, 60, 1, 10), (5, 60, 5, 10), (10, 60, 10, 6), (15, 60, 15, 4), (29, 60, 15, 4), (299, 60, 15, 4),
        (299, 3600, 299, 10), (299, 1200, 299, 1200 / 299), (5, 1, 1, 4), (5, 4, 1, 4), (1, 6, 1, 6),
    ],
)  # fmt: skip
def test_a_turn_has_its_pause_however_many_nodes_there_are(others, burn_in, peers, turn):
    assert load.turns(others, burn_in) == (peers, turn)
    assert turn - load.BREATH >= 2


def sends(inventory: Inventory, name: str, burn_in: float) -> tuple[NodeHost, list[str]]:
    """The node whose network was loaded, after its last turn, and how it called iperf3."""
    asked: list[str] = []

    def ask(command: str, _timeout: float) -> Answer:
        asked.extend(re.findall("iperf3 --client .* --json", command))
        return Answer(0, iperf(941e6), "")

    host = host_of(name, ask)
    canaries = {each.name: Canary((each.address,), "Running") for each in inventory.hosts}
    load.test_network_carries_enough(host, inventory.host(name), inventory, canaries, burn_in)
    return host, asked


def test_of_many_nodes_as_many_are_tried_as_fit_in_and_the_rest_is_told(tmp_path):
    workers = "".join(f"  v{number}: {{address: 10.77.0.{100 + number}, role: worker}}\n" for number in range(1, 37))
    text = (HERE / "inventory.yaml").read_text()
    (tmp_path / "inventory.yaml").write_text(text.replace("\nhosts:\n", f"\nhosts:\n{workers}"))
    many = inventory_of(tmp_path / "inventory.yaml")
    host, asked = sends(many, "v36", burn_in=12)
    assert asked == [f"iperf3 --client 10.77.0.{last} --port 5201 --time 2 --json" for last in (11, 12, 21)]
    assert host.backend.note == "each node sent to the next 3 of 39 other nodes, as many as fit in 12 s"


def test_of_few_nodes_all_are_tried_and_nothing_is_told():
    host, asked = sends(INVENTORY, "w1", burn_in=60)
    assert [command.split()[2] for command in asked] == ["10.77.0.22", "10.77.0.11", "10.77.0.12"]
    assert {command.split()[6] for command in asked} == {"8"}
    assert host.backend.note == ""


def test_it_runs_when_somebody_asks_and_no_record_holds_it(results, tmp_path):
    assert "burnin" not in catalog.available(INVENTORY)
    assert "burnin" not in catalog.chosen(INVENTORY)
    assert record.keep(tmp_path, Verification("2026-11-23T10:00:00+00:00", (results["w1"],))) == {}
