"""Who can be reached by TCP: many addresses in one question, all tried at once."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slipway.inventory import Host, Inventory
from slipway.inventory.address import with_port
from slipway.verify.backend import COMMAND_BOUND, NodeHost
from slipway.verify.check import CannotRun
from slipway.verify.result import Way

WAIT = 3.0
"""Seconds for a connection that should come about."""
SHORT = 1.0
"""Seconds for one that should not: a firewall that drops gives no answer, and each check has to wait for that."""
AT_ONCE = 64
"""Connections that one node tries at the same time: two small processes each."""

_AT_ONCE = """
number=0
while [ $# -gt 0 ]; do
  try "$1" "$2" & shift 2
  number=$((number + 1))
  [ $((number % AT_ONCE)) != 0 ] || wait
done
wait
"""


def at_once(attempt: str, *settings: str) -> str:
    """A script that calls the function `try` of `attempt` with each pair of its arguments, AT_ONCE at the same time.

    `settings` are variables that the first arguments set; the last before the pairs is AT_ONCE.
    """
    names = [*settings, "AT_ONCE"]
    read = "\n".join(f"{name}=${place}" for place, name in enumerate(names, 1))
    return f"\n{attempt.strip()}\n{read}\nshift {len(names)}{_AT_ONCE}"


SCRIPT = at_once(
    """
try() {
  error=$(timeout "$WAIT" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>&1)
  case "$?:$error" in 0:*) state=open ;; *refused*) state=refused ;; *) state=silent ;; esac
  echo "$1 $2 $state"
}
""",
    "WAIT",
)


class State(StrEnum):
    """How a port answers. A refusal shows that the way is free and nobody listens at its end."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, order=True)
class Target:
    """A port of a node. As text: `cp1 10.0.0.11:6443`."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name} {with_port(self.address, self.port)}"


def tried(
    host: NodeHost, targets: Sequence[Target], *, wait: float = WAIT, within: Sequence[str] = ()
) -> dict[Target, State]:
    """How each of `targets` answers a TCP connection from the node within `wait` seconds, AT_ONCE at a time. `within`
    are words before the command, such as those that run it in a pod's network.

    >>> tried(host, targets(inventory.controllers, [6443]))
    {Target(name='cp1', address='10.0.0.11', port=6443): State.OPEN}
    """
    words = [*within, "bash", "-c", SCRIPT, "tcp", f"{wait:g}", str(AT_ONCE)]
    words += [word for target in targets for word in (target.address, str(target.port))]
    rounds = -(-len(targets) // AT_ONCE)
    said = host.check_output(shlex.join(words), timeout=COMMAND_BOUND + rounds * wait).split()
    fields = zip(said[::3], said[1::3], said[2::3], strict=True)
    answers = {(address, int(port)): State(state) for address, port, state in fields}
    if set(answers) != {(target.address, target.port) for target in targets}:
        raise CannotRun(f"no answer for some of {', '.join(map(str, targets))}")
    return {target: answers[target.address, target.port] for target in targets}


def draw(host: NodeHost, states: Mapping[Target, State], amiss: Collection[Target]) -> None:
    """Have the report draw what was tried; `amiss` are those that should answer otherwise."""
    host.note_ways(Way(each.name, each.port, state.value, each in amiss) for each, state in states.items())


def neighbours(inventory: Inventory, node: Host, among: Iterable[Host]) -> list[Host]:
    """All of those but `node`; or the next ones after it, round the end, where verify.peers says how many."""
    order = {host.name: place for place, host in enumerate(inventory.hosts)}
    others = [host for host in among if host.name != node.name]
    ranked = sorted(others, key=lambda host: (order[host.name] - order[node.name]) % len(order))
    return ranked[: inventory.verify.peers]


def targets(hosts: Iterable[Host], ports: Iterable[int]) -> list[Target]:
    wanted = list(ports)
    return [Target(host.name, host.address, port) for host in hosts for port in wanted]
