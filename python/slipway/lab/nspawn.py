"""One machine as processes: systemd-nspawn on the host and, inside it, the machine's own process 1."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.lab import cgroups, mounts, network
from slipway.lab.settings import IMAGES, PROGRAMS, Machine, lab_cache
from slipway.tools.run import run
from slipway.wait import WaitedTooLong, wait_until

END_TIMEOUT = 5.0
POWER_OFF_TIMEOUT = 20.0
"""Measured: 6 s with pods that ignore TERM."""

_NOTES = Path("/run/systemd/nspawn")

# What systemd as process 1 takes these signals for (systemd(1), SIGNALS).
_POWER_OFF = signal.SIGRTMIN + 4
_REBOOT = signal.SIGRTMIN + 5


def start(machine: Machine, rootfs: Path) -> None:
    """Switch the machine on; what an earlier start left behind is cleared away first."""
    clear(machine)
    mounts.mount_overlay(machine, rootfs)
    for folder in (lab_cache() / "bin", machine.lab.images, machine.changes("images")):
        folder.mkdir(parents=True, exist_ok=True)
    answer = run([*_detached(machine), *command(machine)], env=environment(), timeout=30)
    if pid(machine) is None:
        raise SlipwayError(f"{machine.name}: could not be started: {answer.excerpt()}", hint="slipway lab down")


def _detached(machine: Machine) -> list[str]:
    """What stands before nspawn's command: a session of its own, a keeper that starts it, and its control groups."""
    join, keep = (str(Path(__file__).parent / name) for name in ("join.sh", "keep.sh"))
    outside, inside = (map(str, cgroups.create(group)) for group in (machine.keeper_cgroup, machine.cgroup))
    keeper = ["sh", keep, str(machine.pid_file), str(machine.console)]
    return ["setsid", "--fork", "sh", join, *outside, "--", *keeper, "sh", join, *inside, "--"]


def environment() -> dict[str, str]:
    """Switches of systemd-nspawn that have no option (systemd's docs/ENVIRONMENT.md)."""
    # With plain `1` systemd-networkd waits for udev for ever.
    writable = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    return writable if cgroups.unified_only() else {**writable, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"}


def command(machine: Machine) -> list[str]:
    """The argument list of systemd-nspawn."""
    own = [f"--bind={folder}:{place}" for place, folder in machine.binds.items()]
    return [
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        f"--machine={machine.machine_name}",
        f"--hostname={machine.name}",
        f"--directory={machine.root}",
        f"--network-bridge={machine.lab.bridge}",
        "--capability=all",
        "--system-call-filter=bpf keyctl @keyring",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--kill-signal=SIGRTMIN+3",
        *_from_the_lab(machine),
        *own,
        "/usr/lib/slipway-lab/init",
        machine.name,
    ]


def _from_the_lab(machine: Machine) -> list[str]:
    """Programs of the cache and images of the lab, those of its real k0s above them, the machine's changes on top."""
    programs, images = lab_cache() / "bin", machine.lab.images
    if not machine.lab.k0s.exists():
        return [f"--bind-ro={programs}:{PROGRAMS}", f"--overlay={images}:{machine.changes('images')}:{IMAGES}"]
    real = machine.lab.k0s
    return [
        f"--overlay-ro={programs}:{real / 'bin'}:{PROGRAMS}",
        f"--overlay={images}:{real / 'images'}:{machine.changes('images')}:{IMAGES}",
    ]


def pid(machine: Machine) -> int | None:
    """The machine's running keeper, or None."""
    return kept(machine.pid_file)


def kept(pid_file: Path) -> int | None:
    """The process that keep.sh noted there, if it runs. One that only inherited its number is not it."""
    try:
        number, started = pid_file.read_text().split()
    except (OSError, ValueError):
        return None
    return int(number) if start_time(int(number)) == started else None


def start_time(number: int) -> str | None:
    """When a live process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); None for a dead one."""
    try:
        # The command's name, second field, may hold anything; what follows its last parenthesis is plain.
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def leader(machine: Machine) -> int | None:
    """The host's number of the machine's process 1, or None while there is none: keeper, nspawn, process 1."""
    nspawn = _child(pid(machine))
    return _child(nspawn)


def _child(parent: int | None) -> int | None:
    if parent is None:
        return None
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def inside(machine: Machine, path: str) -> Path | None:
    """A file of the running machine as the host sees it, /run and other mounts included; None while it is off."""
    number = leader(machine)
    return None if number is None else Path(f"/proc/{number}/root") / path.lstrip("/")


def power_cut(machine: Machine) -> None:
    """Switch the machine off as a power cut would: nothing in it gets to say goodbye."""
    _switch_off(machine, signal.SIGKILL, END_TIMEOUT)


def power_off(machine: Machine) -> None:
    """Shut the machine down in order; one that does not finish in time loses its power."""
    _switch_off(machine, _POWER_OFF, POWER_OFF_TIMEOUT)


def request_reboot(machine: Machine) -> None:
    """Ask the machine's systemd for an orderly reboot and wait until it has begun anew. Raises WaitedTooLong."""
    old = leader(machine)
    _signal(old, _REBOOT)

    def anew() -> tuple[int | None, str]:
        now = leader(machine)
        return (now, "") if now not in (None, old) else (None, "shutting down" if now else "restarting")

    wait_until(anew, deadline=POWER_OFF_TIMEOUT, describe=f"{machine.name}: reboot", interval=0.1)


def clear(machine: Machine) -> None:
    """End every process of the machine, then take away its control groups and its cable, if any are left."""
    for group in (machine.keeper_cgroup, machine.cgroup):
        cgroups.end_processes(group)
        cgroups.remove(group)
    network.unplug(machine)
    _forget(machine)


def _forget(machine: Machine) -> None:
    """Remove nspawn's own notes on the machine, which it leaves when it is killed, and ours."""
    with contextlib.suppress(FileNotFoundError):
        root = machine.root.stat()
        (_NOTES / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink()
    with contextlib.suppress(OSError):
        (_NOTES / "propagate" / machine.machine_name).rmdir()
    machine.pid_file.unlink(missing_ok=True)


def _switch_off(machine: Machine, kind: int, deadline: float) -> None:
    """Signal process 1; nspawn ends after it and tidies up. Where it does not, all that is left gets killed."""

    def ended() -> tuple[bool | None, str]:
        return (None, "it runs") if pid(machine) else (True, "")

    cgroups.thaw(machine.cgroup)
    _signal(leader(machine), kind)
    with contextlib.suppress(WaitedTooLong):
        wait_until(ended, deadline=deadline, describe=f"{machine.name}: end of its processes", interval=0.1)
    clear(machine)


def _signal(number: int | None, kind: int) -> None:
    if number is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, kind)
