"""The lock between processes; the holder here is a real one."""

import getpass
import signal
import subprocess
import sys

import pytest

from slipway import inside
from slipway.errors import InvalidInput, LockedByAnother
from slipway.rollout import lock

HOLD = """
import sys, time
from pathlib import Path
from slipway.rollout import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_whoever_comes_second_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(LockedByAnother) as caught, lock.hold(tmp_path):
        pytest.fail("two at a time")
    assert f"process {holder.pid} of {getpass.getuser()} on" in str(caught.value)
    assert caught.value.exit_code == 11


def test_a_holder_that_died_holds_nothing(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    with lock.hold(tmp_path):
        pass


def test_the_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with lock.hold(tmp_path):
            assert (tmp_path / ".slipway" / "lock").read_text().startswith('{"pid"')


def test_a_symlink_that_comes_after_the_look_is_not_followed(tmp_path, monkeypatch):
    """Between the look and the opening somebody else may work in the folder."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    look = inside.place

    def place(root, name):
        found = look(root, name)
        if name == "lock":
            found.symlink_to(victim)
        return found

    monkeypatch.setattr(inside, "place", place)
    with pytest.raises(InvalidInput, match="no lock can be held there"), lock.hold(tmp_path):
        pass
    assert victim.read_text() == "precious"
