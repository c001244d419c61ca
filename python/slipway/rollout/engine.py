"""Deploying a fleet, phase by phase: each for all nodes before the next begins.

preflight, build, copy; then wave by wave drain, activate, confirm, rejoin, be Ready and verified, and uncordon; then
the cluster as a whole. Before there is a cluster, waves activate and confirm alone. Where a phase fails for a node, the
nodes beside it finish, and what comes later waits.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace

from slipway.cluster import (
    backup,
    bringup,
    cilium,
    comparison,
    drain,
    encryption,
    kubeconfig,
    marks,
    members,
    rekeying,
    skew,
)
from slipway.cluster.bringup import Looked
from slipway.cluster.drain import Abandoned
from slipway.cluster.patience import patiently
from slipway.errors import Degraded, DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.groups import named, typed
from slipway.node import health, logins, reboot
from slipway.node.activate import Limits, activate
from slipway.node.facts import Facts
from slipway.node.reboot import When
from slipway.outcome import NodeResult, Outcome, outcome_of
from slipway.result import CommandFailed, CommandTimedOut, OddAnswer
from slipway.rollout import living, revision
from slipway.rollout.interruption import Interruption
from slipway.rollout.living import Living
from slipway.rollout.phases import LOCAL, Preparation
from slipway.rollout.waves import Wave, waves
from slipway.ssh.host import Host
from slipway.ssh.keys import HostKeyRefused
from slipway.ssh.pool import unforeseen
from slipway.tools.kubeconfig import Kubeconfig
from slipway.verify import catalog
from slipway.words import counted

GOES_ON = (Outcome.OK, Outcome.UNCHANGED, Outcome.REBOOT_REQUIRED)
"""Outcomes after which the next wave may begin: the node serves as well as it did before."""


MOST_STEPS = 2
"""Different things that nodes need, which are told before what to type then; each result has its own."""


@dataclass(frozen=True)
class Deployment:
    """How a run ended: every chosen node in inventory order, and what concerned the cluster as a whole."""

    nodes: tuple[NodeResult, ...]
    error: SlipwayError | None = None
    command: str = "deploy"
    boot: bool = False
    """Whether the systems were for the next boot."""
    whole: bool = True
    """Whether they are all nodes of the inventory, which a command without names would take."""

    def failure(self) -> SlipwayError | None:
        """What the process should end with: the gravest there is."""
        if self.error is not None:
            return self.error
        for outcomes, kind in GRAVITY:
            told = [f"{outcome}: {self._named(outcome)}" for outcome in outcomes if self._named(outcome)]
            if told:
                return kind("; ".join(told), hint=self._next())
        return None

    def _named(self, outcome: Outcome) -> str:
        return named([node.node for node in self.nodes if node.outcome is outcome])

    def _next(self) -> str:
        """What the nodes themselves need first, as far as it is known, then the same once more."""
        bad = [node for node in self.nodes if not node.outcome.good and not node.untrusted]
        steps = list(dict.fromkeys(node.hint for node in bad if node.hint))[:MOST_STEPS]
        first = "; ".join(steps)
        if not first or any(node.untrusted for node in self.nodes):
            return self._again()
        return first if f"slipway {self.command}" in first else f"{first}; then {self._again()}"

    def _again(self) -> str:
        untrusted = [node.node for node in self.nodes if node.untrusted]
        if untrusted:
            return f"slipway trust{typed(untrusted)}"
        left = [node.node for node in self.nodes if not node.outcome.good]
        if self.command == "reboot":  # takes no node that is not named
            return f"slipway reboot {' '.join(left)}"
        if all(node.outcome is Outcome.REBOOT_REQUIRED for node in self.nodes if node.node in left):
            return f"slipway reboot {' '.join(left)}" if self.boot else f"slipway deploy --reboot auto{typed(left)}"
        every = len(self.nodes) if self.command == "deploy" and self.whole else None
        return f"slipway {self.command}{typed(left, of=every)}"


GRAVITY: tuple[tuple[tuple[Outcome, ...], type[SlipwayError]], ...] = (
    ((Outcome.ACTIVATION_FAILED, Outcome.ROLLED_BACK, Outcome.BLOCKED), DeployFailed),
    ((Outcome.UNREACHABLE,), Unreachable),
    ((Outcome.DEGRADED, Outcome.REBOOT_REQUIRED), Degraded),
    ((Outcome.SKIPPED,), DeployFailed),
)


@dataclass(frozen=True)
class Options:
    """What one run does otherwise than the inventory says.

    `boot`: the systems are set for the next boot, and nothing is activated. `keep_going`: nodes that cannot be reached
    are left out. `batch`: workers of a wave, as in `deploy.waves.size`.
    `join`: without it no cluster is founded, and none joined: for machines that a backup is restored to.
    """

    boot: bool = False
    keep_going: bool = False
    batch: str = ""
    drain: bool = True
    reboot: When = When.NEVER
    join: bool = True
    build_on: str = LOCAL
    older: bool = False
    """Nodes may go back to what an earlier commit says."""
    only_reboot: bool = False
    """Every node boots what it has: nothing is activated, and the cluster is left as it is."""
    taken_back: str = ""
    """The run before which nodes go back, by its id; empty where they go forward."""

    @property
    def command(self) -> str:
        """What to type for the same once more: a deploy would take nodes forward that were to go back."""
        back = f"rollback --run {self.taken_back}" if self.taken_back else "deploy"
        return "reboot" if self.only_reboot else back


def deploy(preparation: Preparation, interruption: Interruption, options: Options = Options()) -> Deployment:
    """Make every chosen host run its system and be a Ready node; what becomes of a node is in its result.

    Raises what keeps a run from reaching any node: stale or invalid files, a failed evaluation or build.
    """
    rollout = _Rollout(preparation, interruption, options)
    try:
        rollout.run()
    except KeyboardInterrupt:
        rollout.interrupted()
    rollout.name_cordoned()
    nodes = tuple(rollout.results[name] for name in preparation.names)
    whole = len(preparation.hosts) == len(preparation.inventory.hosts)
    return Deployment(nodes, rollout.error, options.command, options.boot, whole)


@dataclass
class _Rollout:
    preparation: Preparation
    interruption: Interruption
    options: Options
    results: dict[str, NodeResult] = field(default_factory=dict)
    error: SlipwayError | None = None
    degraded_before: set[str] = field(default_factory=set)
    """Nodes that this run did not touch and whose units had failed before it: no reason to stop."""
    looked: Looked | None = None
    """What machines say of the cluster, while nothing has changed since."""
    living: Living | None = None
    held_up: str = ""
    """For whose sake nothing else begins."""
    half: set[str] = field(default_factory=set)
    """Nodes that were activated, and whose part in the cluster has still to follow."""
    cordoned: set[str] = field(default_factory=set)
    """Nodes that slipway has cordoned and not let back."""

    def run(self) -> None:
        self.preparation.require_generated()
        # Raises for a pack that does not exist, while nothing has changed.
        catalog.chosen(self.preparation.inventory, self.preparation.inventory.deploy.waves.verify)
        facts = self._preflight()
        if facts is None:
            return
        if self.options.only_reboot:
            self._reboot_all()
            return
        if self.preparation.commit is not None and not self.options.older:
            revision.require_newer(self.preparation.inventory.root, facts)
        self._compare()
        systems = self.preparation.build()
        changed = {name: system for name, system in systems.items() if not facts[name].runs(system)}
        self._remember({name: facts[name].current for name in changed}, changed)
        for name, system in systems.items():
            if name not in changed:
                self._unchanged(name, system, facts[name])
        copied = self._copy(changed)
        if copied is None:
            return
        changed = copied
        self._find_cluster()
        if not self._backed_up(changed) or not self._passwords(facts):
            return
        self._change(changed)
        if not self.held_up and not self._waits_for_boot and self.options.join:
            self._bring_up()

    def _reboot_all(self) -> None:
        self._find_cluster()
        self._change(self.preparation.build())

    @property
    def _waits_for_boot(self) -> bool:
        """Whether all that changes does so at a boot that is somebody else's business."""
        return self.options.boot and self.options.reboot is When.NEVER

    @property
    def _has_more_to_come(self) -> bool:
        """Whether a node that was activated is to join, or to be a node again."""
        joins = self.options.join and not self.options.only_reboot
        return not self._waits_for_boot and (joins or self.living is not None)

    # --- phases ---

    def _preflight(self) -> dict[str, Facts] | None:
        answers = self.preparation.preflight()
        refused = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
        if refused and not self._may_go_without(refused):
            self._stop_before(refused, "nothing was touched")
            return None
        self._leave_out(refused)
        return {name: answer for name, answer in answers.items() if isinstance(answer, Facts)}

    def _compare(self) -> None:
        """Raises where the inventory wants what the living cluster cannot become."""
        inventory, pool, names = self.preparation.inventory, self.preparation.pool, self.preparation.names
        cluster = comparison.require(inventory, pool, self.preparation.events, names).cluster
        if cluster is not None:
            skew.require(inventory, skew.running(inventory, pool, cluster), names)
        if self.preparation.encryption_keys is not None:
            rekeying.check(self.preparation.encryption_keys, inventory, pool)

    def _backed_up(self, changed: Collection[str]) -> bool:
        """Whether the run may go on: with a backup before k0s goes to another minor release, whose data has no way
        back."""
        inventory, pool, events = self.preparation.inventory, self.preparation.pool, self.preparation.events
        keep, wanted = self.preparation.keep, inventory.deploy.backup_before_upgrade
        if keep is None or not wanted or self.living is None or self._waits_for_boot:
            return True
        rises = skew.rises(inventory, pool, changed)
        if not rises:
            return True
        try:
            path = keep(backup.make(inventory, pool, events))
        except Interrupted:
            raise
        except SlipwayError as error:
            why = f"no backup of the control plane before k0s goes to 1.{rises}"
            self.error = DeployFailed(f"nothing was changed: {why}: {error}", hint="slipway backup; or set "
                                      "deploy.backupBeforeUpgrade: false to go without")  # fmt: skip
            self._skip([name for name in self.preparation.names if name not in self.results], why)
            return False
        events.emit("backup", "done", text=f"{path}, before k0s goes to 1.{rises}")
        return True

    def _passwords(self, facts: Mapping[str, Facts]) -> bool:
        """Whether the run may go on: who pulls images by mirrors that ask for a password has it, and nobody else."""
        takers, pool = self.preparation.pull_images, self.preparation.pool
        stale = [name for name, seen in facts.items() if seen.has_logins and name not in takers]
        given = pool.map(lambda machine: logins.place(machine, self.preparation.logins), takers)
        taken = pool.map(logins.remove, stale)
        failed = {name: answer for name, answer in {**given, **taken}.items() if isinstance(answer, SlipwayError)}
        new = sum(answer is True for answer in given.values())
        if new or stale:
            words = ((new, f"{counted(new, 'node')} with new ones"), (stale, f"taken from {', '.join(stale)}"))
            told = "; ".join(text for is_so, text in words if is_so)
            self.preparation.events.emit("passwords", "failed" if failed else "done", text=told)
        if failed:
            self._stop_before(failed, "no system was activated: not every node has the passwords of its mirrors")
        return not failed

    def _remember(self, old: Mapping[str, str | None], new: Mapping[str, str]) -> None:
        """Before anything changes: the way back, also of a run that is killed (rollout/runs.py reads it)."""
        text = f"{len(new)} of {counted(len(self.preparation.names), 'node')} get another system"
        self.preparation.events.emit("systems", "done", text=text, old=dict(old), new=dict(new))

    def _may_go_without(self, refused: Mapping[str, SlipwayError]) -> bool:
        """Whoever cannot be reached is left out if that was asked for, as long as somebody is left."""
        unreachable = all(isinstance(error, Unreachable) for error in refused.values())
        return self.options.keep_going and unreachable and len(refused) < len(self.preparation.hosts)

    def _leave_out(self, refused: Mapping[str, SlipwayError]) -> None:
        self.results |= {name: _failed(name, error) for name, error in refused.items()}
        rest = [host for host in self.preparation.hosts if host.name not in refused]
        self.preparation = replace(self.preparation, hosts=rest)

    def _copy(self, systems: Mapping[str, str]) -> dict[str, str] | None:
        """The systems of those that have them now and are gone on with; None where nobody is."""
        failed = self.preparation.copy(systems)
        if failed and not self._may_go_without(failed):
            self._stop_before(failed, "its system was copied and not activated")
            return None
        self._leave_out(failed)
        return {name: system for name, system in systems.items() if name not in failed}

    def _find_cluster(self) -> None:
        inventory, drains = self.preparation.inventory, self.options.drain
        self.looked = bringup.look_at(inventory, self.preparation.pool, self.preparation.names)
        if living.is_there(inventory, self.looked):
            self.living = Living(self.preparation, self.looked, drains, lambda: self.interruption.asked)

    def _change(self, systems: Mapping[str, str]) -> None:
        """Wave by wave what gets another system, or another k0s. An interruption lets the wave that has begun end, and
        no other begin."""
        outdated = self.living.outdated if self.living and not self._waits_for_boot else frozenset()
        todo = systems.keys() | (outdated - self.degraded_before)
        hosts = [host for host in self.preparation.hosts if host.name in todo]
        self.looked = None if hosts else self.looked
        for wave in waves(self.preparation.inventory, hosts, self.options.batch):
            if self.held_up:
                self._skip(wave.nodes, f"waits for {self.held_up}")
                continue
            self.preparation.events.emit("wave", "started", text=wave.title)
            with self.interruption.sheltered():
                self._change_wave(wave, systems)
            self._settle(wave)
            self.half -= set(wave.nodes if self.living is not None else ())
            self.held_up = self._held_up(wave)
            told = f"{wave.title}: {self.held_up or _count(wave.nodes)}"
            self.preparation.events.emit("wave", "failed" if self.held_up else "done", text=told)

    def _change_wave(self, wave: Wave, systems: Mapping[str, str]) -> None:
        """All at once, as far as `deploy.parallel` lets them. After one failure too many what has begun ends, and no
        other begins: it would most likely fail the same way."""

        def one(host: Host) -> None:
            if self.interruption.asked or self._held_up(wave):
                return
            try:
                self.results[host.name] = self._change_node(host, systems.get(host.name))
                if self._has_more_to_come:
                    self.half.add(host.name)
            except Abandoned:
                self._skip([host.name], "interrupted before it was activated: it runs what it ran")
            except SlipwayError as error:
                # Raised before anything was changed: what comes later is in the result.
                self._release([host.name])
                self.results[host.name] = self._failed(host.name, error)

        done = self.preparation.pool.map(one, wave.nodes, limit=self.preparation.inventory.deploy.parallel)
        for name, result in done.items():
            if isinstance(result, SlipwayError):
                self.results[name] = self._failed(name, result)
        held_up = self._held_up(wave)
        if held_up:
            self._skip([name for name in wave.nodes if name not in self.results], f"waits for {held_up}")

    def _change_node(self, host: Host, system: str | None) -> NodeResult:
        """`system`: None where only k0s is to be restarted, which rejoining does. Raises what keeps the node from being
        changed at all."""
        if system is None:
            self._empty(host)
            return self.results[host.name]
        if self.options.only_reboot:
            self._empty(host, system, reboots=True)
            return self._reboot(host, NodeResult(host.name, Outcome.OK, old_system=system, new_system=system))
        boots_other = reboot.parts(host, system)
        reboots = self.options.reboot is When.ALWAYS or (self.options.reboot is When.AUTO and bool(boots_other))
        self._empty(host, system, reboots=reboots)
        result = self._activate_node(host, system, boot=self.options.boot)
        if result.outcome is Outcome.REBOOT_REQUIRED and self.options.reboot is not When.NEVER:
            self._drain(host)
            if not self.options.boot:
                result = self._activate_node(host, system, boot=True)
            reboots = True
        if reboots and result.outcome in GOES_ON:
            return self._reboot(host, result)
        if result.outcome is Outcome.BLOCKED:
            self._release([host.name])
        if result.outcome is Outcome.OK and boots_other and not result.reason:
            return replace(result, reason=f"the next boot brings another {' and '.join(boots_other)}")
        return result

    def _empty(self, host: Host, system: str = "", *, reboots: bool = False) -> None:
        """Ask whether the others can do without a controller, and take the pods off a node that is disturbed."""
        if self.living is None or self._waits_for_boot:
            return
        self.living.may_change(host.name)
        if reboots or (not self.options.boot and self.living.is_disturbed(host, system)):
            self._drain(host)

    def _drain(self, host: Host) -> None:
        if self.living is not None and host.name not in self.cordoned and self.living.empty(host):
            self.cordoned.add(host.name)

    def _release(self, names: Iterable[str]) -> None:
        mine = [name for name in names if name in self.cordoned]
        if self.living is not None and mine:
            self.cordoned -= set(self.living.release(mine))

    def _reboot(self, host: Host, result: NodeResult) -> NodeResult:
        events, within = self.preparation.events, self.preparation.inventory.deploy.timeouts.reboot
        began = time.monotonic()
        events.emit("reboot", "started", host.name)
        try:
            now = reboot.reboot(
                host, str(result.new_system), within=within, given_up=lambda: self.interruption.insisted
            )
        except SlipwayError as error:
            events.emit("reboot", "failed", host.name, reason=str(error))
            outcome = Outcome.UNREACHABLE if isinstance(error, Unreachable) else Outcome.ACTIVATION_FAILED
            return replace(result, outcome=outcome, reason=str(error), hint=error.hint or "")
        events.emit("reboot", "done", host.name)
        # What was set for the boot alone has come with it: its activation was nothing to note.
        revision.note(host, str(result.new_system), self.preparation.commit)
        result = replace(result, duration=result.duration + time.monotonic() - began)
        if now.failed_units:
            reason = f"rebooted; units failed: {' '.join(now.failed_units)}"
            return replace(result, outcome=Outcome.DEGRADED, reason=reason)
        return replace(result, outcome=Outcome.OK, reason="rebooted")

    def _settle(self, wave: Wave) -> None:
        """The nodes of a wave are nodes again, Ready, and verified, before anything else begins; then they may have
        pods again. One that is not keeps its cordon."""
        going = self._going(wave.nodes)
        if self.living is None or self._waits_for_boot or not going:
            return
        try:
            for name, joined in self.living.rejoin(going).items():
                self.results[name] = _both(self.results[name], joined)
            for name, why in self.living.not_well(self._going(going)).items():
                self._degrade(name, why)
        except Exception as error:
            for name in self._going(going):
                self._degrade(name, str(error if isinstance(error, SlipwayError) else unforeseen(name, error)))
        # What was refused runs on as it did.
        self._release([*self._going(going), *(n for n in going if self.results[n].outcome is Outcome.BLOCKED)])

    def _going(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.results and self.results[name].outcome in GOES_ON]

    def _degrade(self, name: str, why: str) -> None:
        self.preparation.events.emit("ready", Outcome.DEGRADED.value, name, reason=why)
        self.results[name] = replace(self.results[name], outcome=Outcome.DEGRADED, reason=why)

    def _activate_node(self, host: Host, system: str, *, boot: bool) -> NodeResult:
        timeouts, keys = self.preparation.inventory.deploy.timeouts, self.preparation.encryption_keys
        settings = self.preparation.inventory.host(host.name).deploy
        check = settings.health_check
        if self.preparation.inventory.host(host.name).is_controller:
            encryption.prepare(host, keys) if keys is not None else encryption.require_unused(host)
        result = activate(
            host,
            system,
            self.preparation.events,
            limits=Limits(
                timeouts.activate, timeouts.confirm, reboot=timeouts.reboot if settings.reboot_if_stuck else 0.0
            ),
            given_up=lambda: self.interruption.insisted,
            boot=boot,
            problem=lambda fresh: health.problem(fresh, check) if check else "",
        )
        if result.outcome in (Outcome.OK, Outcome.DEGRADED):
            revision.note(host, system, self.preparation.commit)
        return result

    def _bring_up(self) -> None:
        """The cluster is one: membership is looked at for all of it; the chosen nodes join and are waited for."""
        inventory, pool, events = self.preparation.inventory, self.preparation.pool, self.preparation.events
        names = [name for name in self.preparation.names if name in self._going([name]) or name in self.degraded_before]
        try:
            joined = bringup.bring_up(inventory, pool, events, names, self.preparation.encryption_keys, self.looked)
            for name in names:
                self.results[name] = _both(self.results[name], joined[name])
            if all(name in self.degraded_before or self._going([name]) for name in names):
                secret = kubeconfig.of(inventory, pool)
                ready = inventory.deploy.timeouts.ready
                patiently(lambda: cilium.ensure(inventory, secret, events), events, within=ready)
                patiently(lambda: marks.apply(inventory, secret, events, self.preparation.names), events, within=ready)
                self._wait_ready(members.Nodes(secret), names)
                self._let_back(secret, names)
        except (CommandFailed, CommandTimedOut, OddAnswer) as error:
            self.error = DeployFailed(
                str(error), hint=error.hint or "again, which leaves alone what is done: slipway deploy"
            )
        except SlipwayError as error:
            self.error = error
        except Exception as error:
            self.error = unforeseen("the cluster", error)
        self.half.clear()

    def _let_back(self, secret: Kubeconfig, names: Iterable[str]) -> None:
        """Nodes that an earlier run had to leave cordoned, and that are well now."""
        for name in drain.left_cordoned(secret, names):
            drain.uncordon(secret, name)
            self.preparation.events.emit("uncordon", "done", name)

    def _wait_ready(self, nodes: members.Nodes, chosen: Collection[str]) -> None:
        names = tuple(host.name for host in self.preparation.hosts if host.runs_workloads and host.name in chosen)
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

    def _held_up(self, wave: Wave) -> str:
        """The nodes of this wave for whose sake nothing else begins, and what they are; empty while few failed."""
        results = [self.results[name] for name in wave.nodes if name in self.results]
        failed = [result for result in results if result.outcome not in (*GOES_ON, Outcome.SKIPPED)]
        return ", ".join(f"{r.node} ({r.outcome})" for r in failed) if len(failed) > wave.max_failures else ""

    def name_cordoned(self) -> None:
        """Whoever reads why a node failed learns that it takes no pods."""
        for name in self.cordoned & self.results.keys():
            result = self.results[name]
            reason = f"{result.reason}; it stays cordoned" if result.reason else "it stays cordoned"
            self.results[name] = replace(result, reason=reason)

    def _failed(self, name: str, error: SlipwayError) -> NodeResult:
        result = _failed(name, error)
        self.preparation.events.emit("activate", result.outcome.value, name, reason=result.reason)
        return result

    def _go_on(self, left: Collection[str], failed: Collection[str]) -> str:
        """A run that was interrupted knows its nodes and options; one that failed is done anew. A reboot does what it
        is told."""
        if self.options.only_reboot:
            return f"slipway reboot {' '.join(left)}".strip()
        again = typed([*failed, *left], of=len(self.preparation.inventory.hosts))
        return f"slipway {self.options.command}{again}" if failed else "slipway resume"

    def interrupted(self) -> None:
        if not self.interruption.insisted:
            self._release(self._going(self.cordoned))
        left = [name for name in self.preparation.names if name not in self.results]
        self._skip(left, "interrupted before it was activated: it runs what it ran")
        order = [host.name for host in self.preparation.inventory.hosts]
        half = sorted(self._going(self.half), key=order.index)
        for name in half:
            why = "interrupted between its activation and its join"
            self.results[name] = replace(self.results[name], reason=self.results[name].reason or why)
        results = sorted(self.results.values(), key=lambda result: order.index(result.node))
        done = [result.node for result in results if result.outcome in GOES_ON and result.node not in half]
        failed = [result for result in results if result.outcome not in (*GOES_ON, Outcome.SKIPPED)]
        lost = [f"{result.node} ({result.outcome})" for result in failed]
        as_before = [result.node for result in results if result.outcome is Outcome.SKIPPED]
        said = {"finished": done, "activated, not yet joined": half, "failed": lost, "as before": as_before}
        what = "; ".join(f"{word}: {' '.join(names)}" for word, names in said.items() if names)
        # A failure that came before is graver than that somebody did not wait for the rest.
        kind = DeployFailed if lost else Interrupted
        self.error = kind(f"interrupted; {what}", hint=self._go_on(left, [result.node for result in failed]))


def _count(nodes: Sized) -> str:
    return counted(len(nodes), "node")


def _failed(name: str, error: SlipwayError) -> NodeResult:
    untrusted = isinstance(error, HostKeyRefused)
    return NodeResult(name, outcome_of(error), str(error), hint=error.hint or "", untrusted=untrusted)


def _both(activated: NodeResult, joined: NodeResult) -> NodeResult:
    """One result for what became of the machine and of the node: the worse one, or the one that changed something."""
    duration = activated.duration + joined.duration
    if joined.outcome is Outcome.UNCHANGED:
        return replace(activated, duration=duration)
    log = joined.log or activated.log
    reason = "; ".join(filter(None, (activated.reason, joined.reason))) if joined.outcome.good else joined.reason
    return replace(activated, outcome=joined.outcome, reason=reason, log=log, duration=duration, hint=joined.hint)
