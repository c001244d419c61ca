import json
import threading
from pathlib import Path

from slipway import events as module
from slipway.events import Event, Events, in_the_background, to_file


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


def test_words_of_nodes_reach_listeners_as_plain_text():
    heard: list[Event] = []
    Events(heard.append).emit("activate", "progress", "w1", text="\x1b]0;title\x07", more=["\x9b"])
    assert heard[0].data == {"text": "\\x1b]0;title\\x07", "more": ["\\x9b"]}


def test_a_listener_that_fails_ends_nothing_and_the_others_are_told():
    heard: list[Event] = []
    calls: list[Event] = []

    def full(event: Event) -> None:
        calls.append(event)
        raise OSError(28, "No space left on device")

    events = Events(full, heard.append)
    events.emit("activate", "started", "w1")
    events.emit("activate", "ok", "w1")
    assert [event.state for event in heard] == ["started", "failed", "ok"]
    assert "No space left on device" in heard[1].data["text"]
    assert len(calls) == 1


def test_a_listener_that_stands_still_holds_nobody_up(monkeypatch):
    """A terminal after Ctrl-S."""
    monkeypatch.setattr(module, "FLUSHED_WITHIN", 0.05)
    monkeypatch.setattr(module, "WAITING", 3)
    go_on = threading.Event()
    heard: list[Event] = []

    def still(event: Event) -> None:
        go_on.wait(10)
        heard.append(event)

    with in_the_background(still) as listener:
        events = Events(listener)
        for _ in range(100):
            events.emit("activate", "progress", "w1")
    assert heard == []
    go_on.set()


def test_what_was_told_in_the_background_is_heard_at_the_end():
    heard: list[Event] = []
    with in_the_background(heard.append) as listener:
        for number in range(100):
            Events(listener).emit("copy", "progress", "w1", number=number)
    assert [event.data["number"] for event in heard] == list(range(100))


def test_a_listener_in_the_background_that_fails_is_not_heard_of():
    def gone(_event: Event) -> None:
        raise BrokenPipeError

    with in_the_background(gone) as listener:
        Events(listener).emit("copy", "done", "w1")
