"""k0s.service on a node. The unit has this name for every role (nixos/modules/k0s.nix)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.ssh.host import Host

UNIT = "k0s.service"
STOP_TIMEOUT = 120.0
"""A control plane goes down in order, which takes its time; systemd itself gives up after 90 s."""
JOURNAL_LINES = 20
LINES_READ = 400
"""A usage text of kube-apiserver is as long as that."""
LONGEST = 200
MOST_RESTARTS = 3
"""So often may k0s end while it is waited for; systemd starts it again after 10 s each time."""
DEAD = ("failed", "inactive")
"""States that a unit does not leave by itself."""
PROPERTIES = ("ActiveState", "Result", "NRestarts")

MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
COMPONENT = re.compile(r"\bcomponent=([a-z][a-z0-9-]*)")
TELLING = re.compile(r"^slipway: |\bError: |\blevel=fatal|\bunknown (?:shorthand )?flag|\bpanic: ")
USAGE = re.compile(
    r"^\s+(?:-\w, )?--?\w|^(?:Usage|Examples?|(?:Global |Available )?(?:Flags|Commands)|Aliases):|[Ff]lags:\s*$"
    r'|^Use "|^\s*$'
)


def restart(host: Host) -> None:
    """Start k0s, or start it again: one that failed before its token was there may be waiting for its next try.

    Returns when systemd has started it, which says nothing yet: a unit whose conditions are not met is skipped without
    an error.
    """
    # A unit that failed too often is not started before it is reset. Nothing to reset is no error.
    host.run(["systemctl", "reset-failed", UNIT], check=False)
    host.run(["systemctl", "restart", UNIT], timeout=STOP_TIMEOUT)


def stop(host: Host) -> None:
    """Stop k0s; containers go on (KillMode=process)."""
    host.run(["systemctl", "stop", UNIT], timeout=STOP_TIMEOUT)


ENDED = {
    "exit-code": "with an error",
    "signal": "killed by a signal",
    "core-dump": "in a crash",
    "oom-kill": "for lack of memory",
    "timeout": "because it took too long",
    "start-limit-hit": "too often for systemd to start it again",
}
"""How a unit's last process ended, by systemd's Result (systemctl(1), org.freedesktop.systemd1(5))."""


@dataclass(frozen=True)
class Standing:
    """How the unit is, in systemd's words: `state` active, activating, failed, ...; `result` of its last process
    (success, exit-code, signal, start-limit-hit, ...); `restarts` that systemd did by itself since it was last told to
    start it."""

    state: str
    result: str
    restarts: int

    def why(self, ended: int) -> str:
        """Why it is not waited for any more, to follow its name; it has `ended` so often meanwhile."""
        if self.state not in DEAD:
            # Of a process that has just been started systemd says `success`: how the one before it ended is forgotten.
            return f"ended {ended} times{self._how()} and is started again each time"
        if self.result == "success":
            return f"is {self.state}: its conditions are not met, or somebody stopped it"
        return f"is {self.state}: it ended{self._how()}"

    def _how(self) -> str:
        return "" if self.result == "success" else f" {ENDED.get(self.result, f'({self.result})')}"


def standing(host: Host) -> Standing:
    """Ask systemd."""
    with host.run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", UNIT]).read() as said:
        found = dict(line.split("=", 1) for line in said.splitlines() if line)
        state, result, restarts = (found[name] for name in PROPERTIES)
        return Standing(state, result, int(restarts))


def journal(host: Host, lines: int = JOURNAL_LINES) -> str:
    """What k0s said last, without the usage texts of programs that did not like their flags."""
    argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={LINES_READ}", f"--unit={UNIT}"]
    said = [line for line in host.run(argv).stdout.strip().splitlines() if not USAGE.search(_message(line))]
    return "\n".join(said[-lines:])


def cause(host: Host) -> str:
    """The line in which k0s, or a program that it starts, last said why it ended; empty if none is known."""
    said = journal(host, LINES_READ).splitlines()
    line = next((line for line in reversed(said) if TELLING.search(line)), "")
    component = COMPONENT.search(line)
    return (f"{component[1]}: " if component else "") + _message(line).strip()[:LONGEST]


def _message(line: str) -> str:
    """What a line of k0s's log says without time and level (logrus: key=value, the message in quotes)."""
    quoted = MESSAGE.search(line)
    return quoted[1].replace('\\"', '"').replace("\\t", "\t") if quoted else line
