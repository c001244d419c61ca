"""Real signals to this very process."""

import os
import signal
import threading

import pytest

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_outside_the_shelter_all_ends_at_once(interruption, cut, number):
    with pytest.raises(KeyboardInterrupt), interruption.heard():
        hit(number)
    assert cut == ["cut"]
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
