"""What waves ask of a cluster that lives: its quorum, and that pods leave a node before it is disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from slipway.cluster import bringup, drain, kubeconfig, members, unit
from slipway.cluster.bringup import Looked
from slipway.cluster.members import Membership
from slipway.errors import Degraded, DeployFailed, Interrupted, SlipwayError
from slipway.inventory import Host as InventoryHost
from slipway.inventory import Inventory
from slipway.node import diff
from slipway.outcome import NodeResult
from slipway.rollout.phases import Preparation
from slipway.ssh.host import Host
from slipway.tools.kubeconfig import Kubeconfig
from slipway.verify import runner
from slipway.verify.result import NodeVerification
from slipway.wait import WaitedTooLong, wait_until

ASK_AGAIN = 3.0
"""Seconds between two looks at packs that are not green yet."""
ABOUT_A_CORDON = "k0s.kubelet.node_is_schedulable"
"""The check that a node takes pods. One that slipway or somebody else has cordoned does not, and shall not: that is no
fault of the change."""


@dataclass(frozen=True)
class Living:
    """The cluster that the chosen hosts are part of, or are about to join. `looked` is how they were when the run
    began; `drains`: whether this run drains at all."""

    preparation: Preparation
    looked: Looked
    drains: bool
    given_up: Callable[[], bool]

    @property
    def outdated(self) -> frozenset[str]:
        """Which of the chosen nodes run a k0s on an earlier configuration than their system's."""
        names = self.preparation.names
        return frozenset(name for name in names if isinstance(m := self.looked.get(name), Membership) and m.outdated)

    def may_change(self, name: str) -> None:
        """Raises QuorumAtRisk for a controller that the others could not do without."""
        inventory = self.preparation.inventory
        if inventory.host(name).is_controller:
            bringup.require_quorum_without(inventory, self.preparation.pool, self.preparation.events, name)

    def is_disturbed(self, host: Host, system: str) -> bool:
        """Whether activating `system` ends in another k0s, and so in another kubelet and containerd."""
        if not self._has_pods(host):
            return False
        return host.name in self.outdated or unit.UNIT in diff.touched_units(diff.dry_activate(host, system))

    def _has_pods(self, host: Host) -> bool:
        inventory = self.preparation.inventory
        if not self.drains or not inventory.deploy.drain.enable or not inventory.host(host.name).runs_workloads:
            return False
        seen = self.looked.get(host.name)
        return isinstance(seen, Membership) and (seen.kubelet or seen.control_plane)

    def empty(self, host: Host) -> bool:
        """Cordon and drain the node, if it has pods that shall go; whether slipway cordoned it. See drain.empty."""
        if not self._has_pods(host):
            return False
        name, config = host.name, self._kubeconfig(host.name)
        if not self._is_node(config, name):
            return False
        settings, events = self.preparation.inventory.deploy.drain, self.preparation.events
        return drain.empty(config, name, settings, events, given_up=self.given_up, anew=self.kubeconfig)

    def _kubeconfig(self, name: str) -> Kubeconfig:
        try:
            return self.kubeconfig()
        except Interrupted:
            raise
        except SlipwayError as error:
            raise DeployFailed(
                f"{name}: cannot be drained: {error}", hint=f"slipway deploy --no-drain {name}"
            ) from error

    def _is_node(self, config: Kubeconfig, name: str) -> bool:
        return name in members.Nodes(config).all()

    def kubeconfig(self) -> Kubeconfig:
        """Of a controller that answers now."""
        return kubeconfig.of(self.preparation.inventory, self.preparation.pool)

    def rejoin(self, names: Iterable[str]) -> Mapping[str, NodeResult]:
        """Have these machines be nodes again; controllers with their API ready."""
        preparation = self.preparation
        return bringup.bring_up(
            preparation.inventory, preparation.pool, preparation.events, tuple(names), preparation.encryption_keys
        )

    def not_well(self, names: Iterable[str]) -> Mapping[str, str]:
        """Which of these nodes are not Ready, by the word of a kubelet that was started with k0s, or have red packs;
        and why. Cordoned they may be.

        A cluster without a pod network has no Ready node, and nobody is asked.
        """
        config, hosts = self.kubeconfig(), {host.name: host for host in self.preparation.hosts}
        nodes = members.Nodes(config)
        chosen = tuple(name for name in names if hosts[name].runs_workloads)
        if not chosen or not any(node.ready for node in nodes.all().values()):
            return {}
        waiting = self._not_ready(nodes, chosen)
        well = [hosts[name] for name in chosen if name not in waiting and not hosts[name].is_controller]
        return {**waiting, **self._red(well)}

    def _red(self, hosts: Sequence[InventoryHost]) -> Mapping[str, str]:
        """Which of these nodes have red packs, and why: asked again until all are green, for at most as long as a node
        may take to be Ready. After a restart its pods take a while."""
        deploy, why = self.preparation.inventory.deploy, dict.fromkeys((host.name for host in hosts), "not asked")

        def check() -> tuple[bool | None, str]:
            left = [host for host in hosts if host.name in why]
            found = runner.verify(
                self.preparation.inventory, left, self.preparation.pool.host, packs=deploy.waves.verify
            )
            for one in found.nodes:
                why[one.node] = _against(one)
                if not why[one.node]:
                    del why[one.node]
                    self.preparation.events.emit("verify", "green", one.node)
            return (None if why else True), "; ".join(f"{name}: {reason}" for name, reason in why.items())

        if hosts and deploy.waves.verify:
            with suppress(WaitedTooLong):
                wait_until(
                    check,
                    deadline=deploy.timeouts.ready,
                    describe="green",
                    interval=ASK_AGAIN,
                    on_progress=self._not_yet,
                )
            return why
        return {}

    def _not_yet(self, seen: str) -> None:
        self.preparation.events.emit("verify", "progress", text=seen)

    def _not_ready(self, nodes: members.Nodes, names: tuple[str, ...]) -> Mapping[str, str]:
        since = members.started(self.preparation.pool, names)
        within = self.preparation.inventory.deploy.timeouts.ready
        try:
            members.wait_ready(nodes, names, self.preparation.events, deadline=within, since=since)
        except Degraded:
            return {name: f"not Ready: {why}" for name, why in nodes.not_ready(names, since).items()}
        return {}

    def release(self, names: Iterable[str]) -> tuple[str, ...]:
        """Let back nodes that slipway has cordoned; which of them are. Of others it is told why they are not."""
        return tuple(name for name in names if drain.release(self.kubeconfig, name, self.preparation.events))


def is_there(inventory: Inventory, looked: Looked) -> bool:
    """Whether there is a cluster: not where no controller has the data of one. One that cannot be asked may have."""
    seen = [looked[host.name] for host in inventory.controllers]
    return not all(isinstance(each, Membership) and not each.control_plane for each in seen)


def _against(found: NodeVerification) -> str:
    """What speaks against the node; empty if nothing does."""
    checks = [check.id for check in found.red if check.id != ABOUT_A_CORDON]
    if found.green or (found.checks and not found.error and not checks):
        return ""
    named = ", ".join(checks[:3]) + (" and more" if len(checks) > 3 else "")
    return f"verification: {found.error or (f'{named} red' if named else 'no check ran')}"
