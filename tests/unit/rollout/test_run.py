import json

from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.outcome import NodeResult, Outcome
from slipway.report.status import last_deploys
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
    found = last_deploys(tmp_path)
    assert (found["w1"].outcome, found["w1"].reason) == (Outcome.ROLLED_BACK, "no confirmation")
    assert found["cp1"].outcome is Outcome.OK


def test_runs_sort_by_time(tmp_path):
    ids = [Run.begin(tmp_path, "deploy").id[:16] for _ in range(3)]
    assert ids == sorted(ids)
