"""From machines that have k0s to nodes of one cluster.

In order: the founding controller, once and with the sentinel that allows it; further controllers one by one; all
workers at once. A second call finds everything done and changes nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slipway.cluster import join, kubeconfig, members, unit
from slipway.cluster.members import Membership, Nodes
from slipway.errors import DeployFailed, SlipwayError, Unreachable
from slipway.events import Events
from slipway.inventory import Host, Inventory
from slipway.outcome import NodeResult, Outcome
from slipway.ssh.host import Host as Machine
from slipway.ssh.pool import Pool, for_each

PHASE = "join"
PROBE_TIMEOUT = 2.0
"""Seconds for a connection to a controller's API port."""

Results = dict[str, NodeResult]


class MayNotFound(DeployFailed):
    """Founding a cluster now could make a second one beside one that lives."""


def bring_up(inventory: Inventory, pool: Pool, events: Events) -> Results:
    """Make every machine of the inventory a node of the cluster; one result each, in the inventory's order.

    A machine that fails does not keep its siblings from joining; without a control plane nobody can join.
    """
    answers = pool.map(members.look, [host.name for host in inventory.hosts], limit=inventory.deploy.parallel)
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Membership)}
    work = BringUp(inventory, pool, events, seen)
    results = {name: work.failed(name, why) for name, why in answers.items() if isinstance(why, SlipwayError)}
    results |= work.controllers()
    first = results[work.founder.name]
    if first.outcome.good:
        results |= work.workers()
    results |= work.skipped(results, f"{first.node}, the first controller, is {first.outcome}")
    return {host.name: results[host.name] for host in inventory.hosts}


@dataclass(frozen=True)
class BringUp:
    """One call of bring_up: what it works on, and what each machine said of itself at the beginning, if it could be
    asked."""

    inventory: Inventory
    pool: Pool
    events: Events
    seen: Mapping[str, Membership]

    @property
    def founder(self) -> Host:
        """The controller that hands out tokens: the first with the cluster's data, else the inventory's first."""
        controllers = self.inventory.controllers
        return next((host for host in controllers if self.has_data(host)), controllers[0])

    def has_data(self, host: Host) -> bool:
        return host.name in self.seen and self.seen[host.name].control_plane

    def controllers(self) -> Results:
        """The founder, then the others one by one: etcd takes one new member at a time, and after a failure no more,
        for a second member half in could cost the quorum."""
        results: Results = {}
        if self.founder.name not in self.seen:
            return results
        for host in sorted(self.inventory.controllers, key=lambda host: host != self.founder):
            if host.name not in self.seen:
                continue
            step = self.found if host == self.founder else self.join_controller
            results[host.name] = self.attempt(host, step)
            if not results[host.name].outcome.good:
                break
        return results

    def workers(self) -> Results:
        hosts = {host.name: host for host in self.inventory.workers if host.name in self.seen}
        if not hosts:
            return {}
        try:
            nodes = self.nodes()
        except SlipwayError as error:
            return {name: self.failed(name, error) for name in hosts}
        results = for_each(
            lambda name: self.attempt(hosts[name], lambda host: self.join_worker(host, nodes)),
            hosts,
            limit=self.inventory.deploy.parallel,
        )
        return {name: result for name, result in results.items() if isinstance(result, NodeResult)}

    def found(self, host: Host) -> bool:
        changed = join.found(
            self.machine(host),
            self.seen[host.name],
            lambda: may_found(self.inventory, self.seen),
            within=self.within,
            say=self.sayer(host),
        )
        return self.with_workloads(host, changed)

    def join_controller(self, host: Host) -> bool:
        changed = join.join_controller(
            self.machine(host),
            self.seen[host.name],
            self.machine(self.founder),
            within=self.within,
            say=self.sayer(host),
        )
        return self.with_workloads(host, changed)

    def with_workloads(self, host: Host, changed: bool) -> bool:
        """k0s joins the kubelet of a controller by itself, some moments after the API server."""
        if host.runs_workloads:
            join.wait_registered(self.machine(host), self.nodes(), within=self.within, say=self.sayer(host))
        return changed

    def join_worker(self, host: Host, nodes: Nodes) -> bool:
        by = self.machine(self.founder)
        seen = self.seen[host.name]
        return join.join_worker(self.machine(host), seen, by, nodes, within=self.within, say=self.sayer(host))

    @property
    def within(self) -> float:
        return self.inventory.deploy.timeouts.join

    def machine(self, host: Host) -> Machine:
        return self.pool.host(host.name)

    def nodes(self) -> Nodes:
        return Nodes(kubeconfig.fetch(self.machine(self.founder), self.inventory))

    def sayer(self, host: Host) -> join.Say:
        return lambda text: self.events.emit(PHASE, "progress", node=host.name, text=text)

    def attempt(self, host: Host, step: Callable[[Host], bool]) -> NodeResult:
        """One machine's way in, with its events, and an error as a result."""
        self.events.emit(PHASE, "started", node=host.name)
        started = time.monotonic()
        try:
            changed = step(host)
        except SlipwayError as error:
            return self.failed(host.name, error, time.monotonic() - started)
        outcome, reason = (Outcome.OK, what_changed(self.seen[host.name])) if changed else (Outcome.UNCHANGED, "")
        return self.told(NodeResult(host.name, outcome, reason, time.monotonic() - started))

    def failed(self, name: str, error: SlipwayError, duration: float = 0.0) -> NodeResult:
        """The outcome that an error stands for; what k0s said last comes along where the machine can be asked."""
        if isinstance(error, Unreachable):
            return self.told(NodeResult(name, Outcome.UNREACHABLE, str(error), duration))
        if isinstance(error, MayNotFound):
            return self.told(NodeResult(name, Outcome.BLOCKED, str(error), duration))
        log = self.last_words(name)
        return self.told(NodeResult(name, Outcome.DEGRADED, str(error), duration, log))

    def last_words(self, name: str) -> str:
        try:
            return unit.journal(self.pool.host(name))
        except SlipwayError as error:
            return f"no journal of {unit.UNIT}: {error}"

    def skipped(self, done: Mapping[str, NodeResult], why: str) -> Results:
        names = [host.name for host in self.inventory.hosts if host.name not in done]
        return {name: self.told(NodeResult(name, Outcome.SKIPPED, why)) for name in names}

    def told(self, result: NodeResult) -> NodeResult:
        text = result.reason.splitlines()[0] if result.reason else ""
        self.events.emit(PHASE, result.outcome, node=result.node, text=text, duration=round(result.duration, 3))
        return result


def what_changed(before: Membership) -> str:
    """What bringing a machine up came to, from what it was before."""
    if not (before.control_plane or before.kubelet):
        return "joined the cluster"
    return "k0s runs on its new configuration" if before.outdated else "k0s runs again"


def may_found(inventory: Inventory, seen: Mapping[str, Membership]) -> None:
    """Raise MayNotFound if there is, or may be, a cluster already.

    Called when no machine that answered has a control plane's data. A controller that lost its data would found a
    second cluster beside the first (k0s issues 4415, 5149), and workers would stay with the old one.
    """
    signs = [
        *(f"{host.name} cannot be asked" for host in inventory.controllers if host.name not in seen),
        *(f"{host.name} has joined one" for host in inventory.workers if host.name in seen and seen[host.name].kubelet),
        *(f"{host.address}:{port} answers" for host, port in _api_ports(inventory) if answers(host.address, port)),
    ]
    if signs:
        raise MayNotFound(
            f"no controller has the data of a cluster, but one may exist: {', '.join(signs)}",
            hint="bring that controller back or restore its backup; to begin anew, run `k0s reset` on every machine",
        )


def _api_ports(inventory: Inventory) -> list[tuple[Host, int]]:
    return [(host, inventory.cluster.k0s.ports.api) for host in inventory.controllers]


def answers(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((address, port), PROBE_TIMEOUT).close()
    except OSError:
        return False
    return True
