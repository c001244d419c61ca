import json

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
