"""How the lab's machines are, seen from the host: nothing runs in them for it."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from slipway.lab import cgroups, faults, nspawn
from slipway.lab.settings import Fault, Lab, Machine
from slipway.lab.state import recorded

SSH_PORT = 22
ANSWER_TIMEOUT = 1.0


class Power(StrEnum):
    UP = "up"
    BOOTING = "booting"
    """Process 1 runs and sshd does not answer: at start, and behind a pulled cable."""
    OFF = "off"


@dataclass(frozen=True)
class MachineStatus:
    """`system` is the store path of the running toplevel, None before the first deploy; seconds and bytes."""

    machine: Machine
    power: Power
    system: str | None
    uptime: float | None
    memory: int | None
    faults: tuple[Fault, ...] = ()
    """What was made to go wrong with it, and is still on."""

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.machine.name,
            "address": self.machine.address,
            "role": self.machine.role.value,
            "state": self.power.value,
            "system": self.system,
            "uptime": None if self.uptime is None else round(self.uptime, 1),
            "memory": self.memory,
            "faults": [fault.value for fault in self.faults],
        }


def status(lab: Lab) -> tuple[MachineStatus, ...]:
    machines = recorded(lab)
    with ThreadPoolExecutor(max_workers=max(1, len(machines))) as pool:
        return tuple(pool.map(_status, machines))


def _status(machine: Machine) -> MachineStatus:
    leader = nspawn.leader(machine)
    if leader is None:
        return MachineStatus(machine, Power.OFF, None, None, None)
    power = Power.UP if answers(machine.address) else Power.BOOTING
    memory = cgroups.working_set(machine.cgroup)
    return MachineStatus(machine, power, _system(leader), _uptime(leader), memory, faults.on(machine))


def answers(address: str) -> bool:
    """Does an SSH server greet at this address?"""
    try:
        with socket.create_connection((address, SSH_PORT), ANSWER_TIMEOUT) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _system(leader: int) -> str | None:
    try:
        return str(Path(f"/proc/{leader}/root/run/current-system").readlink())
    except OSError:
        return None


def _uptime(leader: int) -> float | None:
    started = nspawn.start_time(leader)
    if started is None:
        return None
    now = float(Path("/proc/uptime").read_text().split()[0])
    return now - int(started) / os.sysconf("SC_CLK_TCK")
