"""What a deploy would change, node by node, as the nodes themselves see it.

The closures are copied for that, since only a node can compare them with what it has; nothing is activated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from slipway.errors import DeployFailed, SlipwayError, Unreachable
from slipway.node import diff
from slipway.node.facts import Facts
from slipway.rollout.phases import Preparation
from slipway.rollout.waves import waves
from slipway.ssh.host import Host


@dataclass(frozen=True)
class NodePlan:
    """One node. `wave` is empty where nothing changes. `packages`: lines of `nix store diff-closures`; `activation`:
    what switch-to-configuration would do."""

    node: str
    wave: str
    current: str | None
    new: str
    changed: bool
    packages: tuple[str, ...] = ()
    activation: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "wave": self.wave,
            "currentSystem": self.current,
            "newSystem": self.new,
            "changed": self.changed,
            "packages": list(self.packages),
            "activation": list(self.activation),
        }


def plan(preparation: Preparation) -> tuple[NodePlan, ...]:
    """Raises Unreachable or DeployFailed if a node cannot be asked, besides what building raises."""
    preparation.require_generated()
    facts = _require(preparation.preflight())
    systems = preparation.build()
    changed = {name: system for name, system in systems.items() if not facts[name].runs(system)}
    _require(preparation.copy(changed))
    answers = preparation.pool.map(lambda host: _ask(host, facts[host.name], systems[host.name]), changed)
    asked = _require(answers)
    hosts = [host for host in preparation.hosts if host.name in changed]
    wave_of = {name: wave.title for wave in waves(preparation.inventory, hosts) for name in wave.nodes}
    return tuple(
        NodePlan(name, wave_of.get(name, ""), facts[name].current, systems[name], name in changed, *asked.get(name, ()))
        for name in preparation.names
    )


def _ask(host: Host, facts: Facts, system: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    packages = diff.closures(host, facts.current, system) if facts.current else ()
    said = diff.dry_activate(host, system)
    return packages, tuple(line for line in (said.stdout + said.stderr).splitlines() if line.strip())


Answer = TypeVar("Answer")


def _require(answers: Mapping[str, Answer | SlipwayError]) -> dict[str, Answer]:
    """The answers, if every node gave one; else all errors in one."""
    errors = {name: answer for name, answer in answers.items() if isinstance(answer, SlipwayError)}
    if not errors:
        return {name: answer for name, answer in answers.items() if not isinstance(answer, SlipwayError)}
    text = "\n".join(str(error) for error in errors.values())
    hint = next((error.hint for error in errors.values() if error.hint), None)
    if any(isinstance(error, Unreachable) for error in errors.values()):
        raise Unreachable(text, hint=hint)
    raise DeployFailed(text, hint=hint)
