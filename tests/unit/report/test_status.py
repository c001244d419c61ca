"""Where a node stands, and what comes next."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.verify.machines import HERE

from slipway.inventory import Inventory, load
from slipway.outcome import Outcome
from slipway.report import status
from slipway.report.status import LastDeploy, NodeStatus
from slipway.stages.overview import Item, Overview
from slipway.verify.gate import GateResult, Reason
from slipway.verify.record import PackRecord, Record
from slipway.verify.result import Counts
from slipway.verify.running import Running

COMMIT_COLUMN = status.COLUMNS.index("commit")
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
            {"gate": SHUT, "ready": False, "deploy": LastDeploy(Outcome.OK, "", command="node remove")},
            "never",
            "delete w1 from the inventory, or slipway deploy w1",
        ),
        ({"records": record(), "deploy": LastDeploy(Outcome.OK, "", command="reset")}, "green", "slipway deploy w1"),
        ({"records": record(), "deploy": LastDeploy(Outcome.OK, "", command="rollback")}, "green", ""),
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


def test_who_was_removed_comes_before_a_deploy_that_would_take_it_in_again():
    deploys = {"w2": LastDeploy(Outcome.OK, "", command="node remove")}
    found = status.gather(INVENTORY, deploys, {}, SHUT, None, None, NOW)
    assert found.end == "next: delete w2 from the inventory, or slipway deploy w2"
    assert found.to_json()["nodes"][-1]["deploy"]["command"] == "node remove"
    (row,) = [row for row in status.rows(found.nodes) if row[0] == "w2"]
    assert row[3] == "removed"


def write_run(root: Path, name: str, command: str, node: str, outcome: str) -> None:
    folder = root / ".slipway/runs" / name
    folder.mkdir(parents=True)
    event = {"time": name, "node": node, "phase": "result", "state": outcome, "data": {}}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    (folder / "run.json").write_text(json.dumps({"command": command}))


@pytest.mark.parametrize(
    ("then", "left"),
    [((), "removed"), (("reboot",), "removed"), (("reboot", "deploy"), ""), (("deploy", "reboot"), "")],
)
def test_a_node_has_left_until_a_deploy_takes_it_in_again(tmp_path, then, left):
    for number, command in enumerate(("deploy", "node remove", *then)):
        write_run(tmp_path, str(number), command, "w1", "ok")
    assert status.last_deploys(tmp_path, ["w1"])["w1"].left == left


def test_a_removal_that_failed_leaves_a_node_in_its_cluster(tmp_path):
    write_run(tmp_path, "1", "node remove", "w1", "degraded")
    assert status.last_deploys(tmp_path, ["w1"])["w1"].left == ""


def test_the_last_outcome_of_a_node_counts_and_half_a_line_does_not(tmp_path):
    def run(name: str, *events: tuple[str, str, str]) -> None:
        folder = tmp_path / ".slipway/runs" / name
        folder.mkdir(parents=True)
        lines = [json.dumps({"time": name, "node": node, "phase": phase, "state": state, "data": {"reason": "because"}})
                 for phase, node, state in events]  # fmt: skip
        (folder / "events.jsonl").write_text("\n".join(lines) + '\n{"time": "')

    run("20261123-1", ("result", "w1", "activation-failed"), ("result", "w2", "ok"))
    run("20261123-2", ("activate", "w1", "started"), ("result", "w1", "rolled-back"), ("verify", "w2", "unreachable"))
    assert status.last_deploys(tmp_path, ["w1", "w2", "never"]) == {
        "w1": LastDeploy(Outcome.ROLLED_BACK, "20261123-2", "because"),
        "w2": LastDeploy(Outcome.OK, "20261123-1", "because"),
    }


def test_old_runs_are_not_read_once_every_node_is_known(tmp_path, monkeypatch):
    """There may be a hundred, each with a line for every node."""
    for number, node in enumerate(("w3", "w2", "w1")):
        folder = tmp_path / ".slipway/runs" / f"20261123-{number}"
        folder.mkdir(parents=True)
        line = {"time": folder.name, "node": node, "phase": "result", "state": "ok", "data": {}}
        (folder / "events.jsonl").write_text(json.dumps(line))
    read, read_one = list[str](), status._deploys_of

    def count(path: Path) -> dict[str, LastDeploy]:
        read.append(path.parent.name)
        return read_one(path)

    monkeypatch.setattr(status, "_deploys_of", count)
    assert status.last_deploys(tmp_path, ["w1", "w2"]).keys() == {"w1", "w2"}
    assert read == ["20261123-2", "20261123-1"]


def test_many_nodes_of_one_row_name_their_commit_or_how_many_there_are():
    runs = {name: Running("/nix/store/a", "boot", commit=commit) for name, commit in (("w1", "ab" * 20), ("w2", ""))}
    found = status.gather(INVENTORY, {}, {}, replace(OPEN, seen=runs), {}, None, NOW)
    assert status._row(found.nodes)[COMMIT_COLUMN] == "ab" * 6
    runs |= {"w2": Running("/nix/store/a", "boot", commit="cd" * 20)}
    found = status.gather(INVENTORY, {}, {}, replace(OPEN, seen=runs), {}, None, NOW)
    assert status._row(found.nodes)[COMMIT_COLUMN] == "2 commits"
    assert status._row(found.nodes[:1])[COMMIT_COLUMN] == ""


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
    app = Item("app", "gitea", "bootstrap", COMMIT[:12], (why,) if why else ())
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
    assert found.end.endswith("not Ready of what Flux runs: 1, see above")
    assert "apps 0/1" in found.summary
    assert found.to_json()["flux"]["items"][1]["why"] == "CrashLoopBackOff"


def test_a_commit_that_flux_does_not_have_is_to_be_handed_over():
    found = handed_over(commit="f" * 40)
    assert found.next_step == "slipway handoff"
    assert "Flux has another commit than this checkout (ffffffffffff)" in found.end
    assert not handed_over(commit="").unpushed, "where Flux reads from elsewhere nobody knows"


def test_a_hand_off_whose_stages_are_gone_is_to_be_done_again():
    """After a teardown, or in a cluster that was built anew. Where no API server answers nobody knows."""
    done = {host.name: OK for host in INVENTORY.hosts}
    records = {host.name: record() for host in INVENTORY.hosts}
    ready = dict.fromkeys(("w1", "w2"), True)
    found = status.gather(INVENTORY, done, records, OPEN, ready, NOW.isoformat(), NOW, Overview(()), COMMIT)
    assert found.end == "next: slipway handoff"
    assert found.to_json()["handedOver"] is None
    unknown = status.gather(INVENTORY, done, records, OPEN, None, NOW.isoformat(), NOW, None, COMMIT)
    assert unknown.handed_over == NOW.isoformat()


MANY = 300
FLEET = """\
apiVersion: slipway/v1
cluster:
  name: fleet
  k0s: {version: 1.36.3+k0s.2}
  network: {podCIDR: 10.128.0.0/10, serviceCIDR: 172.20.0.0/16}
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}
  network: {interface: eth0, prefixLength: 16}
hosts:
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory) -> Inventory:
    hosts = "".join(f"  w{n}: {{address: 10.0.{n // 250}.{n % 250 + 1}, role: worker}}\n" for n in range(1, MANY))
    file = tmp_path_factory.mktemp("fleet") / "inventory.yaml"
    file.write_text(f"{FLEET}  cp1: {{address: 10.0.9.9, role: controller}}\n{hosts}")
    return load(file)


def of_fleet(fleet: Inventory, *, gate: GateResult = OPEN, red: tuple[str, ...] = (), **how) -> status.Status:
    names = [host.name for host in fleet.hosts]
    records = {name: record(failed=name in red, hours=2 + number % 2) for number, name in enumerate(names)}
    shut = GateResult((*gate.reasons, *(Reason(name, "pack os is red: os.x") for name in red)))
    return status.gather(fleet, dict.fromkeys(names, OK), records, shut, dict.fromkeys(names, True), None, NOW, **how)


def test_three_hundred_nodes_are_a_few_rows_and_what_fails_is_first(fleet):
    found = of_fleet(fleet, red=("w7", "w9"))
    assert list(status.rows(found.nodes)) == [
        ("w7 and 1 more like it", "worker", "", "ok", "", "red", "3 h", "Ready", "slipway verify w7 w9"),
        ("cp1", "controller", "10.0.9.9", "ok", "", "green", "2 h", "", ""),
        ("w1 and 296 more like it", "worker", "", "ok", "", "green", "2 h to 3 h", "Ready", ""),
    ]
    assert len(found.to_json()["nodes"]) == MANY


def test_what_is_to_be_done_with_more_than_anybody_types_is_done_with_all(fleet):
    names = tuple(host.name for host in fleet.hosts[1:])
    (row, _) = status.rows(of_fleet(fleet, red=names).nodes)
    assert row[-1] == "slipway verify"


def test_who_wants_every_row_gets_it(fleet):
    rows = list(status.rows(of_fleet(fleet, red=("w7",)).nodes, each=True))
    assert [row[0] for row in rows[:3]] == ["w7", "cp1", "w1"]
    assert len(rows) == MANY


def test_few_nodes_have_a_row_each():
    assert [row[0] for row in status.rows(handed_over().nodes)] == ["cp1", "cp2", "w1", "w2"]


def test_of_some_nodes_nobody_says_whether_the_gate_is_open(fleet):
    some = [fleet.host(name) for name in ("w7", "w8")]
    found = of_fleet(fleet, red=("w7",), hosts=some)
    assert found.summary == "nodes 1/2"
    assert found.to_json()["gate"] is None
    assert found.end == "next: slipway verify w7"
    assert of_fleet(fleet, hosts=some).end == "nothing is left to do for w7 w8"


def test_several_nodes_are_rebooted_by_one_who_is_told_so(fleet):
    rebooted = LastDeploy(Outcome.REBOOT_REQUIRED, "")
    names = [host.name for host in fleet.hosts]
    found = status.gather(fleet, dict.fromkeys(names, rebooted), {}, OPEN, None, None, NOW)
    assert [row[-1] for row in status.rows(found.nodes)] == [
        "reboot it, then slipway verify cp1",
        "reboot them, then slipway verify",
    ]
