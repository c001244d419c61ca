"""The lock between processes; the holder here is a real one."""

import getpass
import signal
import subprocess
import sys

import pytest

from slipway.errors import LockedByAnother
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
    holder.wait(10)
    with lock.hold(tmp_path):
        pass


def test_the_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with lock.hold(tmp_path):
            assert (tmp_path / ".slipway" / "lock").read_text().startswith('{"pid"')
