"""The lab's machines: all of them up, down, and single ones through the faults that tests need."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipway.errors import LockedByAnother, SlipwayError, UsageError
from slipway.events import Events
from slipway.lab import cgroups, furnish, installed, keys, limits, mounts, network, nspawn, prerequisites, rootfs
from slipway.lab.settings import Lab, LabRole, Machine
from slipway.result import CommandTimedOut
from slipway.tools.run import run
from slipway.wait import WaitedTooLong, wait_until

BOOT_TIMEOUT = 90.0
"""Seconds from switching on to the first SSH command; 1.5 s alone on an idle machine."""
DEFAULT_CONTROLLERS = 1
DEFAULT_WORKERS = 2
_CONSOLE_LINES = 15
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class DidNotBoot(SlipwayError):
    """A machine was switched on and cannot be reached; the message ends with its last words."""


@dataclass(frozen=True)
class Recorded:
    """A machine that exists, and the root file system that its disk was begun on."""

    machine: Machine
    rootfs: Path


def up(lab: Lab, events: Events, *, controllers: int | None = None, workers: int | None = None) -> tuple[Machine, ...]:
    """Bring the lab's machines up, in parallel; those that are up stay as they are.

    Without numbers: the machines that the lab has, or one controller and two workers. Returns all machines of the
    lab. Raises PrerequisiteMissing, UsageError, LockedByAnother, DidNotBoot.
    """
    prerequisites.check_host()
    with _locked(lab):
        machines = _wanted(lab, controllers, workers)
        new = [machine.name for machine in machines if not _record(machine).exists()]
        recipe = rootfs.Recipe()
        prerequisites.check_room(lab.state, new, rootfs_made=recipe.path.exists())
        network.check_free(lab)
        base = rootfs.ensure(recipe, events)
        keys.ensure(lab, machines)
        limits.raise_limits()
        network.up(lab)
        _each(partial(_bring_up, base=base, events=events), machines)
    return machines


def down(lab: Lab, events: Events, *, keep: bool = False) -> None:
    """Take the lab away, whatever state it is in; with `keep` its disks and keys stay and `up` goes on with them."""
    with _locked(lab):
        _each(partial(_switch_off, orderly=keep, events=events), [entry.machine for entry in recorded(lab)])
        # A start that was interrupted left no record: what it started is found by its control group.
        cgroups.end_processes(lab.name)
        cgroups.remove(lab.name)
        mounts.unmount_below(lab.state)
        network.down(lab)
        if not keep:
            shutil.rmtree(lab.state, ignore_errors=False) if lab.state.exists() else None
        limits.restore_limits(lab)
    lab.lock.unlink(missing_ok=True)


def recorded(lab: Lab) -> tuple[Recorded, ...]:
    """The machines that exist, up or not: controllers first, each in the order of its address."""
    found = [_read(path) for path in (lab.state / "nodes").glob("*/machine.json")]
    order = {role: place for place, role in enumerate(LabRole)}
    return tuple(sorted(found, key=lambda entry: (order[entry.machine.role], _last_number(entry.machine.address))))


def _last_number(address: str) -> int:
    return int(address.rpartition(".")[2])


def find(lab: Lab, name: str) -> Machine:
    """The machine of that name. Raises UsageError with the names that there are."""
    known = {entry.machine.name: entry.machine for entry in recorded(lab)}
    if name not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"{name}: no such machine in the lab; there are: {there}", hint="slipway lab up")
    return known[name]


def start(machine: Machine) -> None:
    """Switch on a machine that is off, with the disk it had, and wait until it can be reached. Raises DidNotBoot."""
    nspawn.start(machine, _read(_record(machine)).rootfs)
    wait_reachable(machine)


def power_cut(machine: Machine) -> None:
    """Take the machine's power; `start` gives it back."""
    nspawn.power_cut(machine)


def reboot(machine: Machine) -> None:
    """Reboot the machine in order and wait until it can be reached again. Raises DidNotBoot."""
    nspawn.request_reboot(machine)
    wait_reachable(machine)


def isolate(machine: Machine) -> None:
    """Pull the machine's network cable; `rejoin` puts it back."""
    network.isolate(machine)


def rejoin(machine: Machine) -> None:
    network.rejoin(machine)


def wait_reachable(machine: Machine, deadline: float = BOOT_TIMEOUT) -> None:
    """Until an SSH command works in the machine. Raises DidNotBoot with the end of its console log."""

    def reached() -> tuple[bool | None, str]:
        if nspawn.pid(machine) is None:
            raise DidNotBoot(_last_words(machine, "systemd-nspawn has ended"), hint=f"less {machine.console}")
        try:
            answer = run(ssh_command(machine, "true"), check=False, timeout=5)
        except CommandTimedOut:
            return None, "ssh: no answer"
        return (True, "") if answer.ok else (None, answer.excerpt(1))

    try:
        wait_until(reached, deadline=deadline, describe="an SSH command", interval=0.2)
    except WaitedTooLong as late:
        raise DidNotBoot(_last_words(machine, str(late)), hint=f"less {machine.console}") from None


def ssh_command(machine: Machine, *words: str) -> list[str]:
    """OpenSSH's argument list for the machine, free of the user's own SSH configuration. `words` go as they are."""
    options = {
        "UserKnownHostsFile": machine.lab.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "3",
        "ControlMaster": "no",
        "ControlPath": "none",
    }
    listed = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "none", "-i", str(machine.lab.identity), *listed, f"root@{machine.address}", *words]


def _wanted(lab: Lab, controllers: int | None, workers: int | None) -> tuple[Machine, ...]:
    """The machines that exist and those asked for; a smaller number takes none away."""
    there = tuple(entry.machine for entry in recorded(lab))
    asked = controllers is not None or workers is not None
    if there and not asked:
        return there
    more = lab.machines(
        DEFAULT_CONTROLLERS if controllers is None else controllers, DEFAULT_WORKERS if workers is None else workers
    )
    return (*there, *(machine for machine in more if machine not in there))


def _bring_up(machine: Machine, *, base: Path, events: Events) -> None:
    if nspawn.pid(machine) is not None and _record(machine).exists():
        wait_reachable(machine)
        events.emit("boot", "unchanged", machine.name, text=machine.address)
        return
    events.emit("boot", "started", machine.name)
    if not _record(machine).exists():
        _create(machine, base)
    start(machine)
    events.emit("boot", "done", machine.name, text=machine.address)


def _create(machine: Machine, base: Path) -> None:
    """Give the machine a disk. The record comes last: a machine without one was never finished and is begun anew."""
    nspawn.clear(machine)
    mounts.unmount_below(machine.folder)
    shutil.rmtree(machine.folder, ignore_errors=True)
    machine.folder.mkdir(parents=True)
    mounts.mount_overlay(machine, base)
    furnish.furnish(machine)
    installed.install(machine)
    record = {"name": machine.name, "address": machine.address, "role": machine.role, "rootfs": str(base)}
    making = _record(machine).with_suffix(".making")
    making.write_text(json.dumps(record))
    making.rename(_record(machine))


def _switch_off(machine: Machine, *, orderly: bool, events: Events) -> None:
    events.emit("down", "started", machine.name)
    (nspawn.power_off if orderly else nspawn.power_cut)(machine)
    events.emit("down", "done", machine.name)


def _record(machine: Machine) -> Path:
    return machine.folder / "machine.json"


def _read(path: Path) -> Recorded:
    # nodes/<name>/machine.json below the state of the lab whose number ends its name
    record = json.loads(path.read_text())
    number = path.parents[2].name.removeprefix(Lab().name).lstrip("-") or 0
    machine = Machine(Lab(int(number)), record["name"], record["address"], LabRole(record["role"]))
    return Recorded(machine, Path(record["rootfs"]))


def _last_words(machine: Machine, what: str) -> str:
    text = machine.console.read_text(errors="replace") if machine.console.exists() else ""
    lines = [line for line in _TERMINAL_CODES.sub("", text).splitlines() if line.strip()]
    said = "\n".join(lines[-_CONSOLE_LINES:]) or "(nothing)"
    return f"{machine.name} ({machine.address}): did not boot: {what}\nend of its console:\n{said}"


def _each(function: Callable[[Machine], None], machines: Sequence[Machine]) -> None:
    """Do it to all at once; every one gets its turn before the first error is raised."""
    if not machines:
        return
    with ThreadPoolExecutor(max_workers=len(machines)) as pool:
        for result in [pool.submit(function, machine) for machine in machines]:
            result.result()


@contextmanager
def _locked(lab: Lab) -> Iterator[None]:
    with lab.lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            busy = f"another `slipway lab` is at work on {lab.name}"
            raise LockedByAnother(busy, hint="slipway lab status") from None
        yield
