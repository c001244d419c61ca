"""What goes wrong with machines, made on purpose and taken back; from the host, since a broken machine cannot help."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import UsageError
from slipway.lab import cgroups, machines, network, nspawn, state
from slipway.lab.reach import wait_reachable
from slipway.lab.settings import Fault, Machine
from slipway.tools.run import run
from slipway.wait import wait_until

SLOW = ("rate", "512kbit", "burst", "16kb", "latency", "400ms")
"""tc-tbf(8): some 60 kB a second each way, and packets that wait longer than that are lost."""
HEADROOM = 2**25
"""Bytes that a machine short of memory still gets."""
EMERGENCY_TIMEOUT = 30.0
_FOLDER = "/run/slipway-lab"
_HANG, _HANGS, _RUN_SIZE = (f"{_FOLDER}/{name}" for name in ("hang-activation", "hangs", "run-size"))
_SHELL = "/run/systemd/system/emergency.service.d/slipway-lab.conf"


def begin(machine: Machine, fault: Fault) -> None:
    """Make it happen; nothing happens where it is on. Raises UsageError for a machine that is off."""
    with state.locked(machine.lab):
        if fault in on(machine):
            return
        if nspawn.leader(machine) is None:
            raise UsageError(f"{machine.name} is off", hint=f"slipway lab fault {machine.name} none")
        _KINDS[fault].begin(machine)


def end(machine: Machine, fault: Fault | None = None) -> tuple[Fault, ...]:
    """Take this one back, or all that are on; the machine can be reached afterwards. Returns what was on.

    Raises DidNotBoot where it cannot be reached in time.
    """
    with state.locked(machine.lab):
        found = tuple(each for each in on(machine) if fault in (None, each))
        for each in found:
            _KINDS[each].end(machine)
        if found and not on(machine):
            wait_reachable(machine)
    return found


def on(machine: Machine) -> tuple[Fault, ...]:
    """What is wrong with the machine now. Nothing runs in it for that."""
    return tuple(fault for fault, kind in _KINDS.items() if kind.seen(machine))


def _seen_kill(machine: Machine) -> bool:
    return nspawn.leader(machine) is None


def _seen_cut(machine: Machine) -> bool:
    flags = Path(f"/sys/class/net/{machine.link}/flags")
    return flags.exists() and not int(flags.read_text(), 16) & 1  # IFF_UP


def _freeze(machine: Machine) -> None:
    cgroups.freeze(machine.cgroup)


def _thaw(machine: Machine) -> None:
    cgroups.thaw(machine.cgroup)


def _is_frozen(machine: Machine) -> bool:
    return cgroups.frozen(machine.cgroup)


# --- activation ------------------------------------------------------------------------------------------------------


def _hang(machine: Machine) -> None:
    """The lab's switch-to-configuration looks for the file: its next activation takes it, and waits until it goes."""
    _write(machine, _HANG, "")


def _unhang(machine: Machine) -> None:
    for path in (_HANG, _HANGS):
        _at(machine, path).unlink(missing_ok=True)


def _hangs(machine: Machine) -> bool:
    return _there(machine, _HANG) or _there(machine, _HANGS)


# --- full file systems -----------------------------------------------------------------------------------------------


def _fill_disk(machine: Machine) -> None:
    """Blocks that are taken and never written: the host's disk keeps what it has."""
    descriptor = os.open(_filling(machine), os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        size, step = 0, os.fstatvfs(descriptor).f_bavail * os.fstatvfs(descriptor).f_frsize
        while step >= 4096:
            try:
                os.posix_fallocate(descriptor, size, step)
                size += step
            except OSError:
                step //= 2
    finally:
        os.close(descriptor)


def _empty_disk(machine: Machine) -> None:
    _filling(machine).unlink(missing_ok=True)


def _filling(machine: Machine) -> Path:
    return machine.disk / "filling"


def _disk_filled(machine: Machine) -> bool:
    return _filling(machine).exists()


def _fill_run(machine: Machine) -> None:
    """A tmpfs that is no larger than what is in it: filling it would take the host's memory."""
    about = os.statvfs(_at(machine, "/run"))
    _write(machine, _RUN_SIZE, str(about.f_blocks * about.f_frsize))
    about = os.statvfs(_at(machine, "/run"))
    _resize_run(machine, (about.f_blocks - about.f_bfree) * about.f_frsize)


def _empty_run(machine: Machine) -> None:
    _resize_run(machine, int(_at(machine, _RUN_SIZE).read_text()))
    _at(machine, _RUN_SIZE).unlink()


def _resize_run(machine: Machine, size: int) -> None:
    _inside(machine, "--mount", "mount", "-o", f"remount,size={size}", "/run")


def _run_filled(machine: Machine) -> bool:
    return _there(machine, _RUN_SIZE)


# --- the rest --------------------------------------------------------------------------------------------------------


def _slow(machine: Machine) -> None:
    run(["tc", "qdisc", "replace", "dev", machine.link, "root", "tbf", *SLOW], timeout=20)
    _inside(machine, "--net", "tc", "qdisc", "replace", "dev", "host0", "root", "tbf", *SLOW)


def _unslow(machine: Machine) -> None:
    run(["tc", "qdisc", "delete", "dev", machine.link, "root"], timeout=20)
    _inside(machine, "--net", "tc", "qdisc", "delete", "dev", "host0", "root")


def _is_slow(machine: Machine) -> bool:
    found = network.exists(machine.link)
    return found and " tbf " in run(["tc", "qdisc", "show", "dev", machine.link], timeout=20).stdout


def _emergency(machine: Machine) -> None:
    """As on a machine whose root is locked: nobody gets a shell at its console, and it stays there."""
    _write(machine, _SHELL, "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\nExecStopPost=\n")
    _systemctl(machine, "daemon-reload")
    _systemctl(machine, "--no-block", "isolate", "emergency.target")

    def arrived() -> tuple[bool | None, str]:
        answer = _systemctl(machine, "is-active", "emergency.service")
        return (True, "") if answer == "active" else (None, answer)

    wait_until(arrived, deadline=EMERGENCY_TIMEOUT, describe=f"{machine.name}: emergency mode", interval=0.2)


def _end_emergency(machine: Machine) -> None:
    _at(machine, _SHELL).unlink()
    _systemctl(machine, "daemon-reload")
    _systemctl(machine, "--no-block", "default")


def _in_emergency(machine: Machine) -> bool:
    return _there(machine, _SHELL)


def _take_memory(machine: Machine) -> None:
    """As much as it needs now and a little more: what asks for much is killed by the kernel."""
    limit = (cgroups.working_set(machine.cgroup) or 0) + HEADROOM
    while not cgroups.memory_limited(machine.cgroup):
        # The kernel refuses a limit that it cannot reach by dropping pages.
        with contextlib.suppress(OSError):
            cgroups.limit_memory(machine.cgroup, limit)
        limit += HEADROOM


def _give_memory(machine: Machine) -> None:
    cgroups.limit_memory(machine.cgroup, None)


def _short_of_memory(machine: Machine) -> bool:
    return cgroups.memory_limited(machine.cgroup)


def _at(machine: Machine, path: str) -> Path:
    found = nspawn.inside(machine, path)
    if found is None:
        raise UsageError(f"{machine.name} is off", hint="slipway lab up")
    return found


def _there(machine: Machine, path: str) -> bool:
    found = nspawn.inside(machine, path)
    return found is not None and found.exists()


def _write(machine: Machine, path: str, text: str) -> None:
    target = _at(machine, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def _inside(machine: Machine, *words: str) -> str:
    return run(["nsenter", f"--target={nspawn.leader(machine)}", *words], timeout=20, check=False).stdout.strip()


def _systemctl(machine: Machine, *words: str) -> str:
    return _inside(machine, "--mount", "--uts", "--ipc", "--net", "--pid", "systemctl", *words)


@dataclass(frozen=True)
class _Kind:
    begin: Callable[[Machine], None]
    end: Callable[[Machine], None]
    seen: Callable[[Machine], bool]


_KINDS: Mapping[Fault, _Kind] = {
    # In the order in which they are taken back: nothing can be done in a machine that is off or frozen.
    Fault.KILL: _Kind(machines.power_cut, machines.start, _seen_kill),
    Fault.FREEZE: _Kind(_freeze, _thaw, _is_frozen),
    Fault.OOM: _Kind(_take_memory, _give_memory, _short_of_memory),
    Fault.FILL_DISK: _Kind(_fill_disk, _empty_disk, _disk_filled),
    Fault.FILL_RUN: _Kind(_fill_run, _empty_run, _run_filled),
    Fault.CUT_NETWORK: _Kind(machines.isolate, machines.rejoin, _seen_cut),
    Fault.SLOW_LINK: _Kind(_slow, _unslow, _is_slow),
    Fault.HANG_ACTIVATION: _Kind(_hang, _unhang, _hangs),
    Fault.EMERGENCY: _Kind(_emergency, _end_emergency, _in_emergency),
}
