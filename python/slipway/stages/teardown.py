"""The way back: the stages are taken down in the reverse order, and what is left is a cluster with its network.

What Flux applied it removes itself, app by app, the last stage first; then the operator removes Flux, and what the
hand-off installed goes. Volumes stay: their claims and folders hold data, and nobody's data goes with a stage; only
the caches of backups hold none, and go (caches.py). Cilium is the bring-up's, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from slipway.errors import DeployFailed, SlipwayError
from slipway.result import CommandFailed, CommandTimedOut
from slipway.stages import caches, proof, readiness
from slipway.stages.bootstrap import FLUX_INSTANCE, FLUX_NAMESPACE, Site, awaited
from slipway.stages.model import Stage
from slipway.stages.repository import GOING, KUSTOMIZATION, SOURCE, kustomizations, stage_of
from slipway.tools import helm, kubectl
from slipway.wait import WaitedTooLong

OPERATOR = "flux-operator"
STORAGE = ("storage", "snapshot-controller", "openebs")
"""Apps that take volumes away, and with which no volume goes any more."""
CACHES_GONE = 60.0
"""Seconds until the caches of backups must be gone, before the storage goes without them."""


class TeardownFailed(DeployFailed):
    """Something would not go; what went before it is gone."""


@dataclass(frozen=True)
class Removal:
    """One thing that goes. `kind` is app, flux or release; `namespace` that of a release."""

    kind: str
    stage: Stage
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.kind} {self.name}"

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "stage": self.stage.value, "name": self.name}


def planned(site: Site) -> tuple[Removal, ...]:
    """What goes, in order. Asks, changes nothing."""
    in_order = apps(kustomizations(site.kubeconfig))
    later = [Removal("app", stage, name) for stage, name in in_order if stage is not Stage.BOOTSTRAP]
    flux = kubectl.get(site.kubeconfig, FLUX_INSTANCE, "flux", namespace=FLUX_NAMESPACE)
    return (*later, *([Removal("flux", Stage.BOOTSTRAP, "flux")] if flux else []), *_releases(site))


def apps(found: Sequence[Mapping[str, Any]]) -> list[tuple[Stage, str]]:
    """Stages from the last to the first, in each the apps before those that they depend on. Pure."""
    ordered = []
    for stage in reversed(Stage):
        of_stage = {each["metadata"]["name"]: each for each in found if stage_of(each) == stage}
        needs = {
            name: {other["name"] for other in each["spec"].get("dependsOn", ())} & set(of_stage)
            for name, each in sorted(of_stage.items())
        }
        try:
            order = list(TopologicalSorter(needs).static_order())
        except CycleError:
            order = list(needs)
        ordered += [(stage, name) for name in reversed(order)]
    return ordered


def _releases(site: Site) -> list[Removal]:
    """What the hand-off has installed with Helm, the last first."""
    wanted = [site.app(name).release for name in (OPERATOR, site.git) if name]
    return [
        Removal("release", Stage.BOOTSTRAP, release.name, release.namespace)
        for release in wanted
        if release and helm.get(site.kubeconfig, release.namespace, release.name)
    ]


def teardown(site: Site, removals: Sequence[Removal]) -> tuple[str, ...]:
    """Take it all down, in order; returns the volumes that were caches of backups. Can be stopped and run again.

    Raises TeardownFailed with what would not go.
    """
    try:
        _stop_syncing(site)
        cached = caches.there(site.kubeconfig)
        kubectl.delete(site.kubeconfig, "configmaps", proof.NAME, namespace=FLUX_NAMESPACE)
    except (CommandFailed, CommandTimedOut) as error:
        raise _failed("Flux, which is to stop first", error) from error
    storage = next((each for each in removals if each.kind == "app" and each.name in STORAGE), None)
    for each in removals:
        site.tell(str(each))
        try:
            if cached and each is storage:
                _await_caches(site)
            _take(site, each)
        except (CommandFailed, CommandTimedOut, WaitedTooLong) as error:
            raise _failed(each, error) from error
    return cached


def _await_caches(site: Site) -> None:
    """A cache that stays is no reason to stop: nothing is lost but room on a disk."""

    def left() -> str:
        names = caches.there(site.kubeconfig)
        return f"still there: {', '.join(names)}" if names else ""

    try:
        awaited(replace(site, deadline=CACHES_GONE), left, "the caches of backups gone")
    except WaitedTooLong as error:
        site.tell(str(error))


def _failed(what: object, error: SlipwayError) -> TeardownFailed:
    longer = "to wait longer: stages.readyTimeout in inventory.yaml; " if isinstance(error, WaitedTooLong) else ""
    return TeardownFailed(
        f"{what}: {error}", hint=f"{longer}slipway teardown goes on where it stopped; slipway handoff takes it all back"
    )


def _take(site: Site, each: Removal) -> None:
    if each.kind == "app":
        _remove_app(site, each.name)
    elif each.kind == "flux":
        _remove(site, FLUX_INSTANCE, each.name)
    else:
        helm.uninstall(site.kubeconfig, each.namespace, each.name)


def _stop_syncing(site: Site) -> None:
    """Nothing that goes is brought back by the Kustomization above it."""
    found = kustomizations(site.kubeconfig)
    above = (SOURCE[1], *(stage.value for stage in Stage))
    change = {"metadata": {"annotations": {GOING: "true"}}, "spec": {"suspend": True}}
    for name in (each["metadata"]["name"] for each in found if each["metadata"]["name"] in above):
        kubectl.patch(site.kubeconfig, KUSTOMIZATION, name, change, namespace=FLUX_NAMESPACE)


def _remove_app(site: Site, name: str) -> None:
    """Flux removes what the app has applied, and is done when all of it is gone."""
    policy = {"spec": {"deletionPolicy": "WaitForTermination", "prune": True, "suspend": False}}
    kubectl.patch(site.kubeconfig, KUSTOMIZATION, name, policy, namespace=FLUX_NAMESPACE)
    _remove(site, KUSTOMIZATION, name)


def _remove(site: Site, kind: str, name: str) -> None:
    kubectl.delete(site.kubeconfig, kind, name, namespace=FLUX_NAMESPACE)

    def lacking() -> str:
        found = kubectl.get(site.kubeconfig, kind, name, namespace=FLUX_NAMESPACE)
        return f"{name} is still there: {readiness.condition(found) or 'Ready'}" if found else ""

    awaited(site, lacking, f"{kind} {name} gone")
