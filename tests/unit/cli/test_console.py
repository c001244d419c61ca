import json

from slipway.cli import console
from slipway.cli.console import print_json, print_table, progress
from slipway.events import Events


def test_json_is_alone_on_standard_output(capfd):
    print_json({"a": 1})
    assert json.loads(capfd.readouterr().out) == {"a": 1}


def test_a_table_keeps_brackets_of_its_values(capfd):
    print_table(("node", "state"), [("w1", "[red]"), ("w2", "ok")])
    out = capfd.readouterr().out
    assert "[red]" in out
    assert "node" in out


def test_a_piped_progress_has_a_line_for_each_end_and_none_for_what_is_under_way(capfd):
    with progress() as listener:
        events = Events(listener)
        events.emit("build", "started")
        events.emit("build", "progress", text="2 of 3")
        events.emit("build", "done", text="3 systems")
        events.emit("activate", "rolled-back", "w1", reason="no [confirmation] came")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:2] == ["build", "done"]
    assert lines[0].endswith("3 systems")
    assert "w1" in lines[1]
    assert "no [confirmation] came" in lines[1]


def test_quiet_progress_says_nothing(capfd):
    with progress(quiet=True) as listener:
        Events(listener).emit("build", "done")
    assert capfd.readouterr().err == ""


def test_columns_stand_below_each_other_whatever_the_state(capfd):
    with progress() as listener:
        events = Events(listener)
        for state in ("ok", "unchanged", "unreachable"):
            events.emit("activate", "started", "w1")
            events.emit("activate", state, "w1", text="why")
    lines = capfd.readouterr().err.splitlines()
    assert len({line.index("why") for line in lines}) == 1


def test_a_pipe_is_told_now_and_then_what_takes_so_long(capfd, monkeypatch):
    monkeypatch.setattr(console, "STILL_ALIVE", -1.0)
    with progress() as listener:
        Events(listener).emit("build", "progress", text="2 of 3")
    assert capfd.readouterr().err.split()[:2] == ["build", "progress"]


def test_a_long_line_stays_one_line_in_a_pipe(capfd):
    with progress() as listener:
        Events(listener).emit("handoff", "ok", text="word " * 60)
    assert len(capfd.readouterr().err.splitlines()) == 1
