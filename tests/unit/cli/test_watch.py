"""`slipway verify --watch`: the first round as a whole, then what changes."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.test_verify import AWAY, FAILED, GREEN, PASSED

from slipway.cli.watch import Watch
from slipway.errors import UsageError
from slipway.events import Events
from slipway.verify import history
from slipway.verify.result import NodeVerification, Verification

RED = NodeVerification("w1", ("os",), checks=(PASSED, FAILED))
LOST = NodeVerification("w1", ("os",), error="no answer", obstacle=AWAY.obstacle)


class Enough(Exception):
    pass


def watched(tmp_path: Path, *rounds: NodeVerification | Exception, json_output: bool = False) -> list[float]:
    """Standard output is a pipe here; how many rounds there are is what the test brings."""
    left = list(rounds)
    waited: list[float] = []

    def once(_events: Events) -> Verification:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return Verification("2026-11-23T12:00:00+00:00", (found,))

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if not left:
            raise Enough

    watch = Watch(tmp_path, once, lambda _: None, 60.0, json_output, wait)
    with pytest.raises(Enough):
        watch.run()
    return waited


def test_a_pipe_is_told_the_first_round_and_then_changes_alone(tmp_path, capsys):
    waited = watched(tmp_path, GREEN, GREEN, RED, RED, LOST, GREEN)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["w1", "green"]
    assert [line.split(" ", 1)[1] for line in lines[2:]] == [
        "w1: os.x.z: new: that",
        "w1: node: turned red: unreachable: no answer",
        "w1: node: turned green; it was: unreachable: no answer",
    ]
    assert all(59 < seconds <= 60 for seconds in waited)


def test_json_is_a_line_for_the_first_round_and_for_each_change(tmp_path, capsys):
    watched(tmp_path, GREEN, GREEN, RED, json_output=True)
    first, change = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["kind"] == "Verification"
    assert [each["change"] for each in change["changes"]] == ["new"]


def test_rounds_that_change_something_are_kept_as_runs(tmp_path):
    watched(tmp_path, GREEN, GREEN, RED, RED)
    assert len(history.runs(tmp_path)) == 2


def test_a_round_that_cannot_be_made_is_told_and_the_next_goes_on(tmp_path, capsys):
    watched(tmp_path, GREEN, UsageError("half a file"), GREEN)
    assert "no answer this time: half a file" in capsys.readouterr().out


def test_a_first_round_that_cannot_be_made_ends_it(tmp_path):
    def once(_events):
        raise UsageError("no such pack")

    with pytest.raises(UsageError):
        Watch(tmp_path, once, lambda _: None, 60.0, False).run()
