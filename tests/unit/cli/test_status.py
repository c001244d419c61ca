"""`slipway status --watch` as a process: drawn anew on a terminal, a line a round on a pipe, until Ctrl-C."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.cli.two_hosts import INVENTORY

from slipway.errors import Interrupted

ARGV = (sys.executable, "-m", "slipway.cli", "status", "--watch", "--quick", "--interval", "1")
WITHIN = 120.0
CLEARED = b"\x1b[2J"


@pytest.fixture
def repository(tmp_path):
    """Nobody's keys are pinned, so that no node is asked anything."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user="root", port=1))
    return tmp_path


@contextmanager
def on_a_terminal(repository: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    about = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(ARGV, cwd=repository, env=about, preexec_fn=lambda: os.login_tty(theirs))
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, enough: Callable[[bytes], bool]) -> bytes:
    """What is shown until it is enough, or until nobody has the terminal's other end any more."""
    said = b""
    deadline = time.monotonic() + WITHIN
    while not enough(said):
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], said
        try:
            said += os.read(terminal, 4096)
        except OSError:
            return said
    return said


def test_a_terminal_is_drawn_anew_until_ctrl_c(repository):
    with on_a_terminal(repository) as (process, terminal):
        said = read_until(terminal, lambda said: said.count(CLEARED) > 1 and said.count(b"Ctrl-C ends it") > 1)
        os.write(terminal, b"\x03")
        left = read_until(terminal, lambda _said: False)
        assert process.wait(WITHIN) == Interrupted.exit_code == 130
    whole = said.split(CLEARED)[1]
    assert b"nodes 0/2, gate shut" in whole
    assert b"w1" in whole
    assert b"Traceback" not in said + left


def test_a_pipe_gets_a_line_of_json_for_each_round(repository):
    process = subprocess.Popen(
        [*ARGV, "--json"],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        rounds = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=WITHIN)
    finally:
        process.kill()
        process.wait()
    assert [each["summary"] for each in rounds] == ["nodes 0/2, gate shut"] * 2
    assert process.returncode == Interrupted.exit_code
    assert all(json.loads(line) for line in rest.splitlines())
    assert "Traceback" not in said


def test_what_renders_templates_and_builds_systems_is_imported_only_where_it_is_used():
    code = "import sys; import slipway.cli.verify; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "slipway.verify.gate" in loaded
    assert not loaded & {"jinja2", "slipway.rollout.phases"}
