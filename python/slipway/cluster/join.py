"""One machine becomes a member: it founds the cluster, or joins it with a token of its own.

Every function asks first whether it is already so and returns False then; True after a change that it has seen work.
`within` bounds each wait, in seconds; `say` gets what is seen meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from slipway.cluster import members, token, unit
from slipway.cluster.members import Membership, Node, Nodes
from slipway.errors import DeployFailed
from slipway.result import CommandTimedOut
from slipway.ssh.host import Host
from slipway.wait import wait_until

SENTINEL = "/var/lib/slipway/allow-bootstrap"
"""While it is there, k0s.service starts a controller without a token file, and k0s founds a cluster."""
DEAD = ("failed", "inactive")
"""States that a unit does not leave by itself."""

LONGEST_SIGHT = 200

Say = Callable[[str], None]
Seen = TypeVar("Seen")
Check = Callable[[], tuple[Seen | None, str]]


def found(machine: Host, seen: Membership, may_found: Callable[[], None], *, within: float, say: Say) -> bool:
    """The first controller: start it, as the founder of a new cluster if it has no data of one.

    `may_found` raises where founding could make a second cluster.
    """
    if seen.control_plane:
        return _resume_controller(machine, seen, within=within, say=say)
    may_found()
    with _allowed_to_found(machine):
        unit.restart(machine)
        wait_for_api(machine, within=within, say=say)
    return True


def join_controller(machine: Host, seen: Membership, by: Host, *, within: float, say: Say) -> bool:
    """A further controller, with a token from the running controller `by`."""
    if seen.control_plane:
        return _resume_controller(machine, seen, within=within, say=say)
    with token.given(by, machine, token.Kind.CONTROLLER):
        unit.restart(machine)
        wait_for_api(machine, within=within, say=say)
        _wait(machine, lambda: _etcd_member(by, machine.name), "a member of etcd", within, say)
    return True


def join_worker(machine: Host, seen: Membership, by: Host, nodes: Nodes, *, within: float, say: Say) -> bool:
    """A worker, with a token from the controller `by`."""
    if seen.kubelet:
        cleared = _clear_old_token(machine, seen)
        if seen.active and nodes.registered(machine.name)[0]:
            return cleared
        unit.restart(machine)
        wait_registered(machine, nodes, within=within, say=say)
        return True
    if seen.half_joined:
        unit.stop(machine)
        machine.run(["rm", "-f", members.KUBELET_CONF])
    with token.given(by, machine, token.Kind.WORKER):
        unit.restart(machine)
        wait_registered(machine, nodes, within=within, say=say)
    return True


def wait_for_api(controller: Host, *, within: float, say: Say) -> None:
    """Until the controller's own API server is ready."""

    def check() -> tuple[bool | None, str]:
        problem = api_problem(controller)
        return (None if problem else True), problem

    _wait(controller, check, "kube-apiserver ready", within, say)


def wait_registered(machine: Host, nodes: Nodes, *, within: float, say: Say) -> Node:
    """Until the API server has the machine as a node."""
    return _wait(machine, lambda: nodes.registered(machine.name), "registered as a node", within, say)


def api_problem(controller: Host) -> str:
    """Why a controller's own API server is not ready; empty if it is."""
    argv = ["k0s", "kubectl", "get", "--raw=/readyz", "--request-timeout=5s"]
    try:
        answer = controller.run(argv, timeout=20, check=False)
    except CommandTimedOut as error:
        return str(error)
    return "" if answer.ok and answer.stdout.strip() == "ok" else _why_not_ready(answer.excerpt())


def _why_not_ready(answer: str) -> str:
    """kube-apiserver lists all its checks, the failing ones as `[-]NAME failed: reason withheld`."""
    failing = re.findall(r"\[-\](\S+) failed", answer)
    if failing:
        return f"kube-apiserver still waits for {', '.join(failing[:3])}" + (" and more" if failing[3:] else "")
    return answer.splitlines()[-1][:LONGEST_SIGHT] if answer else "no answer"


def _resume_controller(machine: Host, seen: Membership, *, within: float, say: Say) -> bool:
    """A controller with data needs no token and no permission: k0s goes on with what it has.

    A new configuration reaches a running k0s here, one controller after the other, and not by its activation.
    """
    cleared = _clear_old_token(machine, seen)
    if seen.active and not seen.outdated and not api_problem(machine):
        return cleared
    if not seen.active or seen.outdated:
        unit.restart(machine)
    wait_for_api(machine, within=within, say=say)
    return True


def _clear_old_token(machine: Host, seen: Membership) -> bool:
    """A run that was interrupted can leave its token behind; in the cluster it has run out by itself."""
    if seen.token:
        token.clear(machine)
    return seen.token


@contextmanager
def _allowed_to_found(machine: Host) -> Iterator[None]:
    machine.put(SENTINEL, b"", mode=0o600)
    try:
        yield
    finally:
        machine.run(["rm", "-f", SENTINEL])


def _etcd_member(by: Host, name: str) -> tuple[bool | None, str]:
    known = members.etcd_members(by)
    return (True if name in known else None), f"members are {', '.join(known)}"


def _wait(machine: Host, check: Check[Seen], what: str, within: float, say: Say) -> Seen:
    """wait_until, but not for a unit that has given up."""

    def look() -> tuple[Seen | None, str]:
        value, seen = check()
        if value is not None:
            return value, ""
        state = unit.state(machine)
        if state in DEAD:
            raise DeployFailed(
                f"{machine.name}: waiting for {what}, but {unit.UNIT} is {state}; last seen: {seen}",
                hint=f"journalctl -u {unit.UNIT}, on {machine.name}",
            )
        return None, seen

    return wait_until(look, deadline=within, describe=f"{machine.name}: {what}", on_progress=say)
