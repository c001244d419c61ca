"""Faults of machines, as `slipway lab fault` makes them: each is seen from outside, and over when it was taken back."""

import json
import sys
import time

import pytest
from tests.lab.harness import eventually

from slipway.errors import Unreachable, UsageError
from slipway.lab import faults
from slipway.lab.reach import remote
from slipway.lab.settings import Fault
from slipway.lab.status import Power, answers, status
from slipway.result import CommandTimedOut
from slipway.tools.run import run

pytestmark = pytest.mark.lab

BOOT_ID = "/proc/sys/kernel/random/boot_id"
SYSTEM = "/nix/var/nix/profiles/system/bin/switch-to-configuration"


@pytest.fixture(autouse=True)
def mended(machine):
    yield
    faults.end(machine)


def sh(machine, script: str, timeout: float = 30.0) -> str:
    host = remote(machine)
    try:
        return host.run(["sh", "-c", script], timeout=timeout).stdout.strip()
    finally:
        host.close()


def shown(machine) -> tuple[Fault, ...]:
    (found,) = status(machine.lab)
    return found.faults


def slipway(*words: str):
    return run([sys.executable, "-m", "slipway.cli", "lab", "fault", *words], check=False, timeout=120)


def test_cut_network(machine):
    faults.begin(machine, Fault.CUT_NETWORK)
    assert not answers(machine.address)
    assert shown(machine) == (Fault.CUT_NETWORK,)
    assert faults.end(machine) == (Fault.CUT_NETWORK,)
    assert answers(machine.address)
    assert shown(machine) == ()


def test_kill(machine):
    before = sh(machine, f"cat {BOOT_ID}")
    faults.begin(machine, Fault.KILL)
    assert [found.power for found in status(machine.lab)] == [Power.OFF]
    with pytest.raises(UsageError, match="is off"):
        faults.begin(machine, Fault.FREEZE)
    faults.end(machine)
    assert sh(machine, f"cat {BOOT_ID}") != before


def test_freeze(machine):
    before = sh(machine, f"cat {BOOT_ID}")
    faults.begin(machine, Fault.FREEZE)
    assert not answers(machine.address)
    assert shown(machine) == (Fault.FREEZE,)
    faults.end(machine)
    assert sh(machine, f"cat {BOOT_ID}") == before


def test_a_frozen_machine_loses_its_power_like_any_other(machine):
    faults.begin(machine, Fault.FREEZE)
    faults.begin(machine, Fault.KILL)
    assert faults.end(machine) == (Fault.KILL,)
    assert shown(machine) == ()


def test_hang_activation(machine):
    faults.begin(machine, Fault.HANG_ACTIVATION)
    with pytest.raises(CommandTimedOut):
        sh(machine, f"exec {SYSTEM} test", timeout=3)
    eventually(lambda: sh(machine, "ls /run/slipway-lab/hangs"), "the activation that hangs")
    assert shown(machine) == (Fault.HANG_ACTIVATION,)
    faults.end(machine)
    wait_for_end_of_activation(machine)
    sh(machine, f"{SYSTEM} test")


def wait_for_end_of_activation(machine) -> None:
    sh(machine, "flock -w 20 /run/nixos/switch-to-configuration.lock true")


def test_fill_disk(machine):
    write = "dd if=/dev/zero of=/root/large bs=1M count=8 conv=fsync 2>&1; rm -f /root/large"
    assert "No space left" not in sh(machine, write)
    before = machine.image.stat().st_blocks
    faults.begin(machine, Fault.FILL_DISK)
    assert "No space left on device" in sh(machine, write)
    assert shown(machine) == (Fault.FILL_DISK,)
    assert (machine.image.stat().st_blocks - before) * 512 < 2**28, "the host's disk is not filled"
    faults.end(machine)
    assert "No space left" not in sh(machine, write)


def test_fill_run(machine):
    write = "dd if=/dev/zero of=/run/large bs=64K count=4 2>&1; rm -f /run/large"
    before = sh(machine, "df --output=size /run")
    faults.begin(machine, Fault.FILL_RUN)
    assert "No space left on device" in sh(machine, write)
    assert shown(machine) == (Fault.FILL_RUN,)
    faults.end(machine)
    assert "No space left" not in sh(machine, write)
    assert sh(machine, "df --output=size /run") == before


def test_slow_link(machine):
    transfer = "head -c 200000 /dev/urandom"
    faults.begin(machine, Fault.SLOW_LINK)
    with pytest.raises((CommandTimedOut, Unreachable)):
        sh(machine, transfer + " | base64", timeout=2)
    assert shown(machine) == (Fault.SLOW_LINK,)
    faults.end(machine)
    assert len(sh(machine, transfer + " | base64")) > 200000


def test_emergency(machine):
    before = sh(machine, f"cat {BOOT_ID}")
    faults.begin(machine, Fault.EMERGENCY)
    assert not answers(machine.address)
    assert shown(machine) == (Fault.EMERGENCY,)
    faults.end(machine)
    assert sh(machine, f"cat {BOOT_ID}; systemctl is-active emergency.target || true") == f"{before}\ninactive"


def test_oom(machine):
    # What tail keeps of it is memory of this machine.
    hungry = "head -c 300M /dev/zero | tail | wc -c"
    assert sh(machine, hungry) == str(300 * 2**20)
    faults.begin(machine, Fault.OOM)
    assert sh(machine, "tail /dev/zero; echo $?").splitlines()[-1] == "137"
    assert answers(machine.address)
    assert shown(machine) == (Fault.OOM,)
    faults.end(machine)
    assert sh(machine, hungry) == str(300 * 2**20)


class TestCommand:
    def test_for_some_time(self, machine):
        began = time.monotonic()
        ran = slipway(machine.name, "freeze", "--for", "0.5", "--json", f"--lab={machine.lab.number}")
        assert json.loads(ran.stdout) == {"node": machine.name, "on": [], "ended": ["freeze"]}
        assert time.monotonic() - began > 0.5
        assert faults.on(machine) == ()

    def test_until_it_is_taken_back(self, machine):
        lab = f"--lab={machine.lab.number}"
        assert slipway(machine.name, "fill-run", lab).exit_code == 0
        assert slipway(machine.name, "slow-link", lab).exit_code == 0
        assert set(faults.on(machine)) == {Fault.FILL_RUN, Fault.SLOW_LINK}
        ran = slipway(machine.name, "none", "--json", lab)
        assert json.loads(ran.stdout) == {"node": machine.name, "on": [], "ended": ["fill-run", "slow-link"]}
        assert json.loads(slipway(machine.name, "none", "--json", lab).stdout)["ended"] == []

    def test_mistakes(self, machine):
        lab = f"--lab={machine.lab.number}"
        for words, said in {
            (machine.name, "flood", lab): "flood: no such fault",
            ("w99", "kill", lab): "w99: no such machine",
            (machine.name, "none", "--for", "3", lab): "takes back at once",
        }.items():
            ran = slipway(*words)
            assert ran.exit_code == 2, ran.stderr
            assert said in ran.stderr
