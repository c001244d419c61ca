"""The stage bootstrap: Flux with the key to the repository's secrets, and a first Git server.

Each step asks whether the cluster already is as the files say, does what is missing, and waits, bounded, until it is
so. The chart of Gitea goes in before Flux, since its pods take longest; it is waited for at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.result import CommandFailed, CommandTimedOut
from slipway.secret import Secret
from slipway.secrets import store
from slipway.ssh.host import Host
from slipway.stages import readiness
from slipway.stages.model import App, LocalVolume, Release, Stage, as_list, read_app, secrets_as_list
from slipway.tools import helm, kubectl
from slipway.wait import wait_until

APPS = ("flux-operator", "flux-instance", "secrets", "gitea")
FLUX_NAMESPACE = "flux-system"
FLUX_INSTANCE = "fluxinstances.fluxcd.controlplane.io"
WORKLOADS = "deployments.apps,statefulsets.apps,daemonsets.apps"
INTERVAL = 1.0
"""Seconds between two looks at what is waited for."""


@dataclass(frozen=True)
class Site:
    """Where a stage is put up: the repository, the API, the machines, and how to tell of progress.

    `charts` are the mirrors of the inventory; `deadline` in seconds for each wait.
    """

    root: Path
    kubeconfig: Secret
    host: Callable[[str], Host]
    charts: Mapping[str, str]
    deadline: float
    tell: Callable[[str], None]

    def app(self, name: str) -> App:
        return read_app(self.root, Stage.BOOTSTRAP, name)


@dataclass(frozen=True)
class Step:
    """`run` returns whether it changed anything."""

    name: str
    text: str
    run: Callable[[Site], bool]


def namespaces(site: Site) -> bool:
    found = tuple(manifest for name in APPS for manifest in site.app(name).namespace)
    return applied(site, as_list(found))


def credentials(site: Site) -> bool:
    """The Secrets flux-system/sops-age and gitea/gitea-admin, decrypted in memory."""
    plain = tuple(store.decrypt(site.root, name) for name in (store.AGE_KEY, store.GITEA_ADMIN))
    return applied(site, secrets_as_list(plain))


def gitea_volume(site: Site) -> bool:
    """The folder of the local volume on its machine, and the volume."""
    app = site.app("gitea")
    made = [_folder(site, volume) for volume in app.local_volumes()]
    return any([*made, applied(site, as_list(app.objects))])


def gitea_chart(site: Site) -> bool:
    return released(site, site.app("gitea"))


def flux_operator(site: Site) -> bool:
    changed = released(site, site.app("flux-operator"))
    await_workloads(site, FLUX_NAMESPACE, "app.kubernetes.io/instance=flux-operator")
    return changed


def flux(site: Site) -> bool:
    """The FluxInstance; Flux is there when the operator says so and its controllers are ready."""
    changed = applied(site, as_list(site.app("flux-instance").objects))
    await_condition(site, FLUX_NAMESPACE, FLUX_INSTANCE, "flux")
    await_workloads(site, FLUX_NAMESPACE, "app.kubernetes.io/part-of=flux")
    return changed


def gitea(site: Site) -> bool:
    return await_workloads(site, "gitea", "app.kubernetes.io/instance=gitea")


STEPS = (
    Step("namespaces", "flux-system, secrets, gitea", namespaces),
    Step("credentials", "the age key for Flux, the first user of Gitea", credentials),
    Step("gitea-volume", "a folder on one machine", gitea_volume),
    Step("gitea-chart", "Helm release gitea", gitea_chart),
    Step("flux-operator", "Helm release flux-operator", flux_operator),
    Step("flux", "CRDs and controllers", flux),
    Step("gitea", "Git server ready", gitea),
)


def applied(site: Site, manifests: bytes | Secret) -> bool:
    """Apply server-side; whether any object changed."""
    before = kubectl.versions(site.kubeconfig, manifests)
    return set(kubectl.apply(site.kubeconfig, manifests)) != set(before)


def released(site: Site, app: App) -> bool:
    """Have the app's chart installed in the version and with the values of its files; whether that took a change."""
    wanted = app.release
    if wanted is None:
        return False
    found = helm.get(site.kubeconfig, wanted.namespace, wanted.name)
    if found and found.interrupted:
        helm.put_right(site.kubeconfig, wanted.namespace, found)
        site.tell(f"release {wanted.name} was interrupted ({found.status}): taken back first")
    elif found and _as_wanted(found, wanted):
        return False
    chart = helm.located(site.charts, wanted.repository, wanted.chart, wanted.version)
    helm.upgrade(site.kubeconfig, wanted.namespace, wanted.name, chart, wanted.version, wanted.values)
    return True


def _as_wanted(found: helm.Release, wanted: Release) -> bool:
    same = helm.same_version(found.version, wanted.version)
    return same and (found.status, found.values) == ("deployed", wanted.values)


def await_workloads(site: Site, namespace: str, selector: str) -> bool:
    """Wait until everything that `selector` picks runs and is ready; whether it was not at first."""

    def lacking() -> str:
        found = kubectl.get(site.kubeconfig, WORKLOADS, namespace=namespace, selector=selector)
        missing = readiness.workloads(found.get("items", ()))
        return _with_trouble(site, namespace, missing) if missing else ""

    return _await(site, lacking, f"workloads of {namespace} ({selector}) ready")


def await_condition(site: Site, namespace: str, kind: str, name: str) -> bool:
    """Wait until an object is Ready for its newest generation; whether it was not at first."""

    def lacking() -> str:
        return readiness.condition(kubectl.get(site.kubeconfig, kind, name, namespace=namespace))

    return _await(site, lacking, f"{kind} {namespace}/{name} Ready")


def _await(site: Site, lacking: Callable[[], str], describe: str) -> bool:
    seen: list[str] = []

    def look() -> tuple[bool | None, str]:
        try:
            missing = lacking()
        except (CommandFailed, CommandTimedOut) as error:
            # An API server that restarts is no reason to give up before the deadline; nothing is changed by looking.
            missing = str(error).strip().splitlines()[-1].strip()
        seen.append(missing)
        return (None, missing) if missing else (True, "")

    wait_until(look, deadline=site.deadline, describe=describe, interval=INTERVAL, on_progress=site.tell)
    return len(seen) > 1


def _with_trouble(site: Site, namespace: str, missing: str) -> str:
    pods = kubectl.get(site.kubeconfig, "pods", namespace=namespace)
    return "; ".join(filter(None, (missing, readiness.trouble(pods.get("items", ())))))


def _folder(site: Site, volume: LocalVolume) -> bool:
    host = site.host(volume.node)
    if host.run(["test", "-d", volume.path], expect=(0, 1)).ok:
        return False
    host.run(["mkdir", "--parents", "--mode=0750", volume.path])
    return True
