"""From machines that have k0s to nodes of one cluster.

In order: the founding controller, once and with the sentinel that allows it; further controllers one by one; all
workers at once. A second call finds everything done and changes nothing. Machines that were not chosen are looked at,
and neither waited for nor changed.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from slipway.cluster import encryption, join, kubeconfig, members, token, unit
from slipway.cluster.members import Membership, Nodes
from slipway.errors import DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.events import Events
from slipway.inventory import Host, Inventory
from slipway.inventory.address import with_port
from slipway.inventory.releases import minor_of
from slipway.outcome import NodeResult, Outcome
from slipway.ssh.host import Host as Machine
from slipway.ssh.pool import Pool, for_each, unforeseen

PHASE = "join"
REWRITE = "slipway encryption rewrite"
"""Not at once: the API server looks once a minute whether its file has changed."""
PROBE_TIMEOUT = 2.0
"""Seconds for a connection to a controller's API port."""

Results = dict[str, NodeResult]
Looked = Mapping[str, Membership | SlipwayError]
"""What machines said of their part in a cluster, or why they could not be asked."""


class MayNotFound(DeployFailed):
    """Founding a cluster now could make a second one beside one that lives."""


class QuorumAtRisk(DeployFailed):
    """Without this controller the others could not go on."""


class Ahead(DeployFailed):
    """A worker's k0s is newer than an API server that it would have to go by."""


class NobodyListsMembers(QuorumAtRisk):
    """No controller answers who is a member of etcd, which takes a quorum."""


class SplitCluster(DeployFailed):
    """Two controllers of the inventory belong to different clusters."""


def bring_up(
    inventory: Inventory,
    pool: Pool,
    events: Events,
    chosen: Collection[str] | None = None,
    keys: encryption.Keys | None = None,
    looked: Looked | None = None,
) -> Results:
    """Make every chosen machine a node of the cluster (all of them without `chosen`, their names); one result each, in
    the inventory's order. `keys` are those for encrypting Secrets at rest; None: they are not encrypted. `looked` is
    what look_at has brought for them a moment ago.

    A machine that fails does not keep its siblings from joining; without a control plane nobody can join.
    """
    names = [host.name for host in inventory.hosts]
    answers = look_at(inventory, pool, names if chosen is None else chosen) if looked is None else looked
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Membership)}
    work = BringUp(inventory, pool, events, seen, frozenset(names if chosen is None else chosen), keys)
    refused = {name: why for name, why in answers.items() if isinstance(why, SlipwayError) and name in work.chosen}
    results = {name: work.failed(name, why) for name, why in refused.items()}
    held_up = work.obstacle() or work.control_plane(results)
    if not held_up:
        work.take_back_tokens()
        work.begin_to_encrypt(results)
        results |= work.workers()
    results |= work.skipped(results, held_up)
    return {name: results[name] for name in names if name in work.chosen}


def look_at(inventory: Inventory, pool: Pool, chosen: Collection[str]) -> Looked:
    """What the controllers and the chosen machines hold of a cluster; of all machines, where no controller has one."""
    wanted = frozenset(chosen)
    some = [host.name for host in inventory.hosts if host.is_controller or host.name in wanted]
    answers = pool.map(members.look, some, limit=inventory.deploy.parallel)
    if not any(isinstance(seen, Membership) and seen.control_plane for seen in answers.values()):
        rest = [host.name for host in inventory.hosts if host.name not in answers]
        answers |= pool.map(members.look, rest, limit=inventory.deploy.parallel) if rest else {}
    return answers


def require_quorum_without(inventory: Inventory, pool: Pool, events: Events, name: str) -> None:
    """Before anything is changed on the controller `name`: raise QuorumAtRisk if the others could not go on without it.

    One that has no part in a cluster, or where etcd has lost its quorum already, takes nothing away.
    """
    host = inventory.host(name)
    answers = look_at(inventory, pool, [name])
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, Membership)}
    work = BringUp(inventory, pool, events, seen, frozenset([name]))
    if work.has_data(host) and seen[name].active:
        with suppress(NobodyListsMembers):
            work.may_restart(host)


@dataclass(frozen=True)
class BringUp:
    """One call of bring_up: what it works on, and what each machine said of itself at the beginning, if it could be
    asked."""

    inventory: Inventory
    pool: Pool
    events: Events
    seen: Mapping[str, Membership]
    chosen: frozenset[str]
    keys: encryption.Keys | None = None

    @property
    def founder(self) -> Host:
        """The controller that hands out tokens: the first with the cluster's data, chosen or not; else the first that
        was chosen."""
        controllers = self.inventory.controllers
        with_data = [host for host in controllers if self.has_data(host)]
        return next(iter([*with_data, *(host for host in controllers if host.name in self.chosen), *controllers]))

    def has_data(self, host: Host) -> bool:
        return host.name in self.seen and self.seen[host.name].control_plane

    def obstacle(self) -> str:
        """Why nobody can join by a founder that was not chosen, and so is left as it is; empty if they can."""
        founder = self.founder
        if founder.name in self.chosen:
            return ""
        if not self.has_data(founder):
            return "no controller that answers has a cluster, and none was chosen"
        problem = join.why_not_serving(self.machine(founder))
        return problem and f"{founder.name}, which has the cluster and was not chosen: {problem}"

    def control_plane(self, results: Results) -> str:
        """Bring up the chosen controllers; why nobody else can join, empty if they can."""
        results |= self.controllers()
        first = results.get(self.founder.name)
        return f"{first.node}, the first controller, is {first.outcome}" if first and not first.outcome.good else ""

    def controllers(self) -> Results:
        """The founder, then the others one by one: etcd takes one new member at a time, and after a failure no more,
        for a second member half in could cost the quorum."""
        results: Results = {}
        if self.founder.name not in self.seen:
            return results
        for host in sorted(self.inventory.controllers, key=lambda host: host != self.founder):
            if host.name not in self.seen or host.name not in self.chosen:
                continue
            step = self.found if host == self.founder else self.join_controller
            results[host.name] = self.attempt(host, step)
            if not results[host.name].outcome.good:
                break
        return results

    def workers(self) -> Results:
        hosts = {host.name: host for host in self.inventory.workers if host.name in self.seen.keys() & self.chosen}
        if not hosts:
            return {}
        try:
            nodes, minors = self.nodes(), self.minors()
        except SlipwayError as error:
            return {name: self.failed(name, error) for name in hosts}
        results = for_each(
            lambda name: self.attempt(hosts[name], lambda host: self.join_worker(host, nodes, minors)),
            hosts,
            limit=self.inventory.deploy.parallel,
        )
        return {
            name: each if isinstance(each, NodeResult) else self.failed(name, each) for name, each in results.items()
        }

    @property
    def writes(self) -> bool:
        """Whether Secrets are encrypted from the start: in a new cluster, and where one controller does so already."""
        return not any(self.has_data(host) for host in self.inventory.controllers) or any(
            seen.encrypts for seen in self.seen.values()
        )

    def bring_key(self, host: Host) -> None:
        """Before k0s is started there. Without keys nobody may take one away that Secrets are encrypted with."""
        if self.keys is not None:
            encryption.place(self.machine(host), self.keys, writes=self.writes)
        elif self.has_data(host):
            encryption.require_unused(self.machine(host))

    def begin_to_encrypt(self, results: Results) -> None:
        """In a cluster that lived before: once every controller can read what is encrypted, all begin to write it."""
        if (
            self.keys is None
            or self.writes
            or not all(self.reads(host, results) for host in self.inventory.controllers)
        ):
            return
        try:
            for host in self.inventory.controllers:
                encryption.place(self.machine(host), self.keys, writes=True)
        except Interrupted:
            raise
        except SlipwayError as error:
            self.events.emit("secrets", "failed", text=f"not encrypted yet: {error}")
        else:
            self.events.emit(
                "secrets", "done", text=f"encrypted from a minute on; then store the old ones anew: {REWRITE}"
            )

    def reads(self, host: Host, results: Results) -> bool:
        """Whether this controller's API server was started with the key."""
        if host.name in results:
            return results[host.name].outcome.good
        seen = self.seen.get(host.name, Membership())
        return seen.decrypts and seen.active and not seen.outdated

    def found(self, host: Host) -> bool:
        self.bring_key(host)
        changed = join.found(
            self.machine(host),
            self.seen[host.name],
            lambda: may_found(self.inventory, self.seen),
            lambda: self.may_restart(host),
            within=self.within,
            say=self.sayer(host),
        )
        return self.with_workloads(host, changed)

    def join_controller(self, host: Host) -> bool:
        self.bring_key(host)
        changed = join.join_controller(
            self.machine(host),
            self.seen[host.name],
            self.machine(self.founder),
            lambda: self.may_restart(host),
            within=self.within,
            say=self.sayer(host),
        )
        self.require_one_cluster(host, changed)
        return self.with_workloads(host, changed)

    def require_one_cluster(self, host: Host, changed: bool) -> None:
        """Whoever joins has the founder's CA; one that has another founded a cluster of its own."""
        first = members.look(self.machine(self.founder)).ca
        own = members.look(self.machine(host)).ca if changed else self.seen[host.name].ca
        if own != first:
            raise SplitCluster(
                f"{host.name}: has another cluster than {self.founder.name}: the digest of its CA is "
                f"{own[:12] or 'unknown'}, there {first[:12] or 'unknown'}",
                hint=f"find out which of the two is yours; if {self.founder.name}'s is: slipway reset {host.name}",
            )

    def may_restart(self, host: Host) -> None:
        """Raise QuorumAtRisk if the other members of etcd could not go on without this one, unless they are all well:
        two members never can, and yet have to be restarted."""
        if len(self.inventory.controllers) == 1:
            return
        known = self.etcd_members(host)
        others = [name for name in known if name != host.name]
        ill = [name for name in others if not self.serves(name)]
        if host.name in known and ill and len(others) - len(ill) < len(known) // 2 + 1:
            raise QuorumAtRisk(
                f"{host.name}: not changed: etcd has {len(known)} members, and {', '.join(ill)} does not serve: "
                f"without {host.name} there is no quorum",
                hint=f"bring {', '.join(ill)} back first, or give its place up: slipway node replace {ill[0]}",
            )

    def etcd_members(self, host: Host) -> Mapping[str, str]:
        """Asked of the controllers one after the other, the one in question last."""
        refused: list[str] = []
        for each in sorted(self.inventory.controllers, key=lambda each: each == host):
            if self.has_data(each) and self.seen[each.name].active:
                try:
                    return members.etcd_members(self.machine(each))
                except SlipwayError as error:
                    refused.append(str(error))
        raise NobodyListsMembers(f"{host.name}: not changed: nobody lists the members of etcd: {'; '.join(refused)}")

    def serves(self, name: str) -> bool:
        """Whether this controller's API server is ready now, with its etcd."""
        known = {host.name for host in self.inventory.controllers}
        return name in known and not join.why_not_serving(self.pool.host(name))

    def take_back_tokens(self) -> None:
        """Invalidate what runs that did not end have handed out to the chosen machines."""
        for name in self.inventory.controllers:
            for token_id, node in self.seen[name.name].issued if name.name in self.seen else ():
                if node in self.chosen:
                    self.take_back(name.name, token_id, node)

    def take_back(self, controller: str, token_id: str, node: str) -> None:
        text = f"join token {token_id} of a run that did not end"
        try:
            token.take_back(self.pool.host(controller), token_id)
        except Interrupted:
            raise
        except SlipwayError as error:
            self.events.emit(PHASE, "failed", node=node, text=f"{text} is still valid: {error}")
        else:
            self.events.emit(PHASE, "done", node=node, text=f"{text} invalidated")

    def with_workloads(self, host: Host, changed: bool) -> bool:
        """k0s joins the kubelet of a controller by itself, some moments after the API server."""
        if host.runs_workloads:
            seen = None if changed else self.seen[host.name]
            join.wait_registered(self.machine(host), self.nodes(), within=self.within, say=self.sayer(host), seen=seen)
        return changed

    def join_worker(self, host: Host, nodes: Nodes, minors: Mapping[str, int]) -> bool:
        by = self.machine(self.founder)
        seen = self.seen[host.name]
        return join.join_worker(
            self.machine(host),
            seen,
            by,
            nodes,
            lambda: self.require_not_ahead(host, minors),
            within=self.within,
            say=self.sayer(host),
        )

    def require_not_ahead(self, host: Host, minors: Mapping[str, int]) -> None:
        """Raise Ahead while a controller serves an older minor version than the worker's k0s has; it runs on as it is.
        (Kubernetes' version skew; k0s's worker profiles have the minor in their names.)"""
        release = host.k0s.version or self.inventory.cluster.k0s.version
        behind = [name for name, minor in minors.items() if minor < minor_of(release)]
        if behind:
            raise Ahead(
                f"{host.name}: its k0s is not started: it would be {release}, and {behind[0]} still serves Kubernetes "
                f"1.{minors[behind[0]]}",
                hint=f"slipway deploy {' '.join(behind)} {host.name}",
            )

    def minors(self) -> Mapping[str, int]:
        """The minor version that each controller serves, of those that have data and say it."""
        names = [host.name for host in self.inventory.controllers if self.has_data(host)]
        answers = self.pool.map(join.serves_minor, names) if names else {}
        return {name: minor for name, minor in answers.items() if isinstance(minor, int)}

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
        except Interrupted:
            raise
        except SlipwayError as error:
            return self.failed(host.name, error, time.monotonic() - started)
        except Exception as error:
            return self.failed(host.name, unforeseen(host.name, error), time.monotonic() - started)
        outcome, reason = (Outcome.OK, what_changed(self.seen[host.name])) if changed else (Outcome.UNCHANGED, "")
        return self.told(NodeResult(host.name, outcome, reason, time.monotonic() - started))

    def failed(self, name: str, error: SlipwayError, duration: float = 0.0) -> NodeResult:
        """The outcome that an error stands for; what k0s said last comes along where the machine can be asked."""
        hint = error.hint or ""
        if isinstance(error, Unreachable):
            return self.told(NodeResult(name, Outcome.UNREACHABLE, str(error), duration, hint=hint))
        if isinstance(error, (MayNotFound, QuorumAtRisk, Ahead, encryption.KeyMissing)):
            return self.told(NodeResult(name, Outcome.BLOCKED, str(error), duration, hint=hint))
        log = self.last_words(name)
        return self.told(NodeResult(name, Outcome.DEGRADED, str(error), duration, log, hint=hint))

    def last_words(self, name: str) -> str:
        try:
            return unit.journal(self.pool.host(name))
        except SlipwayError as error:
            return f"no journal of {unit.UNIT}: {error}"

    def skipped(self, done: Mapping[str, NodeResult], why: str) -> Results:
        names = [host.name for host in self.inventory.hosts if host.name in self.chosen - done.keys()]
        return {name: self.told(NodeResult(name, Outcome.SKIPPED, why)) for name in names}

    def told(self, result: NodeResult) -> NodeResult:
        text = result.reason.splitlines()[0] if result.reason else ""
        # Whoever watches learns what joins; that hundreds are what they were is in the results.
        about = {"quiet": True} if result.outcome is Outcome.UNCHANGED else {}
        self.events.emit(PHASE, result.outcome, result.node, text=text, duration=round(result.duration, 3), **about)
        return result


def what_changed(before: Membership) -> str:
    """What bringing a machine up came to, from what it was before."""
    if not (before.control_plane or before.kubelet):
        return "joined the cluster"
    if before.active and not before.outdated and (before.token or before.sentinel or before.rename):
        return "what was left there is cleared"
    return "k0s runs on its new configuration" if before.outdated else "k0s runs again"


def may_found(inventory: Inventory, seen: Mapping[str, Membership]) -> None:
    """Raise MayNotFound if there is, or may be, a cluster already.

    Called when no machine that answered has a control plane's data. A controller that lost its data would found a
    second cluster beside the first (k0s issues 4415, 5149), and workers would stay with the old one.
    """
    signs = [
        *(f"{host.name} cannot be asked" for host in inventory.controllers if host.name not in seen),
        *(f"{host.name} has joined one" for host in inventory.workers if host.name in seen and seen[host.name].kubelet),
        *(f"{with_port(address, port)} answers" for address, port in api_ports(inventory) if answers(address, port)),
    ]
    if signs:
        raise MayNotFound(
            f"no controller has the data of a cluster, but one may exist: {', '.join(signs)}",
            hint="bring that controller back, or its backup (slipway restore FILE); to begin anew, slipway reset NODE",
        )


def api_ports(inventory: Inventory) -> list[tuple[str, int]]:
    """Where a cluster of this inventory would answer: its controllers, and what stands before them."""
    network, port = inventory.cluster.network, inventory.cluster.k0s.ports.api
    addresses = [host.address for host in inventory.controllers]
    addresses += [network.vip.ip] if network.vip else []
    addresses += [network.external_address] if network.external_address else []
    return [(address, port) for address in addresses]


def answers(address: str, port: int) -> bool:
    """Whether somebody takes connections there and does not hang up at once, as a load balancer does that has nobody
    behind it. Silence is an answer: an API server under load is slow."""
    try:
        with socket.create_connection((address, port), PROBE_TIMEOUT) as connection:
            _shake_hands(connection)
    except OSError:
        return False
    return True


def _shake_hands(connection: socket.socket) -> None:
    """Begin TLS with whoever is there. Raises OSError if it hangs up."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    connection.sendall(hello.read())
    with suppress(TimeoutError):
        if not connection.recv(1):
            raise ConnectionResetError
