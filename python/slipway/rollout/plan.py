"""What a deploy would do: the systems, k0s's configuration, what slipway itself restarts and joins, in which order.

Versions and configurations are compared by what each node says it has, so that nothing is copied for it. Which units
would restart only a node with the closure can say: of nodes that change alike, one is asked for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from slipway.cluster import cilium, comparison, drain, live, marks, members, rekeying, skew
from slipway.cluster.comparison import Difference
from slipway.cluster.live import Sight
from slipway.cluster.members import Membership
from slipway.cluster.rekeying import Holding
from slipway.errors import DeployFailed, Interrupted, SlipwayError, Unreachable
from slipway.generate import cilium as chart
from slipway.inventory import Host as InventoryHost
from slipway.inventory.model import Provider, Role
from slipway.node import contents, diff, logins
from slipway.node.contents import Contents
from slipway.node.facts import Facts
from slipway.rollout import difference, revision
from slipway.rollout.phases import Preparation
from slipway.rollout.waves import Wave, waves
from slipway.ssh.host import Host
from slipway.ssh.pool import together
from slipway.tools import helm, nix
from slipway.tools.nix import Graph

UNIT = "etc/systemd/system/k0s.service"
STARTED_WITH = re.compile(rf'^Environment="{members.STARTED_WITH}=([^"]*)"$', re.MULTILINE)
RESTARTS = "restarts k0s"
NEW_PASSWORDS = "gets passwords of registry mirrors"
NO_PASSWORDS = "loses passwords of registry mirrors"
CLEARS = "clears a join token or a permission that was left on the machine"
UNCORDONS = "lets pods in again, which an earlier run kept out"
OTHER_KEYS = "gets the keys that Secrets are encrypted with"
ENCRYPTS = "encrypts Secrets at rest from then on, once every controller can read them"
TAKES_BACK = "takes back join tokens of a run that did not end"
ALWAYS_SAID = ("would activate the configuration",)
"""Lines of dry-activate that tell nothing."""


@dataclass(frozen=True)
class NodePlan:
    """One node. `packages` have other versions, `rebuilt` the same; `k0s` are its settings and arguments that differ;
    `activation` is what switch-to-configuration would do, by the word of the node `asked` (empty: nobody could be);
    `slipway` is what slipway does by itself, in order; `reboot` are parts that run only after one. `failed_units` have
    failed before: where nothing changes a deploy calls the node degraded for them."""

    node: str
    role: str
    wave: str
    current: str | None
    new: str
    changed: bool
    packages: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    k0s: tuple[str, ...] = ()
    activation: tuple[str, ...] = ()
    asked: str = ""
    slipway: tuple[str, ...] = ()
    reboot: tuple[str, ...] = ()
    drain: bool = False
    copy_paths: int = 0
    copy_bytes: int = 0
    failed_units: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        return self.changed or bool(self.slipway)

    @property
    def alike(self) -> tuple[object, ...]:
        """What nodes have in common that are told together."""
        kind = "controller" if self.role != Role.WORKER else "worker"
        same = (self.packages, self.rebuilt, self.k0s, self.slipway, self.reboot, self.drain)
        return (self.pending, self.changed, kind, *same)

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "role": self.role,
            "wave": self.wave,
            "currentSystem": self.current,
            "newSystem": self.new,
            "changed": self.changed,
            "pending": self.pending,
            "packages": list(self.packages),
            "rebuilt": list(self.rebuilt),
            "k0s": list(self.k0s),
            "activation": list(self.activation),
            "activationAskedOf": self.asked or None,
            "slipway": list(self.slipway),
            "reboot": list(self.reboot),
            "drain": self.drain,
            "copy": {"paths": self.copy_paths, "bytes": self.copy_bytes},
            "failedUnits": list(self.failed_units),
        }


@dataclass(frozen=True)
class Plan:
    """Every chosen node in the inventory's order; the waves of those that get another system or k0s; what happens to
    the cluster as a whole, and what it cannot become."""

    nodes: tuple[NodePlan, ...]
    waves: tuple[Wave, ...] = ()
    cluster: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    not_compared: str = ""
    refused: tuple[SlipwayError, ...] = ()
    """Why a deploy would change nothing, in the order in which it would say so."""

    @property
    def pending(self) -> bool:
        return bool(self.cluster) or any(node.pending for node in self.nodes)

    @property
    def groups(self) -> list[list[NodePlan]]:
        """Nodes that change alike, in the order of their first one."""
        found: dict[tuple[object, ...], list[NodePlan]] = {}
        for node in self.nodes:
            found.setdefault(node.alike, []).append(node)
        return list(found.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "pending": self.pending,
            "nodes": [node.to_json() for node in self.nodes],
            "groups": [[node.node for node in group] for group in self.groups],
            "waves": [{"title": wave.title, "nodes": list(wave.nodes)} for wave in self.waves],
            "cluster": list(self.cluster),
            "differences": [each.to_json() for each in self.differences],
            "notCompared": self.not_compared or None,
            "refused": [{"text": str(error), "hint": error.hint} for error in self.refused],
        }


def plan(preparation: Preparation, *, copy: bool = True, older: bool = False) -> Plan:
    """Raises Unreachable or DeployFailed if a node cannot be asked, besides what building raises.

    Without `copy` only nodes that have their new system already are asked about units. `older`: as a deploy's option.
    """
    # Nothing but the nodes' own stores gets anything: filling a binary cache is a deploy's.
    preparation = replace(preparation, cache_keys=None)
    preparation.require_generated()
    work = _Planning(preparation, _require(preparation.preflight()), live.look(preparation.inventory, preparation.pool))
    refused = tuple(work.refused(older))
    systems = preparation.build()
    nodes = work.nodes(systems)
    nodes = work.with_units(nodes, copy)
    busy = {node.node for node in nodes if node.changed or RESTARTS in node.slipway}
    order = waves(preparation.inventory, [host for host in preparation.hosts if host.name in busy])
    wave_of = {name: wave.title for wave in order for name in wave.nodes}
    cluster = work.sight.cluster
    return Plan(
        tuple(replace(node, wave=wave_of.get(node.node, "")) for node in nodes),
        order,
        (*work.backup(nodes), *work.tokens(), *work.encryption(), *work.cluster()),
        comparison.differences(preparation.inventory, cluster) if cluster else (),
        work.sight.why_not,
        refused,
    )


@dataclass(frozen=True)
class _Planning:
    preparation: Preparation
    facts: Mapping[str, Facts]
    sight: Sight
    labels: Mapping[str, marks.Change] = field(init=False)
    cordoned: frozenset[str] = field(init=False)
    """Nodes that slipway has cordoned and not let back."""
    keys: Mapping[str, Holding] = field(init=False)
    """What controllers hold for encrypting Secrets, where that is wanted."""

    def __post_init__(self) -> None:
        nodes = self.sight.cluster.nodes if self.sight.cluster else {}
        found = marks.changes(self.preparation.inventory, nodes, self.preparation.names)
        object.__setattr__(self, "labels", found)
        ours = frozenset(name for name, node in nodes.items() if drain.OURS in node.annotations)
        object.__setattr__(self, "cordoned", ours)
        object.__setattr__(self, "keys", self._holding())

    def _holding(self) -> dict[str, Holding]:
        inventory, pool = self.preparation.inventory, self.preparation.pool
        if self.preparation.encryption_keys is None:
            return {}
        seen = rekeying.look_at(inventory, pool, loaded=False)
        return {name: each for name, each in seen.items() if isinstance(each, Holding)}

    def refused(self, older: bool) -> Iterator[SlipwayError]:
        """What of a deploy's own questions before it changes anything comes out badly; differences are told apart."""
        for question in self._questions(older):
            try:
                question()
            except Interrupted:
                raise
            except SlipwayError as error:
                yield error

    def _questions(self, older: bool) -> Iterator[Callable[[], None]]:
        inventory, pool, names = self.preparation.inventory, self.preparation.pool, self.preparation.names
        cluster, keys = self.sight.cluster, self.preparation.encryption_keys
        if not older:
            yield lambda: revision.require_newer(inventory.root, self.facts)
        if cluster is not None:
            yield lambda: skew.require(inventory, skew.running(inventory, pool, cluster), names)
        if keys is not None:
            yield lambda: rekeying.check(keys, inventory, pool)

    def nodes(self, systems: Mapping[str, str]) -> list[NodePlan]:
        pool, names = self.preparation.pool, self.preparation.names
        changed = {name for name in names if not self.facts[name].runs(systems[name])}
        graph = nix.graph({systems[name] for name in changed}, timeout=diff.TIMEOUT) if changed else Graph({}, {})
        seen = _require(pool.map(members.look, names))
        closures = {name: graph.closure(systems[name]) for name in changed}
        has = _require(pool.map(lambda host: contents.read(host, sorted(closures[host.name])), sorted(changed)))
        logs_in = self._logs_in()
        found = []
        for host in self.preparation.hosts:
            new = systems[host.name]
            facts, failed = self.facts[host.name], self.facts[host.name].failed_units
            node = NodePlan(
                host.name, host.role.value, "", facts.current, new, host.name in changed, failed_units=failed
            )
            if node.changed:
                node = _compared(node, has[host.name], closures[host.name], graph)
            found.append(self._with_steps(node, host, seen[host.name], has.get(host.name)))
        return [replace(node, slipway=(*node.slipway, *logs_in.get(node.node, ()))) for node in found]

    def _logs_in(self) -> dict[str, tuple[str, ...]]:
        """What a deploy does about the passwords of registry mirrors, by node."""
        takers = self.preparation.pull_images
        lacking = _require(self.preparation.pool.map(lambda host: logins.lacks(host, self.preparation.logins), takers))
        steps: dict[str, tuple[str, ...]] = {name: (NEW_PASSWORDS,) for name, lacks in lacking.items() if lacks}
        return steps | {n: (NO_PASSWORDS,) for n, seen in self.facts.items() if seen.has_logins and n not in takers}

    def _with_steps(self, node: NodePlan, host: InventoryHost, seen: Membership, has: Contents | None) -> NodePlan:
        """What slipway does beside activating the system."""
        restarts = seen.outdated or (has is not None and has.k0s.keys() != started_with(node.new).keys())
        steps = tuple(self._membership(host, seen, restarts))
        steps += (OTHER_KEYS,) if seen.control_plane and self._gets_keys(host.name) else ()
        steps += (CLEARS,) if seen.token or seen.sentinel or seen.rename else ()
        label = self.labels.get(host.name)
        steps += label.told if label and label.visible else ()
        steps += (UNCORDONS,) if host.name in self.cordoned else ()
        joined = seen.kubelet or (seen.control_plane and host.runs_workloads)
        drains = self.preparation.inventory.deploy.drain.enable and joined and seen.active and restarts
        return replace(node, slipway=steps, drain=drains)

    def _membership(self, host: InventoryHost, seen: Membership, restarts: bool) -> Sequence[str]:
        joined = seen.control_plane if host.is_controller else seen.kubelet
        if joined:
            if not seen.active:
                return ["starts k0s"]
            return [RESTARTS] if restarts else []
        if host.is_controller and self._founds(host):
            return ["founds the cluster"]
        return [f"joins the cluster as a {'controller' if host.is_controller else 'worker'}"]

    def _gets_keys(self, name: str) -> bool:
        """Whether a controller of a cluster that lives gets other keys, or is to write with them as the others do."""
        wanted, holding = self.preparation.encryption_keys, self.keys.get(name)
        if wanted is None or holding is None:
            return False
        return holding.keys != wanted.marks or (self._encrypts and not holding.writes)

    @property
    def _encrypts(self) -> bool:
        return any(each.writes for each in self.keys.values())

    def encryption(self) -> tuple[str, ...]:
        """Whether a cluster that lives begins to encrypt its Secrets: where every controller has the key then."""
        if self.sight.cluster is None or not self.keys or self._encrypts:
            return ()
        have = {name for name, each in self.keys.items() if each.keys} | {*self.preparation.names}
        return (ENCRYPTS,) if all(host.name in have for host in self.preparation.inventory.controllers) else ()

    def tokens(self) -> tuple[str, ...]:
        """Whether tokens are out for chosen nodes by the notes of the controllers."""
        issued = {node for each in self.sight.controllers.values() for _, node in each.issued}
        return (TAKES_BACK,) if issued & {*self.preparation.names} else ()

    def _founds(self, host: InventoryHost) -> bool:
        exists = self.sight.cluster is not None or bool(self.sight.why_not)
        first = next(each for each in self.preparation.hosts if each.is_controller)
        return not exists and host.name == first.name

    def with_units(self, nodes: list[NodePlan], copy: bool) -> list[NodePlan]:
        """Of each group one node is asked, if it can be one that has its system already."""
        groups = [group for group in Plan(tuple(nodes)).groups if group[0].changed]
        asked = [min(group, key=lambda node: node.copy_paths) for group in groups]
        if copy:
            _require(self.preparation.copy({node.node: node.new for node in asked if node.copy_paths}))
        able = {node.node: node.new for node in asked if copy or not node.copy_paths}
        answers = _require(self.preparation.pool.map(lambda host: _units(host, able[host.name]), able))
        said = {
            member.node: (one.node, answers[one.node])
            for group, one in zip(groups, asked, strict=True)
            if one.node in answers
            for member in group
        }
        return [
            replace(node, asked=said[node.node][0], activation=said[node.node][1]) if node.node in said else node
            for node in nodes
        ]

    def backup(self, nodes: Sequence[NodePlan]) -> tuple[str, ...]:
        """What is done before anything else where k0s goes to another minor release."""
        inventory, changed = self.preparation.inventory, [node.node for node in nodes if node.changed]
        if self.sight.cluster is None or not inventory.deploy.backup_before_upgrade:
            return ()
        rises = skew.rises(inventory, self.preparation.pool, changed)
        return (f"backs the control plane up first, for k0s goes to 1.{rises}",) if rises else ()

    def cluster(self) -> tuple[str, ...]:
        """What happens to the network's Helm release."""
        inventory = self.preparation.inventory
        title = cilium.title(inventory)
        if inventory.cluster.network.provider is not Provider.CILIUM:
            return ()
        if self.sight.kubeconfig is None:
            return () if self.sight.why_not else (f"installs the Helm release {title}",)
        try:
            release = helm.get(self.sight.kubeconfig, chart.NAMESPACE, chart.RELEASE)
            differs = cilium.difference(inventory, release)
            owned = differs and release is not None and cilium.owned(self.sight.kubeconfig)
        except Interrupted:
            raise
        except SlipwayError as error:
            return (f"looks at the Helm release {title}, which could not be asked: {members.last_line(error)}",)
        return (f"upgrades the Helm release to {title}: {differs}",) if differs and not owned else ()


def _compared(node: NodePlan, has: Contents, closure: frozenset[str], graph: Graph) -> NodePlan:
    lines, rebuilt = difference.packages(has.closure, closure, node.node)
    boot = {
        part: str((Path(node.new) / part).resolve()) for part in contents.KERNEL if (Path(node.new) / part).exists()
    }
    return replace(
        node,
        packages=lines,
        rebuilt=rebuilt,
        k0s=difference.k0s(has.k0s, started_with(node.new)) if has.k0s else (),
        reboot=tuple(part for part, path in boot.items() if part in has.boot and has.boot[part] != path),
        copy_paths=len(has.lacks & closure),
        copy_bytes=sum(graph.sizes[path] for path in has.lacks & closure),
    )


def started_with(system: str) -> dict[str, str]:
    """The files that this system, which lies in the local store, starts k0s with: path to text; {} without k0s."""
    unit = Path(system) / UNIT
    found = STARTED_WITH.search(unit.read_text(encoding="utf-8")) if unit.exists() else None
    paths = [Path(path) for path in found[1].split(":")] if found else []
    return {str(path): path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in paths}


def _units(host: Host, system: str) -> tuple[str, ...]:
    said = diff.dry_activate(host, system)
    lines = (line.strip() for line in (said.stdout + said.stderr).splitlines())
    return tuple(line for line in lines if line and not line.startswith(ALWAYS_SAID))


Answer = TypeVar("Answer")


def _require(answers: Mapping[str, Answer | SlipwayError]) -> dict[str, Answer]:
    """The answers, if every node gave one; else all errors in one."""
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
    if not errors:
        return {name: answer for name, answer in answers.items() if not isinstance(answer, SlipwayError)}
    known = next((error.hint for error in errors.values() if error.hint), None)
    unreached = any(isinstance(error, Unreachable) for error in errors.values())
    raise together(errors, known, Unreachable if unreached else DeployFailed)
