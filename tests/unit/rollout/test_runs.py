"""The runs that a repository remembers; a killed one here is a process that was."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.errors import DeployFailed, Interrupted, UsageError
from slipway.events import Events
from slipway.outcome import NodeResult, Outcome
from slipway.rollout import runs
from slipway.rollout.run import Run

BEGIN = """
import sys, time
from pathlib import Path
from slipway.events import Events
from slipway.rollout.run import Run
run = Run.begin(Path(sys.argv[1]), "deploy")
events = Events(run.listener, run=run.id)
events.emit("activate", "started", "cp1")
events.emit("activate", "ok", "cp1")
events.emit("activate", "started", "w1")
events.emit("activate", "progress", "w1", text="half-way")
print("begun", flush=True)
time.sleep(60)
"""
RESULTS = (NodeResult("cp1", Outcome.OK), NodeResult("w1", Outcome.ROLLED_BACK), NodeResult("w2", Outcome.OK))


def ended(root: Path, error: Exception | None = None) -> Run:
    run = Run.begin(root, "deploy")
    run.finish(RESULTS, error)  # type: ignore[arg-type]
    return run


@pytest.fixture
def process(tmp_path):
    """A deploy in a process of its own, in the midst of its work."""
    with subprocess.Popen([sys.executable, "-c", BEGIN, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_a_run_that_ended_tells_its_nodes_and_who_did_it(tmp_path):
    run = ended(tmp_path, DeployFailed("rolled-back: w1"))
    (known,) = runs.every(tmp_path)
    assert (known.id, known.command, known.state) == (run.id, "deploy", "failed")
    assert (known.error, known.exit_code, known.summary) == ("rolled-back: w1", 6, "2 ok, 1 rolled-back")
    assert "@" in known.by


@pytest.mark.parametrize(
    ("error", "state"), [(None, "done"), (DeployFailed("x"), "failed"), (Interrupted("x"), "interrupted")]
)
def test_how_a_run_ended(tmp_path, error, state):
    ended(tmp_path, error)
    assert runs.every(tmp_path)[0].state == state


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_killed_run_is_interrupted_and_says_what_is_known_of_its_nodes(tmp_path, process, number):
    assert runs.every(tmp_path)[0].state == "running"
    process.send_signal(number)
    process.wait(60)
    (known,) = runs.every(tmp_path)
    assert (known.state, known.duration) == ("interrupted", None)
    assert known.nodes == {"cp1": "activate ok", "w1": "not known: in activate"}


def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path, process):
    (begun,) = tmp_path.glob(".slipway/runs/*/run.json")
    said = json.loads(begun.read_text())
    begun.write_text(json.dumps({**said, "since": "1"}))
    assert runs.every(tmp_path)[0].state == "interrupted"
    begun.write_text(json.dumps({**said, "boot": "another"}))
    assert runs.every(tmp_path)[0].state == "interrupted"


def test_the_newest_comes_first_and_is_found_by_its_first_letters(tmp_path):
    for name in ("20260101T000000Z-aaaa", "20260202T000000Z-bbbb"):
        (tmp_path / ".slipway" / "runs" / name).mkdir(parents=True)
    assert [known.id[:8] for known in runs.every(tmp_path)] == ["20260202", "20260101"]
    assert runs.find(tmp_path, "20260101").id == "20260101T000000Z-aaaa"
    for odd, why in (("2026", "2 runs begin so"), ("x", "there is none"), ("", "2 runs begin so")):
        with pytest.raises(UsageError, match=why):
            runs.find(tmp_path, odd)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"nodes": 3, "error": 4}', '{"pid": "x"}', "[" * 9999])
def test_whatever_a_crash_left_in_the_files_is_no_error(tmp_path, text):
    run = Run.begin(tmp_path, "deploy")
    Events(run.listener).emit("copy", "done", "w1")
    for name in ("run.json", "result.json"):
        (run.folder / name).write_text(text)
    with (run.folder / "events.jsonl").open("a") as stream:
        stream.write(text + "\n{")
    (known,) = runs.every(tmp_path)
    assert known.nodes == {"w1": "copy done"}
    json.dumps(known.to_json())
