"""The lab's machines: up, faults, down; nothing of theirs stays behind."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.lab.harness import without_cable

from slipway.errors import LockedByAnother, Unreachable
from slipway.events import Event, Events
from slipway.lab import machines, nspawn, state, stores, supplies
from slipway.lab.reach import DidNotBoot, remote, wait_reachable
from slipway.lab.settings import Lab
from slipway.lab.status import Power, status
from slipway.result import CommandTimedOut
from slipway.tools.run import run

pytestmark = pytest.mark.lab

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def on(machine, *words: str) -> str:
    host = remote(machine)
    try:
        return host.run(words).stdout.strip()
    finally:
        host.close()


def child(pid: int) -> int:
    return int(run(["ps", "--no-headers", "-o", "pid", "--ppid", str(pid)]).stdout.split()[0])


class TestOneMachine:
    def test_starts_with_a_system_and_no_failed_unit(self, machine):
        (found,) = status(machine.lab)
        assert found.power is Power.UP
        assert found.system is not None
        assert found.system == on(machine, "readlink", "-f", "/nix/var/nix/profiles/system")
        assert on(machine, "systemctl", "--failed", "--no-legend") == ""
        assert on(machine, "hostname") == machine.name

    def test_up_again_leaves_it_as_it_is(self, machine):
        before, seen = nspawn.leader(machine), list[Event]()
        machines.up(machine.lab, Events(seen.append))
        assert nspawn.leader(machine) == before
        assert [event.state for event in seen if event.phase == "boot"] == ["unchanged"]

    def test_a_power_cut_loses_nothing_that_was_written(self, machine):
        first = on(machine, "cat", BOOT_ID)
        on(machine, "sh", "-c", "echo kept >/root/kept; sync")
        machines.power_cut(machine)
        assert [found.power for found in status(machine.lab)] == [Power.OFF]
        machines.start(machine)
        assert on(machine, "cat", "/root/kept") == "kept"
        assert on(machine, "cat", BOOT_ID) != first

    def test_the_images_folder_is_its_own_to_change_and_shows_what_the_lab_gets(self, machine):
        cached = machine.lab.images
        mode = cached.stat().st_mode
        on(machine, "sh", "-c", "ls /var/lib/k0s/images; chmod 0700 /var/lib/k0s/images; touch /var/lib/k0s/images/own")
        late = cached / "late.test"
        late.touch()
        try:
            assert {"own", "late.test"} <= set(on(machine, "ls", "/var/lib/k0s/images").split())
        finally:
            late.unlink()
        assert on(machine, "stat", "-c", "%a", "/var/lib/k0s/images") == "700"
        assert cached.stat().st_mode == mode
        assert not (cached / "own").exists()

    def test_a_reset_of_k0s_leaves_the_images(self, made, machine):
        supplies.stock([machine], Events())
        before, prepared = on(machine, "ls", "/var/lib/k0s/images"), everything_in(stores.home())
        assert on(machine, "ls", "/var/lib/k0s/containerd/io.containerd.metadata.v1.bolt") == "meta.db"
        on(machine, "touch", "/var/lib/k0s/kubelet.conf")
        on(machine, "/opt/slipway-lab/bin/k0s", "reset")
        assert on(machine, "ls", "-A", "/var/lib/k0s").split() == ["containerd", "images"]
        assert before
        assert on(machine, "ls", "/var/lib/k0s/images") == before
        assert on(machine, "ls", "-A", "/var/lib/k0s/containerd") == ""
        assert everything_in(stores.home()) == prepared, "what other machines get is as it was"

    def test_reboots_in_order_when_asked_from_outside(self, machine):
        first = on(machine, "cat", BOOT_ID)
        machines.reboot(machine)
        assert on(machine, "cat", BOOT_ID) != first

    def test_reboots_when_asked_from_inside(self, machine):
        first, leader = on(machine, "cat", BOOT_ID), nspawn.leader(machine)
        host = remote(machine)
        # The connection may end before the answer comes.
        with contextlib.suppress(Unreachable):
            host.run(["systemctl", "reboot"])
        host.close()
        wait_for(lambda: nspawn.leader(machine) not in (None, leader))
        wait_reachable(machine)
        assert on(machine, "cat", BOOT_ID) != first

    def test_boots_into_the_boot_default_whatever_was_active(self, machine):
        default = on(machine, "readlink", "-f", "/boot/default")
        on(
            machine,
            "sh",
            "-c",
            "rm /etc/hostname; echo other >/etc/hostname; ln -sfn /nowhere /run/current-system; sync",
        )
        machines.power_cut(machine)
        machines.start(machine)
        assert on(machine, "readlink", "/run/current-system") == default
        assert on(machine, "cat", "/etc/hostname") == machine.name

    def test_without_its_cable_it_runs_on_and_cannot_be_reached(self, machine):
        with without_cable(machine):
            assert [found.power for found in status(machine.lab)] == [Power.BOOTING]
        wait_reachable(machine)

    def test_a_killed_nspawn_is_seen_and_up_starts_the_machine_anew_on_its_disk(self, machine):
        on(machine, "sh", "-c", "echo again >/root/again; sync")
        keeper = nspawn.pid(machine)
        assert keeper is not None
        os.kill(child(keeper), signal.SIGKILL)
        wait_for(lambda: nspawn.pid(machine) is None)
        assert [found.power for found in status(machine.lab)] == [Power.OFF]
        machines.up(machine.lab, Events())
        assert on(machine, "cat", "/root/again") == "again"

    def test_a_machine_that_cannot_boot_says_so_with_its_last_words(self, machine):
        machines.power_cut(machine)
        init = machine.root / "usr/lib/slipway-lab/init"
        good = init.read_text()
        init.write_text("#!/bin/sh\necho no system here\n")
        try:
            with pytest.raises(DidNotBoot, match="no system here"):
                machines.start(machine)
        finally:
            init.write_text(good)
        machines.start(machine)

    def test_its_processes_lie_in_a_control_group_of_its_own(self, machine):
        leader = nspawn.leader(machine)
        groups = [line.split(":", 2) for line in run(["cat", f"/proc/{leader}/cgroup"]).stdout.splitlines()]
        controllers = {name: path for _, name, path in groups}
        assert all(path.startswith(f"/{machine.cgroup}") for path in controllers.values())
        (found,) = status(machine.lab)
        assert found.memory


class TestDown:
    def test_leaves_nothing_behind(self, own_lab):
        machines.up(own_lab, Events(), controllers=1, workers=1)
        assert {line.partition(":")[0] for line in traces_on_host(own_lab)} == {
            "mount", "link", "route", "process", "group", "file", "note",
        }, "control: what the next assertion looks for can be found"  # fmt: skip
        machines.down(own_lab, Events())
        assert traces_on_host(own_lab) == []

    def test_after_kills_and_a_lost_record(self, own_lab):
        first, second = machines.up(own_lab, Events(), controllers=1, workers=1)
        keeper = nspawn.pid(first)
        assert keeper is not None
        os.kill(child(keeper), signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        (second.folder / "machine.json").unlink()
        second.pid_file.unlink()
        machines.down(own_lab, Events())
        assert traces_on_host(own_lab) == []

    @pytest.mark.parametrize("seconds", [0.5, 0.8, 1.2, 2.0])
    def test_after_an_up_that_was_killed(self, own_lab, seconds):
        program = (
            "from slipway.lab import machines; from slipway.lab.settings import Lab; from slipway.events import Events;"
            f"machines.up(Lab({own_lab.number}), Events(), controllers=1, workers=1)"
        )
        with contextlib.suppress(CommandTimedOut):
            run([sys.executable, "-c", program], timeout=seconds)
        machines.down(own_lab, Events())
        assert traces_on_host(own_lab) == []

    def test_an_up_that_was_killed_can_be_finished(self, own_lab):
        (alone,) = machines.up(own_lab, Events(), controllers=1, workers=0)
        machines.power_cut(alone)
        (alone.folder / "machine.json").unlink()
        machines.up(own_lab, Events(), controllers=1, workers=0)
        assert [found.power for found in status(own_lab)] == [Power.UP]

    def test_with_keep_the_disks_stay_and_up_goes_on_with_them(self, own_lab):
        (alone,) = machines.up(own_lab, Events(), controllers=1, workers=0)
        on(alone, "sh", "-c", "echo kept >/root/kept")
        machines.down(own_lab, Events(), keep=True)
        assert {line.partition(":")[0] for line in traces_on_host(own_lab)} == {"file"}
        machines.up(own_lab, Events())
        assert on(alone, "cat", "/root/kept") == "kept"

    def test_a_lab_made_anew_has_the_keys_that_repositories_pinned(self, own_lab):
        machines.up(own_lab, Events(), controllers=1, workers=0)
        before = own_lab.known_hosts.read_text(), own_lab.identity.read_text()
        machines.down(own_lab, Events())
        machines.up(own_lab, Events(), controllers=1, workers=0)
        assert (own_lab.known_hosts.read_text(), own_lab.identity.read_text()) == before

    def test_one_command_at_a_time(self, own_lab):
        with state.locked(own_lab), pytest.raises(LockedByAnother):
            machines.up(own_lab, Events())


def everything_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time of change of all files and folders."""
    states = {str(path): path.lstat() for path in folder.rglob("*")}
    return {path: (state.st_mode, state.st_size, state.st_mtime_ns) for path, state in states.items()}


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def traces_on_host(lab: Lab) -> list[str]:
    """What the lab has on this host: mounts, links, processes, control groups, files. Asked of the host's own tools."""
    machine_names = [f"{lab.number}-{name}" for name in ("cp1", "w1")]
    found = {
        "mount": run(["findmnt", "--list", "--noheadings", "--output", "TARGET"]).stdout,
        "link": run(["ip", "-brief", "link"]).stdout,
        "route": run(["ip", "route"]).stdout,
        "process": run(["ps", "-eww", "-o", "stat=,args="]).stdout,
        "group": run(["find", "/sys/fs/cgroup", "-type", "d", "-name", f"{lab.name}*"], check=False).stdout,
        "file": run(["find", "/var/lib", "/run", "-maxdepth", "4", "-name", f"{lab.name}*"], check=False).stdout,
        "note": run(["find", "/run/systemd/nspawn", "-mindepth", "2"], check=False).stdout,
    }
    words = (str(lab.state), f"{lab.name}", f"{lab.bridge} ", f"{lab.bridge}\n", str(lab.subnet), *machine_names)
    return [
        f"{kind}: {line}"
        for kind, text in found.items()
        for line in text.splitlines()
        # A dead process stays listed until its parent has asked for its exit code.
        if any(word in f"{line}\n" for word in words) and not line.startswith("Z")
    ]
