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
from slipway.errors import DeployFailed, InvalidInput, SlipwayError, Unreachable
from slipway.events import Events
from slipway.generate import tree, writer
from slipway.inventory import Host as InventoryHost
from slipway.inventory import Inventory
from slipway.node import facts
from slipway.node.facts import Facts
from slipway.node.places import NIXOS
from slipway.outcome import Outcome
from slipway.rollout import sources
from slipway.ssh import openssh
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool, for_each
from slipway.tools import git, nix
from slipway.words import counted

LOCAL, REMOTE = "local", "remote"
"""Where systems are built: here, on the node that each is for, or on the node that is named instead."""
ROOT = """mkdir -p "${1%/*}" && ln -sfn "$2" "$1" """


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

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

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
            raise InvalidInput(
                f"{root}: {counted(len(stale), 'generated file')} out of step with the inventory: {shown}",
                hint="slipway generate",
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
        if not systems:
            return {}
        work = _Copy(self, systems)
        done = self.pool.map(work.one, systems, limit=self.inventory.deploy.parallel)
        return {name: error for name, error in done.items() if isinstance(error, SlipwayError)}


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


@dataclass(frozen=True)
class _Copy:
    preparation: Preparation
    systems: Mapping[str, str]

    def one(self, host: Host) -> None:
        system = self.systems[host.name]
        events = self.preparation.events
        events.emit("copy", "started", host.name)
        try:
            if not host.run(["nix-store", "--check-validity", system], check=False).ok:
                self._copy(host, system)
            host.run(["sh", "-c", ROOT, "root", NIXOS.root, system])
        except SlipwayError as error:
            events.emit("copy", outcome_of(error), host.name, reason=str(error))
            raise
        events.emit("copy", "done", host.name)

    def _copy(self, host: Host, system: str) -> None:
        pool, deploy = self.preparation.pool, self.preparation.inventory.deploy
        with pool.openssh(host.name) as ssh:
            nix.copy(
                [system],
                openssh.store(pool.endpoints[host.name]),
                ssh=ssh,
                options=deploy.nix_options,
                timeout=deploy.timeouts.copy_,
                on_line=self._progress(host.name),
                substitute=self.preparation.inventory.host(host.name).deploy.substitute,
            )

    def _progress(self, name: str) -> Callable[[str], None]:
        return lambda line: self.preparation.events.emit("copy", "progress", name, text=line)


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


def outcome_of(error: SlipwayError) -> Outcome:
    """What an error before the activation says about its node."""
    return Outcome.UNREACHABLE if isinstance(error, Unreachable) else Outcome.BLOCKED
