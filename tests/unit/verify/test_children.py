"""Children end with their work, their time, or their master; tried in a process of its own, since it forks."""

import os
import subprocess
import sys
import textwrap

import pytest

BEGIN = """
import os, socket, sys, time
from slipway.verify.children import Children
from slipway.verify.wire import Line
ours, theirs = socket.socketpair()
def children(limit, bound):
    return Children(Line(theirs), limit=limit, bound=bound)
def tell(text):
    os.write(1, f"{text}\\n".encode())
"""


def run(text: str) -> subprocess.CompletedProcess[str]:
    script = BEGIN + textwrap.dedent(text)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def test_all_work_is_done_and_no_more_than_the_limit_at_once():
    done = run(
        """
        few = children(limit=2, bound=30)
        for number in range(5):
            few.start(lambda number=number: (tell(f"begin {number}"), time.sleep(0.1), tell(f"end {number}")))
        few.wait()
        tell("over")
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "over"
    assert sorted(lines[:-1]) == sorted(f"{what} {number}" for what in ("begin", "end") for number in range(5))
    at_once = [sum(1 if line.startswith("begin") else -1 for line in lines[: end + 1]) for end in range(len(lines) - 1)]
    assert max(at_once) <= 2


def test_a_child_that_takes_too_long_is_ended_and_one_that_fails_is_buried():
    done = run(
        """
        few = children(limit=4, bound=0.5)
        few.start(lambda: time.sleep(60))
        few.start(lambda: 1 / 0)
        few.wait()
        tell("over")
        """
    )
    assert (done.returncode, done.stdout) == (0, "over\n")


def test_when_the_master_goes_so_do_the_children():
    done = run(
        """
        few = children(limit=4, bound=60)
        for _ in range(3):
            few.start(lambda: (tell(os.getpid()), time.sleep(60)))
        time.sleep(4)
        ours.shutdown(socket.SHUT_RDWR)
        few.wait()
        tell("never said")
        """
    )
    assert done.returncode == 1
    pids = [int(line) for line in done.stdout.splitlines()]
    assert len(pids) == 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
