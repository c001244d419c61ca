"""The phases before anything changes: everybody answers, everything is generated, built and copied.

Each goes over all nodes before the next begins, so that what can fail early fails while all nodes are as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from slipway import inside
from slipway.cluster.backup import Archive
from slipway.cluster.encryption import Keys
from slipway.errors import DeployFailed, InvalidInput, SlipwayError
from slipway.events import Events
from slipway.generate import tree, writer
from slipway.inventory import Host as InventoryHost
from slipway.inventory import Inventory
from slipway.node import facts
from slipway.node.facts import Facts
from slipway.node.logins import Login
from slipway.node.places import NIXOS
from slipway.outcome import outcome_of
from slipway.rollout import evaluation, sources
from slipway.rollout.copying import Copying
from slipway.ssh import openssh
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool, for_each
from slipway.tools import git, nix
from slipway.tools.nix import CacheKeys
from slipway.words import counted

LOCAL, REMOTE = "local", "remote"
"""Where systems are built: here, on the node that each is for, or on the node that is named instead."""


class Obstructed(DeployFailed):
    """The node answers, but no system can be activated there."""


@dataclass(frozen=True)
class Preparation:
    """What the first phases work on: some hosts of an inventory, and the ways to them."""

    inventory: Inventory
    hosts: Sequence[InventoryHost]
    pool: Pool
    events: Events
    encryption_keys: Keys | None = None
    """For Secrets at rest; None: they are not encrypted."""

    keep: Callable[[Archive], Path] | None = None
    """Writes a backup of the control plane into a file; None: none is made."""

    build_on: str = LOCAL

    cache_keys: CacheKeys | None = None
    """For what is copied to `deploy.cache`; None: nothing is."""

    logins: Mapping[str, Login] = field(default_factory=dict)
    """Mirror of registries, as host or host:port, to what it wants to hear of its user."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    @property
    def pull_images(self) -> tuple[str, ...]:
        """The nodes whose containerd asks mirrors that want a password."""
        return tuple(host.name for host in self.hosts if self.logins and host.runs_workloads)

    @cached_property
    def commit(self) -> str | None:
        """What the systems are made from; None outside of a repository, and where they are made from none."""
        return git.head(self.inventory.root) or None

    def require_generated(self) -> None:
        """Raises InvalidInput if `slipway generate` would write anything, or Git does not know a file that is meant: we
        would deploy what nobody wrote down."""
        root = self.inventory.root
        stale = writer.changes(root, tree.render(self.inventory))
        if stale:
            shown = ", ".join(change.path for change in stale[:3]) + (", ..." if len(stale) > 3 else "")
            files = counted(len(stale), "generated file")
            raise InvalidInput(
                f"{self.inventory.path}: {files} out of step with the inventory: {shown}", hint="slipway generate"
            )
        sources.require_seen(root)

    def preflight(self) -> dict[str, Facts | SlipwayError]:
        """Ask every node what it is; an error stands for one where nothing can be activated."""
        self.events.emit("preflight", "started", text=counted(len(self.hosts), "node"))
        answers = self.pool.map(_examine, self.names)
        refused = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
        for name, error in refused.items():
            self.events.emit("preflight", outcome_of(error), name, reason=str(error))
        fit = f"{len(answers) - len(refused)} of {counted(len(answers), 'node')} answer and are fit for it"
        text = fit + _running(answers)
        self.events.emit("preflight", "failed" if refused else "done", text=text)
        return answers

    def build(self) -> dict[str, str]:
        """The system of every host: a store path. Kept from the local garbage collector."""
        deploy = self.inventory.deploy
        where = "" if self.build_on == LOCAL else f", on {self.build_on}"
        self.events.emit("build", "started", text=counted(len(self.hosts), "system") + where)
        match self.build_on:
            case "local":
                systems = self._built(self.names, None)
            case "remote":
                systems = self._built_by_each()
            case builder:
                with self._elsewhere(builder) as at:
                    systems = self._built(self.names, at)
        nix.keep(systems, inside.state(self.inventory.root, "gcroots"), options=deploy.nix_options)
        self.events.emit("build", "done", text=counted(len(systems), "system"))
        return systems

    def _built(self, names: Sequence[str], at: nix.Elsewhere | None) -> dict[str, str]:
        """In as many goes as the memory wants; a mistake in one keeps the later ones from beginning."""
        done: dict[str, str] = {}
        for part in evaluation.goes(names, evaluation.at_once(self.inventory.deploy.evaluate_at_once)):
            if len(part) < len(names):
                text = f"{len(part)} at once, {len(done)} of {counted(len(names), 'system')} done"
                self.events.emit("build", "progress", text=text)
            done |= self._built_at_once(part, at)
        return done

    def _built_at_once(self, names: Sequence[str], at: nix.Elsewhere | None) -> dict[str, str]:
        deploy = self.inventory.deploy
        return nix.build(
            self.inventory.root.resolve(),
            names,
            options=deploy.nix_options,
            timeout=deploy.timeouts.build,
            on_line=lambda line: self.events.emit("build", "progress", text=line),
            at=at,
        )

    def _built_by_each(self) -> dict[str, str]:
        """Every node builds its own. Raises what went wrong with the first that failed."""

        def one(name: str) -> str:
            with self._elsewhere(name) as at:
                return self._built([name], at)[name]

        built = for_each(one, self.names, limit=self.inventory.deploy.parallel)
        for found in built.values():
            if isinstance(found, SlipwayError):
                raise found
        return {name: str(system) for name, system in built.items()}

    @contextmanager
    def _elsewhere(self, name: str) -> Iterator[nix.Elsewhere]:
        with self.pool.openssh(name) as ssh:
            yield nix.Elsewhere(openssh.store(self.pool.endpoints[name]), ssh)

    def copy(self, systems: Mapping[str, str]) -> dict[str, SlipwayError]:
        """Bring each node its system and keep it there; return what went wrong, by node."""
        return Copying(self.inventory, self.pool, self.events, systems, self.cache_keys).run() if systems else {}


@dataclass(frozen=True)
class Return(Preparation):
    """The way back: systems that the nodes ran before, instead of what the files of the repository say now."""

    commit = None

    systems: Mapping[str, str] = field(default_factory=dict)
    """Host to store path."""

    def require_generated(self) -> None:
        """Nothing is made of the files."""

    def build(self) -> dict[str, str]:
        return {name: self.systems[name] for name in self.names}


@dataclass(frozen=True)
class Standing(Preparation):
    """For a reboot: every node's system is the one that it boots anyway."""

    commit = None

    def require_generated(self) -> None:
        """Nothing is made of the files."""

    def build(self) -> dict[str, str]:
        """What the nodes boot by default: store paths. Raises Obstructed for one that boots nothing we know."""
        answers = self.pool.map(facts.read, self.names)
        for name, answer in answers.items():
            if isinstance(answer, SlipwayError):
                raise answer
            if answer.profile is None:
                raise Obstructed(f"{name}: has no system of NixOS to boot ({NIXOS.profile} leads nowhere)")
        return {name: str(answer.profile) for name, answer in answers.items() if isinstance(answer, Facts)}


def _examine(host: Host) -> Facts:
    found = facts.read(host)
    obstacles = found.obstacles(host.name)
    if obstacles:
        raise Obstructed("; ".join(obstacles))
    return found


def _running(answers: Mapping[str, Facts | SlipwayError]) -> str:
    """What those that are fit call their system, the most common first."""
    known = Counter(answer.os for answer in answers.values() if isinstance(answer, Facts) and answer.os)
    told = [f"{name} ({number})" if len(known) > 1 else name for name, number in known.most_common()]
    return f"; they run {', '.join(told)}" if told else ""
