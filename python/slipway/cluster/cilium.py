"""Cilium as the Helm release that GitOps will own later: the same chart, name, namespace and values.

With the provider `custom` k0s brings no pod network, so that nodes stay NotReady until this release is there.
"""

from __future__ import annotations

from slipway.errors import DeployFailed
from slipway.events import Events
from slipway.generate import cilium
from slipway.inventory import Inventory
from slipway.inventory.model import Provider
from slipway.tools import helm, kubectl
from slipway.tools.kubeconfig import Kubeconfig

PHASE = "network"
HELM_RELEASES = "helmreleases.helm.toolkit.fluxcd.io"


def ensure(inventory: Inventory, kubeconfig: Kubeconfig, events: Events) -> bool:
    """Install or upgrade the release if it differs; True if it did. Other providers are k0s's own business, and a
    release that Flux has taken over is Flux's.

    Does not wait for the pods: members.wait_ready does. Raises DeployFailed if Helm leaves another release than asked.
    """
    if inventory.cluster.network.provider != Provider.CILIUM:
        return False
    release = helm.get(kubeconfig, cilium.NAMESPACE, cilium.RELEASE)
    if not difference(inventory, release):
        events.emit(PHASE, "unchanged", text=title(inventory))
        return False
    if release is not None and owned(kubeconfig):
        events.emit(PHASE, "unchanged", text=f"{release.chart} {release.version}: Flux owns it")
        return False
    events.emit(PHASE, "started", text=f"{title(inventory)}: {difference(inventory, release)}")
    _install(inventory, kubeconfig, release)
    left = difference(inventory, helm.get(kubeconfig, cilium.NAMESPACE, cilium.RELEASE))
    if left:
        raise DeployFailed(
            f"Helm release {cilium.RELEASE} in {cilium.NAMESPACE}: {left}",
            hint=f"helm --namespace {cilium.NAMESPACE} history {cilium.RELEASE}",
        )
    events.emit(PHASE, "done", text=title(inventory))
    return True


def owned(kubeconfig: Kubeconfig, namespace: str = cilium.NAMESPACE, name: str = cilium.RELEASE) -> bool:
    """Whether Flux's helm-controller has the release: its HelmRelease has been acted upon at least once."""
    found = kubectl.get(kubeconfig, HELM_RELEASES, name, namespace=namespace)
    status = found.get("status") or {}
    return bool(status.get("history") or status.get("lastAttemptedRevision"))


def difference(inventory: Inventory, release: helm.Release | None) -> str:
    """What keeps the release from being the wanted one; empty if nothing does."""
    if release is None:
        return "not installed"
    if release.status != "deployed":
        return f"revision {release.revision} is {release.status}"
    chart = cilium.chart(inventory)
    if release.chart != chart.name or not helm.same_version(release.version, chart.version):
        return f"chart {release.chart} {release.version}, wanted {chart.name} {chart.version}"
    wanted = cilium.values(inventory)
    changed = [key for key in sorted({*wanted, *release.values}) if wanted.get(key) != release.values.get(key)]
    return f"other values: {', '.join(changed)}" if changed else ""


def _install(inventory: Inventory, kubeconfig: Kubeconfig, release: helm.Release | None) -> None:
    chart = cilium.chart(inventory)
    source = helm.located(inventory.mirrors.charts, chart.repository, chart.name, chart.version, chart.digest)
    if release is not None and release.interrupted:
        helm.put_right(kubeconfig, cilium.NAMESPACE, release)
    helm.upgrade(kubeconfig, cilium.NAMESPACE, cilium.RELEASE, source, chart.version, cilium.values(inventory))


def title(inventory: Inventory) -> str:
    """Chart and version, as people call the release."""
    chart = cilium.chart(inventory)
    return f"{chart.name} {chart.version}"
