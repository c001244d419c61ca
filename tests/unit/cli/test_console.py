import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.console import Console

from slipway.cli import console
from slipway.cli.console import print_json, print_table, progress, say, tell, write
from slipway.events import Events

HOSTILE = "/nix/store/x\x1b]0;t\x07\x1b]52;c;Y3VybA==\x07\x1b[2K\x1b[1A\x9b2J\u202e[red]fd00:ab::11[/]:boom:"
SHOWN = r"/nix/store/x\x1b]0;t\x07\x1b]52;c;Y3VybA==\x07\x1b[2K\x1b[1A\x9b2J\u202e[red]fd00:ab::11[/]:boom:"


def emit(text: str) -> None:
    with progress() as listener:
        Events(listener).emit("activate", "failed", f"w1{text}", reason=text)


@pytest.mark.parametrize(
    "show",
    [tell, write, say, lambda text: print_table(("a", text), [(text, "x")], title="t"), emit],
    ids=["tell", "write", "say", "table", "progress"],
)
def test_a_node_s_words_are_shown_and_nothing_else(show, capfd, monkeypatch):
    """No control, no markup and no emoji code among them means anything."""
    monkeypatch.setattr(console, "PIPED_WIDTH", 300)
    show(HOSTILE)
    said = "".join(capfd.readouterr())
    assert SHOWN in said
    assert not set("\x1b\x07\x9b\u202e") & set(said)


def test_json_holds_what_was_said_and_shows_no_control(capfd):
    print_json({"said": HOSTILE})
    out = capfd.readouterr().out
    assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert json.loads(out) == {"said": HOSTILE}


def test_lines_of_a_node_s_words_cannot_be_taken_for_another_node_s(capfd):
    emit("first\nactivate   w2           ok")
    lines = capfd.readouterr().err.splitlines()
    assert [line.startswith("activate") for line in lines] == [True, False]


def test_what_ended_quietly_gets_no_line(capfd):
    with progress() as listener:
        Events(listener).emit("join", "unchanged", "w1", quiet=True)
        Events(listener).emit("join", "ok", "w2")
    assert [line.split()[:3] for line in capfd.readouterr().err.splitlines()] == [["join", "w2", "ok"]]


def test_only_the_console_writes():
    """Else somebody prints what no one made plain."""
    folder = Path(console.__file__).parent
    writers = [file.name for file in folder.glob("*.py") if writes(file.read_text())]
    assert writers == []


def writes(source: str) -> bool:
    return any(word in source for word in (" print(", "sys.stdout.write", "sys.stderr.write"))


def test_control_a_module_that_writes_is_seen():
    assert writes("def f():\n    print(1)")
    assert not writes("def f():\n    console.print(1)")


READER_IS_GONE = """
import sys
from slipway.cli.console import print_table, progress, say, tell
from slipway.cli.main import guarded
from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.ssh.pool import for_each

reached = []

def app():
    with progress() as listener:
        events = Events(listener)
        def confirm(name):
            for _ in range(300):
                events.emit("activate", "ok", name, text="x" * 400)
            reached.append(name)
        for_each(confirm, ["w1", "w2", "w3"])
    say("x" * 400)
    tell("x" * 100_000)
    print_table(("node",), [(name,) for name in reached])
    raise DeployFailed("w4 did not")

code = guarded(app, debug=False)
open(sys.argv[1], "w").write(f"{code} {sorted(reached)}")
"""


def test_a_reader_that_is_gone_stops_no_node_and_changes_no_exit_code(tmp_path):
    """`slipway deploy 2>&1 | head -1`."""
    result = tmp_path / "result"
    argv = [sys.executable, "-c", READER_IS_GONE, str(result)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        process.stdout.close()
        process.wait(30)
    assert result.read_text() == "6 ['w1', 'w2', 'w3']"


def test_a_result_that_meets_a_full_disk_is_an_error(monkeypatch):
    full = Path("/dev/full").open("w")  # noqa: SIM115 (closing it raises again)
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(OSError, match="No space left"):
        print_json({"a": 1})
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_json_is_alone_on_standard_output(capfd):
    print_json({"a": 1})
    assert json.loads(capfd.readouterr().out) == {"a": 1}


@pytest.mark.parametrize("columns", ["60", "100"])
def test_a_pipe_has_each_row_on_a_line_with_every_word_whole(capfd, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    system, why = "/nix/store/" + "a" * 32 + "-nixos-system-cp1-26.05", "because " * 30
    print_table(("node", "system", "why"), [("w1", system, why.strip())])
    assert [line.split() for line in capfd.readouterr().out.splitlines()] == [
        ["node", "system", "why"],
        ["w1", system, *why.split()],
    ]


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_a_terminal_folds_between_words_and_cuts_none(monkeypatch, columns):
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=columns, highlight=False, markup=False, emoji=False)
    monkeypatch.setattr(console, "stdout", lambda: terminal)
    head = ("node", "role", "address", "deploy", "verified", "Kubernetes", "next")
    row = ("cp1", "controller", "10.0.0.11", "never", "never", "unknown", "slipway deploy cp1, and then verify it")
    print_table(head, [row])
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    assert {*head, *" ".join(row).split()} <= set(text.split())
    if columns == 100:
        assert max(map(len, text.splitlines())) <= columns, "what fits is not made wider"


def test_no_line_of_a_piped_table_ends_in_blanks(capfd):
    print_table(("node", "why"), [("w1", ""), ("w2", "a longer reason"), ("w3", None)], title="nodes")
    told = capfd.readouterr().out
    assert told.splitlines() == ["nodes", "node  why", "w1", "w2    a longer reason", "w3"]


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
    assert capfd.readouterr().err == "waiting    for build (0 s): 2 of 3\n"


def test_a_pipe_is_told_no_more_of_what_is_waited_for_than_somebody_reads(capfd, monkeypatch):
    monkeypatch.setattr(console, "STILL_ALIVE", -1.0)
    with progress() as listener:
        Events(listener).emit("handoff", "progress", text="gitea:\n" + "x" * 1000)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("waiting    for handoff (0 s): gitea: xxx")
    assert line.endswith("x ...")
    assert len(line) < 300


def test_a_pipe_is_told_who_hangs_also_while_nothing_happens(capfd, monkeypatch):
    monkeypatch.setattr(console, "STILL_ALIVE", 0.05)
    monkeypatch.setattr(console, "LOOK_AROUND", 0.05)
    with progress() as listener:
        events = Events(listener)
        for name in ("w1", "w2", "w3"):
            events.emit("copy", "started", name)
        events.emit("copy", "done", "w2")
        said = ""
        for _ in range(600):
            said += capfd.readouterr().err
            if found := re.search(r"^waiting    for copy w1 \(\d+ s\), copy w3 \(\d+ s\)$", said, re.MULTILINE):
                break
            time.sleep(0.1)
    assert found, said
    assert re.search("^copy +w2 +done", said, re.MULTILINE)


ON_A_TERMINAL = """
import sys, time
from slipway.cli.console import progress
from slipway.events import Events

with progress() as listener:
    events = Events(listener)
    for number in range(100):
        events.emit("activate", "started", f"w{number}")
    for number in range(90):
        events.emit("activate", "ok", f"w{number}")
    events.emit("activate", "rolled-back", "w90", reason="no confirmation")
    time.sleep(3)
"""


def test_a_terminal_has_a_table_that_fits_and_lines_for_what_did_not_go_well():
    """A hundred nodes on a screen of 24 lines."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", ON_A_TERMINAL], {**os.environ, "TERM": "xterm", "LINES": "24"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    said = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            said += chunk
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
    assert "9 nodes: w91 w92 w93 w94 w95 and 4 more" in text
    assert "90 ok, 1 rolled-back" in text
    assert text.count("rolled-back") >= 2 and "no confirmation" in text
    assert "w42" not in text, "what went well is a number"


ASKED = """
import time
from slipway.cli.console import progress
from slipway.cli.locked import agree
from slipway.events import Events

with progress() as listener:
    Events(listener).emit("drain", "started", "w1")
    time.sleep(2)
    agree(["w1: its Node"], "Remove w1?", yes=False)
    time.sleep(2)
"""


def test_nothing_is_drawn_over_a_question():
    """The table goes on once it is answered."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", ASKED], {**os.environ, "TERM": "xterm", "LINES": "24"})
    said, at = b"", 0
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            said += chunk
            if not at and b"[y/N]" in said:
                at = said.index(b"[y/N]")
                time.sleep(1.5)
                os.write(terminal, b"y\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    question, _, after = said[at:].partition(b"y\r\n")
    assert b"\x1b" not in question, "while it waits for the answer"
    assert b"drain" in said[:at] and b"drain" in after


def test_a_long_line_stays_one_line_in_a_pipe(capfd):
    with progress() as listener:
        Events(listener).emit("handoff", "ok", text="word " * 60)
    assert len(capfd.readouterr().err.splitlines()) == 1
