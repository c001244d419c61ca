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
from slipway.cluster.cleanup import at_last
from slipway.cluster.members import SENTINEL, Membership, Node, Nodes
from slipway.errors import DeployFailed, Interrupted, SlipwayError
from slipway.result import CommandTimedOut
from slipway.ssh.host import Host
from slipway.wait import WaitedTooLong, wait_until

LONGEST_SIGHT = 200
REQUEST, QUESTION = "5s", 20.0
"""How long an API server has for a request of k0s's kubectl on its controller; and seconds for all of it, with a
program that is slow to start."""

Say = Callable[[str], None]
Seen = TypeVar("Seen")
Check = Callable[[], tuple[Seen | None, str]]
Ask = Callable[[], None]
"""Raises where what comes next could do harm."""


def found(machine: Host, seen: Membership, may_found: Ask, may_restart: Ask, *, within: float, say: Say) -> bool:
    """The first controller: start it, as the founder of a new cluster if it has no data of one.

    `may_found` raises where founding could make a second cluster, `may_restart` where a restart could cost the quorum.
    """
    if seen.control_plane:
        return _resume_controller(machine, seen, may_restart, within=within, say=say)
    may_found()
    clear_left(machine, seen)
    with _allowed_to_found(machine):
        unit.restart(machine)
        wait_for_api(machine, within=within, say=say)
    return True


def join_controller(machine: Host, seen: Membership, by: Host, may_restart: Ask, *, within: float, say: Say) -> bool:
    """A further controller, with a token from the running controller `by`."""
    if seen.control_plane:
        return _resume_controller(machine, seen, may_restart, within=within, say=say)
    clear_left(machine, seen)
    _require_new(by, machine.name)
    with token.given(by, machine, token.Kind.CONTROLLER):
        unit.restart(machine)
        wait_for_api(machine, within=within, say=say)
        _wait(machine, lambda: _etcd_member(by, machine.name), "a member of etcd", within, say)
    return True


def join_worker(
    machine: Host, seen: Membership, by: Host, nodes: Nodes, may_start: Ask, *, within: float, say: Say
) -> bool:
    """A worker, with a token from the controller `by`. `may_start` raises where its k0s is ahead of theirs."""
    if seen.kubelet:
        return _resume_worker(machine, seen, nodes, may_start, within=within, say=say)
    may_start()
    if seen.half_joined:
        unit.stop(machine)
        machine.run(["rm", "-f", members.KUBELET_CONF])
    clear_left(machine, seen)
    with token.given(by, machine, token.Kind.WORKER):
        unit.restart(machine)
        wait_registered(machine, nodes, within=within, say=say)
    return True


def _resume_worker(machine: Host, seen: Membership, nodes: Nodes, may_start: Ask, *, within: float, say: Say) -> bool:
    """A worker that has joined needs no token; one that was started a moment ago has still to report.

    A new configuration reaches a running k0s here, when the controllers have theirs, and not by its activation.
    """
    cleared = clear_left(machine, seen)
    running = seen.active and not seen.outdated and nodes.registered(machine.name)[0] is not None
    if not running:
        may_start()
        unit.restart(machine)
    wait_registered(machine, nodes, within=within, say=say, seen=seen if running else None)
    return cleared or not running


def wait_for_api(controller: Host, *, within: float, say: Say) -> None:
    """Until the controller's own API server is ready."""

    def check() -> tuple[bool | None, str]:
        problem = api_problem(controller)
        return (None if problem else True), problem

    _wait(controller, check, "kube-apiserver ready", within, say)


def wait_registered(machine: Host, nodes: Nodes, *, within: float, say: Say, seen: Membership | None = None) -> Node:
    """Until the API server has this very machine as a node, by the word of a kubelet that was started with k0s.

    `seen` is what is known of the machine since k0s was started; without it the machine is asked.
    """
    me = members.look(machine) if seen is None else seen

    def check() -> tuple[Node | None, str]:
        # One whose conditions were not met was never started: what its kubelet said is from before.
        return nodes.registered(machine.name, me) if me.active else (None, f"{unit.UNIT} was not started")

    return _wait(machine, check, "registered as a node", within, say)


def api_problem(controller: Host) -> str:
    """Why a controller's own API server is not ready; empty if it is."""
    argv = ["k0s", "kubectl", "get", "--raw=/readyz", f"--request-timeout={REQUEST}"]
    try:
        answer = controller.run(argv, timeout=QUESTION, check=False)
    except CommandTimedOut as error:
        return str(error)
    return "" if answer.ok and answer.stdout.strip() == "ok" else _why_not_ready(answer.excerpt())


def why_not_serving(controller: Host) -> str:
    """The same where it may be that the controller cannot be asked at all. Raises Interrupted."""
    try:
        return api_problem(controller)
    except Interrupted:
        raise
    except SlipwayError as error:
        return str(error)


def serves_minor(controller: Host) -> int | None:
    """The minor version of Kubernetes that a controller's own API server has; None if it does not say."""
    argv = ["k0s", "kubectl", "get", "--raw=/version", f"--request-timeout={REQUEST}"]
    try:
        answer = controller.run(argv, timeout=QUESTION, check=False)
    except CommandTimedOut:
        return None
    found = re.search(r'"minor": *"([0-9]{1,3})', answer.stdout) if answer.ok else None
    return int(found[1]) if found else None


def _why_not_ready(answer: str) -> str:
    """kube-apiserver lists all its checks, the failing ones as `[-]NAME failed: reason withheld`."""
    failing = re.findall(r"\[-\](\S+) failed", answer)
    if failing:
        return f"kube-apiserver still waits for {', '.join(failing[:3])}" + (" and more" if failing[3:] else "")
    return answer.splitlines()[-1][:LONGEST_SIGHT] if answer else "no answer"


def _resume_controller(machine: Host, seen: Membership, may_restart: Ask, *, within: float, say: Say) -> bool:
    """A controller with data needs no token and no permission: k0s goes on with what it has.

    A new configuration reaches a running k0s here, one controller after the other, and not by its activation.
    """
    cleared = clear_left(machine, seen)
    if seen.active and not seen.outdated and not api_problem(machine):
        return cleared
    if seen.active and seen.outdated:
        may_restart()
    if not seen.active or seen.outdated:
        unit.restart(machine)
    wait_for_api(machine, within=within, say=say)
    return True


def clear_left(machine: Host, seen: Membership) -> bool:
    """Clear what a run that did not end has left on the machine: a token, the permission to found a cluster (with which
    a controller that loses its data would found a second one), the permission to be renamed. Whether anything was."""
    if seen.token:
        token.clear(machine)
    left = [path for path, there in ((SENTINEL, seen.sentinel), (members.RENAME, seen.rename)) if there]
    if left:
        machine.run(["rm", "-f", *left])
    return seen.token or bool(left)


def _require_new(by: Host, name: str) -> None:
    """A machine without data is no member of etcd; a member of its name is another machine, or what this one lost."""
    known = members.etcd_members(by)
    if name in known:
        raise DeployFailed(
            f"{name}: has no data of etcd, which has a member {name} ({known[name]}): this machine before it lost its "
            "data, or another one of this name",
            hint=f"slipway node replace {name}, if that member is gone for good",
        )


@contextmanager
def _allowed_to_found(machine: Host) -> Iterator[None]:
    try:
        machine.put(SENTINEL, b"", mode=0o600)
        yield
    finally:
        at_last(machine, lambda host: host.run(["rm", "-f", SENTINEL]))


def _etcd_member(by: Host, name: str) -> tuple[bool | None, str]:
    try:
        known = members.etcd_members(by)
    except members.NoMembers as error:
        return None, str(error)
    return (True if name in known else None), f"members are {', '.join(known)}"


def _wait(machine: Host, check: Check[Seen], what: str, within: float, say: Say) -> Seen:
    """wait_until, but not for a unit that has given up, or that ends again and again."""
    restarts: list[int] = []

    def look() -> tuple[Seen | None, str]:
        value, seen = check()
        if value is not None:
            return value, ""
        standing = unit.standing(machine)
        restarts.append(standing.restarts)
        ended = standing.restarts - restarts[0]
        if standing.state in unit.DEAD or ended >= unit.MOST_RESTARTS:
            raise DeployFailed(
                f"{machine.name}: waiting for {what}, but {unit.UNIT} {standing.why(ended)}{_cause(machine)}; "
                f"last seen: {seen}",
                hint=f"slipway logs {machine.name}",
            )
        return None, seen

    try:
        return wait_until(look, deadline=within, describe=f"{machine.name}: {what}", on_progress=say)
    except WaitedTooLong as late:
        raise DeployFailed(f"{late}{_cause(machine)}", hint=f"slipway logs {machine.name}") from None


def _cause(machine: Host) -> str:
    """Why k0s does not come up, by its own word, to end a sentence with; empty if it does not say."""
    try:
        cause = unit.cause(machine)
    except SlipwayError:
        return ""
    return f': "{cause}"' if cause else ""
