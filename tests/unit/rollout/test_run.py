import json
import time
from pathlib import Path

import pytest

from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.outcome import NodeResult, Outcome
from slipway.report.status import last_deploys
from slipway.rollout import run as module
from slipway.rollout.run import Run

RESULTS = (
    NodeResult("cp1", Outcome.OK, duration=1.5, new_system="/nix/store/x-system"),
    NodeResult("w1", Outcome.ROLLED_BACK, "no confirmation", log="line"),
)


def test_events_are_written_as_they_come(tmp_path):
    run = Run.begin(tmp_path, "deploy")
    Events(run.listener, run=run.id).emit("copy", "done", "w1", text="x")
    (line,) = (run.folder / "events.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert (event["run"], event["phase"], event["node"], event["data"]) == (run.id, "copy", "w1", {"text": "x"})


def test_the_result_tells_every_node_and_the_error(tmp_path):
    run = Run.begin(tmp_path, "deploy")
    run.finish(RESULTS, DeployFailed("rolled-back: w1", hint="slipway deploy w1"))
    result = json.loads((run.folder / "result.json").read_text())
    assert result["run"] == run.id
    assert [node["outcome"] for node in result["nodes"]] == ["ok", "rolled-back"]
    assert result["error"] == {"message": "rolled-back: w1", "hint": "slipway deploy w1", "exitCode": 6}


def test_the_status_reads_how_a_node_came_out_at_last(tmp_path):
    """A node that rolled back and was then found in the cluster is still one that rolled back."""
    run = Run.begin(tmp_path, "deploy")
    events = Events(run.listener, run=run.id)
    events.emit("activate", "rolled-back", "w1", reason="early")
    events.emit("join", "unchanged", "w1")
    run.finish(RESULTS, None)
    found = last_deploys(tmp_path, ["w1", "cp1"])
    assert (found["w1"].outcome, found["w1"].reason) == (Outcome.ROLLED_BACK, "no confirmation")
    assert found["cp1"].outcome is Outcome.OK


def test_each_node_has_a_log_and_the_plan_a_file(tmp_path):
    run = Run.begin(tmp_path, "deploy")
    events = Events(run.listener, run=run.id)
    events.emit("systems", "done", old={"w1": None}, new={"w1": "/nix/store/x"}, text="1 of 1")
    events.emit("activate", "progress", "w1", text="starting units\nsecond line")
    events.emit("activate", "ok", "w1")
    events.emit("wave", "done")
    lines = (run.folder / "logs" / "w1.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines if not line.startswith("    ")] == [
        "activate progress starting units", "activate ok"
    ]  # fmt: skip
    assert "    second line" in lines
    assert [path.name for path in (run.folder / "logs").iterdir()] == ["w1.log"]
    assert json.loads((run.folder / "plan.json").read_text())["new"] == {"w1": "/nix/store/x"}


def test_a_node_s_name_leads_nowhere_else(tmp_path):
    run = Run.begin(tmp_path, "deploy")
    Events(run.listener).emit("copy", "done", "../../../w1")
    assert [path.name for path in (run.folder / "logs").iterdir()] == ["_.._.._w1.log"]


def test_progress_without_end_fills_no_disk_and_what_ended_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_EVENTS", 5000)
    monkeypatch.setattr(module, "MOST_LOG", 1000)
    run = Run.begin(tmp_path, "deploy")
    events = Events(run.listener)
    for _ in range(500):
        events.emit("copy", "progress", "w1", text="x" * 100)
    events.emit("copy", "done", "w1")
    assert (run.folder / "events.jsonl").stat().st_size < 6000
    log = (run.folder / "logs" / "w1.log").read_text()
    assert len(log) < 1500 and log.endswith("copy done\n")


def finished(root: Path, command: str, number: int) -> None:
    for _ in range(number):
        Run.begin(root, command).finish((), None)


def test_so_many_runs_are_kept_as_the_inventory_says(tmp_path):
    finished(tmp_path, "verify", 3)
    finished(tmp_path, "deploy", 4)
    under_way = Run.begin(tmp_path, "deploy")
    time.sleep(1.1)  # ids have seconds
    newest = Run.begin(tmp_path, "deploy", keep=2)
    left = list((tmp_path / ".slipway" / "runs").iterdir())
    commands = sorted(json.loads((folder / "run.json").read_text())["command"] for folder in left)
    assert commands.count("verify") == 3, "verifications count apart"
    assert under_way.folder in left and newest.folder in left
    assert commands.count("deploy") in (2, 3), "the one under way is kept beside the newest two"


def test_no_command_forgets_the_runs_of_another(tmp_path):
    """A hundred daily backups took `slipway status` the last deploy, and `slipway rollback` the way back."""
    finished(tmp_path, "deploy", 1)
    finished(tmp_path, "handoff", 1)
    for _ in range(5):
        Run.begin(tmp_path, "backup", keep=2).finish((), None)
    folders = (tmp_path / ".slipway" / "runs").glob("*/run.json")
    commands = sorted(json.loads(path.read_text())["command"] for path in folders)
    assert commands == ["backup", "backup", "deploy", "handoff"]


def test_folders_that_do_not_say_what_they_are_of_go_in_time(tmp_path):
    for number in range(5):
        (tmp_path / ".slipway" / "runs" / f"20200101T00000{number}Z-dead").mkdir(parents=True)
    finished(tmp_path, "deploy", 1)
    Run.begin(tmp_path, "verify", keep=2)
    left = sorted(folder.name for folder in (tmp_path / ".slipway" / "runs").iterdir())
    assert left[0] == "20200101T000004Z-dead" and len(left) == 3


def test_a_full_disk_at_the_end_takes_the_place_of_no_error_and_breaks_nothing_that_succeeded(tmp_path, monkeypatch):
    def full(*_result: object) -> None:
        raise OSError(28, "No space left on device")

    told: list[str] = []
    monkeypatch.setattr(Run, "finish", full)
    run = Run.begin(tmp_path, "reset")
    with run.recorded(told.append) as nodes:
        nodes.extend(RESULTS)
    with pytest.raises(DeployFailed, match="w1: refused"), run.recorded(told.append):
        raise DeployFailed("w1: refused")
    said = f"warning: the result is not written down in {run.folder}: [Errno 28] No space left on device"
    assert told == [said, said]


def test_control_another_mistake_at_the_end_is_one(tmp_path, monkeypatch):
    def odd(*_result: object) -> None:
        raise ValueError

    monkeypatch.setattr(Run, "finish", odd)
    with pytest.raises(ValueError), Run.begin(tmp_path, "reset").recorded():
        pass


def test_runs_sort_by_time(tmp_path):
    ids = [Run.begin(tmp_path, "deploy").id[:16] for _ in range(3)]
    assert ids == sorted(ids)
