"""Where a node stands, and what comes next."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.verify.machines import HERE

from slipway.inventory import load
from slipway.outcome import Outcome
from slipway.report import status
from slipway.report.status import LastDeploy, NodeStatus
from slipway.stages.overview import Item, Overview
from slipway.verify.gate import GateResult, Reason
from slipway.verify.record import PackRecord, Record
from slipway.verify.result import Counts

INVENTORY = load(HERE / "inventory.yaml")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPEN = GateResult(())
OK = LastDeploy(Outcome.OK, NOW.isoformat())


def record(*, failed: int = 0, hours: float = 1) -> Record:
    time = (NOW - timedelta(hours=hours)).isoformat()
    return Record("w1", "/nix/store/s", "b", {"os": PackRecord(Counts(2, failed), ("os.x",) * failed, time)})


def of_w1(
    *, deploy: LastDeploy | None = OK, records: Record | None = None, gate: GateResult = OPEN, ready: bool = True
) -> NodeStatus:
    deploys = {"w1": deploy} if deploy else {}
    found = status.gather(INVENTORY, deploys, {"w1": records} if records else {}, gate, {"w1": ready}, None, NOW)
    return next(node for node in found.nodes if node.host.name == "w1")


BEHIND = GateResult((Reason("w1", "runs one, the inventory wants another", behind=True),))
SHUT = GateResult((Reason("w1", "rebooted since it was verified"),))


@pytest.mark.parametrize(
    ("known", "verification", "step"),
    [
        ({"deploy": None, "gate": SHUT}, "never", "slipway deploy w1"),
        ({"deploy": None, "records": record(failed=1), "gate": SHUT}, "red", "slipway deploy w1"),
        ({"gate": SHUT}, "never", "slipway verify w1"),
        ({"records": record(failed=1), "gate": SHUT}, "red", "slipway verify w1"),
        ({"records": record(), "gate": SHUT}, "stale", "slipway verify w1"),
        ({"records": record()}, "green", ""),
        ({"records": record(), "gate": BEHIND}, "stale", "slipway deploy w1"),
        ({"records": record(), "deploy": None}, "green", ""),
        ({"records": record(), "ready": False}, "green", "slipway verify w1"),
        ({"records": record(), "deploy": LastDeploy(Outcome.ROLLED_BACK, "")}, "green", "slipway deploy w1"),
        (
            {"records": record(), "deploy": LastDeploy(Outcome.REBOOT_REQUIRED, "")},
            "green",
            "reboot it, then slipway verify w1",
        ),
    ],
)
def test_state_and_next_step(known, verification, step):
    node = of_w1(**known)
    assert (node.verification, node.next_step) == (verification, step)


def test_a_controller_without_workloads_is_no_node_of_kubernetes():
    found = status.gather(INVENTORY, {}, {}, OPEN, {}, None, NOW)
    assert {node.host.name: node.ready for node in found.nodes} == {"cp1": None, "cp2": None, "w1": False, "w2": False}


def test_without_an_api_nobody_knows():
    found = status.gather(INVENTORY, {}, {}, OPEN, None, None, NOW)
    assert {node.ready for node in found.nodes} == {None}


def test_the_cluster_goes_on_when_the_gate_is_open_and_every_node_is_done():
    done = {host.name: OK for host in INVENTORY.hosts}
    records = {host.name: record() for host in INVENTORY.hosts}
    ready = dict.fromkeys(("w1", "w2"), True)
    assert status.gather(INVENTORY, done, records, OPEN, ready, None, NOW).next_step == "slipway handoff"
    assert status.gather(INVENTORY, done, records, OPEN, ready, NOW.isoformat(), NOW).next_step == ""
    assert status.gather(INVENTORY, done, records, SHUT, ready, None, NOW).next_step == "slipway verify"
    assert status.gather(INVENTORY, {}, {}, SHUT, ready, None, NOW).next_step == "slipway deploy"


def test_the_last_outcome_of_a_node_counts_and_half_a_line_does_not(tmp_path):
    def run(name: str, *events: tuple[str, str, str]) -> None:
        folder = tmp_path / ".slipway/runs" / name
        folder.mkdir(parents=True)
        lines = [json.dumps({"time": name, "node": node, "phase": phase, "state": state, "data": {"reason": "because"}})
                 for phase, node, state in events]  # fmt: skip
        (folder / "events.jsonl").write_text("\n".join(lines) + '\n{"time": "')

    run("20261123-1", ("result", "w1", "activation-failed"), ("result", "w2", "ok"))
    run("20261123-2", ("activate", "w1", "started"), ("result", "w1", "rolled-back"), ("verify", "w2", "unreachable"))
    assert status.last_deploys(tmp_path) == {
        "w1": LastDeploy(Outcome.ROLLED_BACK, "20261123-2", "because"),
        "w2": LastDeploy(Outcome.OK, "20261123-1", "because"),
    }


def test_json_has_what_the_table_has():
    shown = of_w1(records=record(failed=1), gate=SHUT).to_json()
    assert shown["verification"] == {
        "state": "red", "time": "2026-11-23T11:00:00+00:00", "ageSeconds": 3600, "red": ["os.x"],
        "missing": ["rebooted since it was verified"],
    }  # fmt: skip
    assert (shown["node"], shown["deploy"]["outcome"], shown["ready"]) == ("w1", "ok", True)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (119, "119 s"), (600, "10 min"), (7200, "2 h"), (3e5, "3 d")]
)
def test_ages(seconds, text):
    assert status.age_of(seconds) == text


def test_the_newest_hand_off_that_ended_well_counts(tmp_path):
    runs = [
        ("1", "handoff", "2026-11-23T10:00:00+00:00", None),
        ("2", "handoff", "2026-11-23T11:00:00+00:00", "stopped half-way"),
        ("3", "deploy", "2026-11-23T12:00:00+00:00", None),
    ]
    for name, command, time, error in runs:
        folder = tmp_path / ".slipway" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"command": command, "time": time, "error": error}))
    assert status.last_handoff(tmp_path) == "2026-11-23T10:00:00+00:00"
    assert status.last_handoff(tmp_path / "elsewhere") is None


def test_a_record_of_a_clock_that_is_ahead_is_no_second_old():
    assert of_w1(records=record(hours=-0.05)).age == 0.0


COMMIT = "0123456789ab" + "c" * 28


def handed_over(why: str = "", commit: str = COMMIT) -> status.Status:
    source = Item("source", "flux-system", "", COMMIT[:12])
    app = Item("app", "gitea", "bootstrap", COMMIT[:12], why)
    done = {host.name: OK for host in INVENTORY.hosts}
    ready = dict.fromkeys(("w1", "w2"), True)
    records = {host.name: record() for host in INVENTORY.hosts}
    flux = Overview((Item("stage", "bootstrap", "bootstrap", COMMIT[:12]), app, source))
    return status.gather(INVENTORY, done, records, OPEN, ready, NOW.isoformat(), NOW, flux, commit)


def test_one_line_says_it_all():
    assert handed_over().summary == ("nodes 4/4, gate open, stages 1/1, apps 1/1, sources 1/1 ready, at 0123456789ab")
    assert handed_over().end.endswith("nothing is left to do")


def test_an_app_that_is_not_ready_is_not_nothing():
    found = handed_over("CrashLoopBackOff")
    assert found.end.endswith("1 of what Flux runs is not Ready, see above")
    assert "apps 0/1" in found.summary
    assert found.to_json()["flux"]["items"][1]["why"] == "CrashLoopBackOff"


def test_a_commit_that_flux_does_not_have_is_to_be_handed_over():
    found = handed_over(commit="f" * 40)
    assert found.next_step == "slipway handoff"
    assert "Flux has another commit than this checkout (ffffffffffff)" in found.end
    assert not handed_over(commit="").unpushed, "where Flux reads from elsewhere nobody knows"
