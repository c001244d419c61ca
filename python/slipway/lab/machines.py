"""The lab's machines: all of them up, down, and single ones through the faults that tests need."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from slipway.events import Events
from slipway.lab import (
    account,
    cgroups,
    furnish,
    installed,
    installer,
    keys,
    limits,
    mounts,
    network,
    nspawn,
    prerequisites,
    registry,
    rootfs,
    state,
)
from slipway.lab.charts import charts_dir
from slipway.lab.reach import wait_reachable
from slipway.lab.settings import Lab, Machine

DEFAULT_CONTROLLERS = 1
DEFAULT_WORKERS = 2


def up(lab: Lab, events: Events, *, controllers: int | None = None, workers: int | None = None) -> tuple[Machine, ...]:
    """Bring the lab's machines up, in parallel; those that are up stay as they are.

    Without numbers: the machines that the lab has, or one controller and two workers. Returns all machines of the
    lab. Raises PrerequisiteMissing, UsageError, LockedByAnother, DidNotBoot.
    """
    prerequisites.check_host()
    with state.locked(lab):
        machines = _wanted(lab, controllers, workers)
        new = [machine.name for machine in machines if not state.is_recorded(machine)]
        recipe = rootfs.Recipe()
        prerequisites.check_room(lab.state, new, rootfs_made=recipe.path.exists())
        network.check_free(lab)
        base = rootfs.ensure(recipe, events)
        keys.ensure(lab, machines)
        limits.raise_limits()
        network.up(lab)
        registry.up(lab, charts_dir())
        _each(partial(_bring_up, base=base, events=events), machines)
    return machines


def down(lab: Lab, events: Events, *, keep: bool = False, keep_s3: bool = False) -> None:
    """Take the lab away, whatever state it is in; with `keep` its disks and keys stay and `up` goes on with them, with
    `keep_s3` what lies in its S3 account alone.

    Raises PrerequisiteMissing, LockedByAnother, WaitedTooLong.
    """
    prerequisites.check_root()
    with state.locked(lab):
        _each(partial(_switch_off, orderly=keep, events=events), state.traces(lab))
        if keep or keep_s3:
            account.down(lab)
        # Even where the state was deleted by hand, its control group still knows what runs.
        cgroups.end_processes(lab.name)
        cgroups.remove(lab.name)
        mounts.unmount_below(lab.state)
        network.down(lab)
        if lab.state.exists() and not keep:
            _remove_state(lab, keep_s3=keep_s3)
        limits.restore_limits(lab)
    lab.lock.unlink(missing_ok=True)


def _remove_state(lab: Lab, *, keep_s3: bool) -> None:
    if not keep_s3:
        shutil.rmtree(lab.state)
        return
    for path in lab.state.iterdir():
        if path.is_dir() and path != account.home(lab):
            shutil.rmtree(path)
        elif not path.is_dir():
            path.unlink()


def start(machine: Machine) -> None:
    """Switch on a machine that is off, with the disk it had, and wait until it can be reached. Raises DidNotBoot."""
    nspawn.start(machine, state.rootfs_of(machine))
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


def _wanted(lab: Lab, controllers: int | None, workers: int | None) -> tuple[Machine, ...]:
    """The machines that exist and those asked for; a smaller number takes none away."""
    there = state.recorded(lab)
    asked = controllers is not None or workers is not None
    if there and not asked:
        return there
    more = lab.machines(
        DEFAULT_CONTROLLERS if controllers is None else controllers, DEFAULT_WORKERS if workers is None else workers
    )
    return (*there, *(machine for machine in more if machine not in there))


def _bring_up(machine: Machine, *, base: Path, events: Events) -> None:
    if nspawn.pid(machine) is not None and state.is_recorded(machine):
        wait_reachable(machine)
        events.emit("boot", "unchanged", machine.name, text=machine.address)
        return
    events.emit("boot", "started", machine.name)
    if not state.is_recorded(machine):
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
    state.record(machine, base)


def _switch_off(machine: Machine, *, orderly: bool, events: Events) -> None:
    events.emit("down", "started", machine.name)
    (nspawn.power_off if orderly else nspawn.power_cut)(machine)
    installer.unplug(machine)
    events.emit("down", "done", machine.name)


def _each(function: Callable[[Machine], None], machines: Sequence[Machine]) -> None:
    """Do it to all at once; every one gets its turn before the first error is raised."""
    if not machines:
        return
    with ThreadPoolExecutor(max_workers=len(machines)) as pool:
        for result in [pool.submit(function, machine) for machine in machines]:
            result.result()
