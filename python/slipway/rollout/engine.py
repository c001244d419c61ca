"""Deploying a fleet, phase by phase: each for all nodes before the next begins.

preflight, build, copy; then wave by wave activate and confirm; then the cluster. Where a phase fails for a node, the
nodes beside it finish, and what comes later waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from slipway.cluster import bringup, cilium, comparison, encryption, kubeconfig, marks, members
from slipway.errors import Degraded, DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.node.activate import Limits, activate
from slipway.node.facts import Facts
from slipway.outcome import NodeResult, Outcome
from slipway.result import CommandFailed, CommandTimedOut
from slipway.rollout.interruption import Interruption
from slipway.rollout.phases import Preparation, outcome_of
from slipway.rollout.waves import Wave, waves
from slipway.ssh.host import Host

GOES_ON = (Outcome.OK, Outcome.UNCHANGED, Outcome.REBOOT_REQUIRED)
"""Outcomes after which the next wave may begin: the node serves as well as it did before."""


@dataclass(frozen=True)
class Deployment:
    """How a run ended: every chosen node in inventory order, and what concerned the cluster as a whole."""

    nodes: tuple[NodeResult, ...]
    error: SlipwayError | None = None

    def failure(self) -> SlipwayError | None:
        """What the process should end with: the gravest there is."""
        if self.error is not None:
            return self.error
        for outcomes, kind in GRAVITY:
            told = [f"{outcome}: {self._named(outcome)}" for outcome in outcomes if self._named(outcome)]
            if told:
                return kind("; ".join(told), hint=self._again())
        return None

    def _named(self, outcome: Outcome) -> str:
        return " ".join(node.node for node in self.nodes if node.outcome is outcome)

    def _again(self) -> str:
        left = [node.node for node in self.nodes if not node.outcome.good]
        return "slipway deploy" if len(left) == len(self.nodes) else f"slipway deploy {' '.join(left)}"


GRAVITY: tuple[tuple[tuple[Outcome, ...], type[SlipwayError]], ...] = (
    ((Outcome.ACTIVATION_FAILED, Outcome.ROLLED_BACK, Outcome.BLOCKED), DeployFailed),
    ((Outcome.UNREACHABLE,), Unreachable),
    ((Outcome.DEGRADED, Outcome.REBOOT_REQUIRED), Degraded),
    ((Outcome.SKIPPED,), DeployFailed),
)


def deploy(preparation: Preparation, interruption: Interruption, *, boot: bool = False) -> Deployment:
    """Make every chosen host run its system and be a Ready node; what becomes of a node is in its result.

    With `boot` the systems are set for the next boot, and nothing is activated.

    Raises what keeps a run from reaching any node: stale or invalid files, a failed evaluation or build.
    """
    rollout = _Rollout(preparation, interruption, boot)
    try:
        rollout.run()
    except KeyboardInterrupt:
        rollout.interrupted()
    return Deployment(tuple(rollout.results[name] for name in preparation.names), rollout.error)


@dataclass
class _Rollout:
    preparation: Preparation
    interruption: Interruption
    boot: bool
    results: dict[str, NodeResult] = field(default_factory=dict)
    error: SlipwayError | None = None
    degraded_before: set[str] = field(default_factory=set)
    """Nodes that this run did not touch and whose units had failed before it: no reason to stop."""

    def run(self) -> None:
        self.preparation.require_generated()
        facts = self._preflight()
        if facts is None:
            return
        self._compare()
        systems = self.preparation.build()
        changed = {name: system for name, system in systems.items() if not facts[name].runs(system)}
        for name, system in systems.items():
            if name not in changed:
                self._unchanged(name, system, facts[name])
        if not self._copy(changed):
            return
        self._activate(changed)
        if self._all_good():
            self._bring_up()

    # --- phases ---

    def _preflight(self) -> dict[str, Facts] | None:
        answers = self.preparation.preflight()
        refused = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
        if refused:
            self._stop_before(refused, "nothing was touched")
            return None
        return {name: answer for name, answer in answers.items() if isinstance(answer, Facts)}

    def _compare(self) -> None:
        """Raises where the inventory wants what the living cluster cannot become."""
        comparison.require(
            self.preparation.inventory, self.preparation.pool, self.preparation.events, self.preparation.names
        )

    def _copy(self, systems: Mapping[str, str]) -> bool:
        failed = self.preparation.copy(systems)
        if failed:
            self._stop_before(failed, "its system was copied and not activated")
        return not failed

    def _activate(self, systems: Mapping[str, str]) -> None:
        """Wave by wave. An interruption lets the wave that has begun end, and no other begin."""
        hosts = [host for host in self.preparation.hosts if host.name in systems]
        held_up = ""
        with self.interruption.sheltered():
            for wave in waves(self.preparation.inventory, hosts):
                if held_up:
                    self._skip(wave.nodes, f"waits for {held_up}")
                elif not self.interruption.asked:
                    self._activate_wave(wave, systems)
                    held_up = self._held_up(wave)

    def _activate_wave(self, wave: Wave, systems: Mapping[str, str]) -> None:
        """All at once, as far as `deploy.parallel` lets them. After one failure too many what has begun ends, and no
        other begins: it would most likely fail the same way."""

        def one(host: Host) -> NodeResult | None:
            if self.interruption.asked or self._held_up(wave):
                return None
            try:
                result = self._activate_node(host, systems[host.name])
            except SlipwayError as error:
                result = _failed(host.name, error)
            self.results[host.name] = result
            return result

        done = self.preparation.pool.map(one, wave.nodes, limit=self.preparation.inventory.deploy.parallel)
        for name, result in done.items():
            if isinstance(result, SlipwayError):
                self.results[name] = _failed(name, result)
        held_up = self._held_up(wave)
        if held_up:
            self._skip([name for name in wave.nodes if name not in self.results], f"waits for {held_up}")

    def _activate_node(self, host: Host, system: str) -> NodeResult:
        timeouts, key = self.preparation.inventory.deploy.timeouts, self.preparation.encryption_key
        if self.preparation.inventory.host(host.name).is_controller:
            encryption.prepare(host, key) if key is not None else encryption.require_unused(host)
        return activate(
            host,
            system,
            self.preparation.events,
            limits=Limits(timeouts.activate, timeouts.confirm),
            given_up=lambda: self.interruption.insisted,
            boot=self.boot,
        )

    def _bring_up(self) -> None:
        """The cluster is one: membership is looked at for all of it; the chosen nodes join and are waited for."""
        inventory, pool, events = self.preparation.inventory, self.preparation.pool, self.preparation.events
        names, key = self.preparation.names, self.preparation.encryption_key
        in_waves = [wave.nodes for wave in waves(inventory, self.preparation.hosts)]
        try:
            joined = bringup.bring_up(inventory, pool, events, names, key, in_waves)
            for name in self.preparation.names:
                self.results[name] = _both(self.results[name], joined[name])
            if self._all_good():
                secret = kubeconfig.of(inventory, pool)
                cilium.ensure(inventory, secret, events)
                marks.apply(inventory, secret, events, self.preparation.names)
                self._wait_ready(members.Nodes(secret))
        except (CommandFailed, CommandTimedOut) as error:
            self.error = DeployFailed(str(error), hint=error.hint)
        except SlipwayError as error:
            self.error = error

    def _wait_ready(self, nodes: members.Nodes) -> None:
        names = tuple(host.name for host in self.preparation.hosts if host.runs_workloads)
        deadline = self.preparation.inventory.deploy.timeouts.ready
        since = members.started(self.preparation.pool, names)
        try:
            members.wait_ready(nodes, names, self.preparation.events, deadline=deadline, since=since)
        except Degraded:
            for name, why in nodes.not_ready(names, since).items():
                self.results[name] = replace(self.results[name], outcome=Outcome.DEGRADED, reason=f"not Ready: {why}")
            raise

    # --- what is written down ---

    def _unchanged(self, name: str, system: str, facts: Facts) -> None:
        """It runs its system already. Where units of it failed it is as degraded as its activation said."""
        outcome, reason = Outcome.UNCHANGED, ""
        if facts.failed_units:
            outcome, reason = Outcome.DEGRADED, f"units failed: {' '.join(facts.failed_units)}"
            self.degraded_before.add(name)
        self.preparation.events.emit("activate", outcome.value, name, reason=reason)
        self.results[name] = NodeResult(name, outcome, reason, old_system=system, new_system=system)

    def _stop_before(self, failed: Mapping[str, SlipwayError], where: str) -> None:
        for name, error in failed.items():
            self.results[name] = _failed(name, error)
        others = [name for name in self.preparation.names if name not in self.results]
        self._skip(others, f"{where}, because of {', '.join(failed)}")

    def _skip(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            self.preparation.events.emit("activate", Outcome.SKIPPED.value, name, reason=reason)
            self.results[name] = NodeResult(name, Outcome.SKIPPED, reason)

    def _all_good(self) -> bool:
        return all(result.outcome.good or name in self.degraded_before for name, result in self.results.items())

    def _held_up(self, wave: Wave) -> str:
        """The nodes of this wave for whose sake nothing else begins, and what they are; empty while few failed."""
        results = [self.results[name] for name in wave.nodes if name in self.results]
        failed = [result for result in results if result.outcome not in (*GOES_ON, Outcome.SKIPPED)]
        return ", ".join(f"{r.node} ({r.outcome})" for r in failed) if len(failed) > wave.max_failures else ""

    def interrupted(self) -> None:
        left = [name for name in self.preparation.names if name not in self.results]
        self._skip(left, "interrupted before it was activated: it runs what it ran")
        results = [self.results[name] for name in self.preparation.names]
        done = [result.node for result in results if result.outcome in GOES_ON]
        lost = [f"{r.node} ({r.outcome})" for r in results if r.outcome not in (*GOES_ON, Outcome.SKIPPED)]
        as_before = [result.node for result in results if result.outcome is Outcome.SKIPPED]
        said = {"finished": done, "failed": lost, "as before": as_before}
        what = "; ".join(f"{word}: {' '.join(names)}" for word, names in said.items() if names)
        # A failure that came before is graver than that somebody did not wait for the rest.
        kind = DeployFailed if lost else Interrupted
        self.error = kind(f"interrupted; {what}", hint="slipway deploy")


def _failed(name: str, error: SlipwayError) -> NodeResult:
    return NodeResult(name, outcome_of(error), str(error))


def _both(activated: NodeResult, joined: NodeResult) -> NodeResult:
    """One result for what became of the machine and of the node: the worse one, or the one that changed something."""
    duration = activated.duration + joined.duration
    if joined.outcome is Outcome.UNCHANGED:
        return replace(activated, duration=duration)
    log = joined.log or activated.log
    return replace(activated, outcome=joined.outcome, reason=joined.reason, log=log, duration=duration)
