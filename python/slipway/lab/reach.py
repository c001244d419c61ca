"""Reaching a machine of the lab over SSH, as its deployer does."""

from __future__ import annotations

import re

from slipway.errors import SlipwayError, Unreachable
from slipway.lab import nspawn
from slipway.lab.settings import Machine
from slipway.result import CommandTimedOut
from slipway.ssh.connection import Endpoint
from slipway.ssh.host import Remote
from slipway.ssh.keys import KnownHosts
from slipway.wait import WaitedTooLong, wait_until

BOOT_TIMEOUT = 90.0
"""Seconds from switching on to the first SSH command; 1.5 s alone on an idle machine."""
SSH_TIMEOUT = 5.0
"""Seconds for one try; the bridge is on this very host."""
_CONSOLE_LINES = 15
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class DidNotBoot(SlipwayError):
    """A machine was switched on and cannot be reached; the message ends with its last words."""


def wait_reachable(machine: Machine, deadline: float = BOOT_TIMEOUT) -> None:
    """Until an SSH command works in the machine. Raises DidNotBoot with the end of its console log."""

    def reached() -> tuple[bool | None, str]:
        if nspawn.pid(machine) is None:
            raise DidNotBoot(_last_words(machine, "systemd-nspawn has ended"), hint=f"less {machine.console}")
        try:
            host.run(["true"], timeout=SSH_TIMEOUT)
        except (Unreachable, CommandTimedOut) as error:
            return None, str(error)
        return True, ""

    host = remote(machine)
    try:
        wait_until(reached, deadline=deadline, describe="an SSH command", interval=0.1)
    except WaitedTooLong as late:
        raise DidNotBoot(_last_words(machine, str(late)), hint=f"less {machine.console}") from None
    finally:
        host.close()


def remote(machine: Machine) -> Remote:
    """The machine over SSH, as its deployer reaches it; the caller closes it."""
    endpoint = Endpoint(machine.name, machine.address, identity=machine.lab.identity)
    return Remote(endpoint, KnownHosts.load(machine.lab.known_hosts), connect_timeout=SSH_TIMEOUT)


def _last_words(machine: Machine, what: str) -> str:
    text = machine.console.read_text(errors="replace") if machine.console.exists() else ""
    lines = [line for line in _TERMINAL_CODES.sub("", text).splitlines() if line.strip()]
    said = "\n".join(lines[-_CONSOLE_LINES:]) or "(nothing)"
    return f"{machine.name} ({machine.address}): did not boot: {what}\nend of its console:\n{said}"
