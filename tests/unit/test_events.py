import json
from pathlib import Path

from slipway.events import Event, Events, to_file


def test_each_event_is_one_json_line(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    events = Events(to_file(path), run="r1")
    events.emit("build", "started")
    events.emit("activate", "ok", "w1", text="line\nbreak")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["build", "activate"]
    assert lines[1]["node"] == "w1"
    assert lines[1]["data"] == {"text": "line\nbreak"}
    assert {line["run"] for line in lines} == {"r1"}


def test_every_listener_hears_every_event():
    one: list[Event] = []
    other: list[Event] = []
    Events(one.append, other.append).emit("copy", "done", "w1")
    assert [event.node for event in one + other] == ["w1", "w1"]
