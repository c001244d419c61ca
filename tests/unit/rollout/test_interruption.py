"""Real signals to this very process."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.unit.soon import soon

from slipway.rollout.interruption import Interruption
from slipway.tools import run


@pytest.fixture
def cut(monkeypatch):
    monkeypatch.setattr(run, "_stopped", threading.Event())
    return []


@pytest.fixture
def said():
    return []


@pytest.fixture
def interruption(cut, said):
    return Interruption(lambda: cut.append("cut"), said.append)


def hit(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_outside_the_shelter_all_ends_at_once(interruption, cut, said, number):
    with pytest.raises(KeyboardInterrupt), interruption.heard():
        hit(number)
    assert cut == ["cut"]
    assert said == ["interrupted: what is under way is ended"], "said before anything is waited for"
    assert run._stopped.is_set()


def test_in_the_shelter_what_has_begun_ends_first(interruption, cut, said):
    reached = []
    with pytest.raises(KeyboardInterrupt), interruption.heard(), interruption.sheltered():
        hit()
        reached.append("end of the block")
        assert (interruption.asked, interruption.insisted) == (True, False)
    assert reached == ["end of the block"]
    assert cut == []
    assert "brought to its end" in said[0]


def test_the_second_one_cuts_and_still_lets_the_results_come(interruption, cut):
    reached = []
    with pytest.raises(KeyboardInterrupt), interruption.heard(), interruption.sheltered():
        hit()
        hit()
        reached.append("end of the block")
        assert interruption.insisted
    assert reached == ["end of the block"]
    assert cut == ["cut"]


def test_the_third_one_is_the_last(interruption):
    with pytest.raises(KeyboardInterrupt), interruption.heard(), interruption.sheltered():
        hit()
        hit()
        hit()
        pytest.fail("still there")


def test_afterwards_signals_do_what_they_did_before(interruption):
    before = signal.getsignal(signal.SIGTERM)
    with interruption.heard():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_without_a_signal_nothing_happens(interruption, cut):
    with interruption.heard(), interruption.sheltered():
        pass
    assert (cut, interruption.asked) == ([], False)


TERMINAL_GONE = """
import sys
from slipway.rollout.interruption import Interruption
from slipway.tools.run import run
with Interruption(lambda: None, print).heard():
    run(["sh", "-c", 'echo $$ >"$1"; exec sleep 60', "sh", sys.argv[1]], timeout=100)
"""


@pytest.mark.parametrize("before", [[], ["nohup"]], ids=["as it is", "nohup"])
def test_no_program_is_left_behind_when_the_terminal_goes(tmp_path, before):
    pid = tmp_path / "pid"
    argv = [*before, sys.executable, "-c", TERMINAL_GONE, str(pid)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        child = soon(lambda: pid.exists() and pid.read_text().strip())
        process.send_signal(signal.SIGHUP)
        if before:
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert soon(lambda: is_gone(int(child)))


def is_gone(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
