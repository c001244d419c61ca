"""The stage bootstrap: Flux with the key to the repository's secrets, and a Git server if Flux reads from one here.

Each step asks whether the cluster already is as the files say, does what is missing, and waits, bounded, until it is
so. The chart of the Git server goes in before Flux, since its pods take longest; it is waited for at the end.

What is applied is Flux's: in the name of its own controller, so that it removes what Git no longer has, and nothing any
more once Flux has taken it over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.cluster import cilium
from slipway.result import CommandFailed, CommandTimedOut
from slipway.secret import Secret
from slipway.secrets import store
from slipway.ssh.host import Host
from slipway.ssh.tunnel import Tunnel
from slipway.stages import readiness
from slipway.stages.model import (
    App,
    LocalVolume,
    Manifest,
    Release,
    Stage,
    as_list,
    local_volume,
    read_app,
    secrets_as_list,
)
from slipway.tools import helm, kubectl, sops
from slipway.tools.kubeconfig import Kubeconfig
from slipway.wait import wait_until

FLUX_NAMESPACE = "flux-system"
FLUX_INSTANCE = "fluxinstances.fluxcd.controlplane.io"
FLUX_MANAGER = "kustomize-controller"
"""The field manager under which kustomize-controller applies. Fields of another's stay when Git drops them (Flux,
kustomization_controller.go: it takes over those of kubectl alone)."""
REQUESTED = "reconcile.fluxcd.io/requestedAt"
"""Annotation by which Flux is asked to look now."""
FLUX_OWNS = "kustomize.toolkit.fluxcd.io/name"
IF_NOT_PRESENT = ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent")
SHARED = (store.GIT_READER, store.GIT_WEBHOOK)
OPERATOR_PODS, CONTROLLER_PODS = "app.kubernetes.io/instance=flux-operator", "app.kubernetes.io/part-of=flux"
WORKLOADS = "deployments.apps,statefulsets.apps,daemonsets.apps"
INTERVAL = 1.0
"""Seconds between two looks at what is waited for."""


@dataclass(frozen=True)
class Site:
    """Where a stage is put up: the repository, the API, the machines, and how to tell of progress.

    `tunnel` leads from this machine to a port that a node sees; `charts` are the mirrors of the inventory; `deadline`
    in seconds for each wait, `proven_within` from a push to its object in the cluster; `git` names the app of the Git
    server, "" where Flux reads from elsewhere; `repository` is ORGANISATION/NAME there, and `branch` the one that Flux
    reads.
    """

    root: Path
    kubeconfig: Kubeconfig
    host: Callable[[str], Host]
    tunnel: Callable[[str, str, int], AbstractContextManager[Tunnel]]
    charts: Mapping[str, str]
    deadline: float
    tell: Callable[[str], None]
    git: str = "gitea"
    repository: str = ""
    branch: str = "main"
    proven_within: float = 300.0

    def app(self, name: str) -> App:
        return read_app(self.root, Stage.BOOTSTRAP, name)

    def apps(self) -> Iterator[App]:
        """Every app of the stage, in the order of their names."""
        folders = sorted(path.parent.name for path in (self.root / "gitops" / Stage.BOOTSTRAP).glob("*/app"))
        return (self.app(name) for name in folders)


def namespaces(site: Site) -> bool:
    return applied(site, _namespaces(site))


def _namespaces(site: Site) -> tuple[Manifest, ...]:
    return tuple(manifest for app in site.apps() for manifest in app.namespace)


def credentials(site: Site) -> bool:
    """The key to the repository's Secrets, the Git server's users, and what else the stage has encrypted."""
    changed = applied_secrets(site, _own_secrets(site), kubectl.FIELD_MANAGER)
    return applied_secrets(site, _encrypted(site)) or changed


def _own_secrets(site: Site) -> list[Secret]:
    """What is never Flux's: the key that it reads the others with, and the Git server's users."""
    return [store.decrypt(site.root, store.AGE_KEY), *_git_users(site)]


def _git_users(site: Site) -> list[Secret]:
    """The first user where the server is; who reads, and who calls at a push, there and where Flux looks for them."""
    if not site.git:
        return []
    admin, *shared = (store.decrypt(site.root, name) for name in (store.GITEA_ADMIN, *SHARED))
    return [
        _placed(admin, site.git),
        *(_placed(each, place) for each in shared for place in (site.git, FLUX_NAMESPACE)),
    ]


def _encrypted(site: Site) -> list[Secret]:
    return [sops.decrypt(path) for app in site.apps() for path in app.encrypted]


def _placed(manifest: Secret, namespace: str) -> Secret:
    """The same Secret in another namespace."""
    found = yaml.safe_load(manifest.reveal())
    return Secret(json.dumps({**found, "metadata": {**found["metadata"], "namespace": namespace}}))


def git_volume(site: Site) -> bool:
    """The folder of the local volume on its machine, and the volume. One that is there stays on its machine."""
    app = site.app(site.git)
    volumes = [each for each in app.objects if each["kind"] == "PersistentVolume"]
    made = [
        _folder(site, _where(site, manifest, wanted))
        for manifest, wanted in zip(volumes, app.local_volumes(), strict=True)
    ]
    return any([*made, applied(site, app.objects)])


def _where(site: Site, manifest: Manifest, wanted: LocalVolume) -> LocalVolume:
    """Where the volume is, if it is; another machine in the files is told, and changes nothing."""
    name = manifest["metadata"]["name"]
    there = local_volume(kubectl.get(site.kubeconfig, "persistentvolumes", name))
    if there is None or there == wanted:
        return wanted
    site.tell(f"volume {name} is on {there.node}, and stays there: the files now say {wanted.node}")
    return there


def git_chart(site: Site) -> bool:
    return released(site, site.app(site.git))


def flux_operator(site: Site) -> bool:
    changed = released(site, site.app("flux-operator"))
    await_workloads(site, FLUX_NAMESPACE, OPERATOR_PODS)
    return changed


def flux(site: Site) -> bool:
    """The FluxInstance; Flux is there when the operator says so and its controllers are ready."""
    changed = applied(site, site.app("flux-instance").objects)
    await_condition(site, FLUX_NAMESPACE, FLUX_INSTANCE, "flux")
    await_workloads(site, FLUX_NAMESPACE, CONTROLLER_PODS)
    return changed


def git_server(site: Site) -> bool:
    return await_workloads(site, site.git, _git_pods(site))


def git_repository(site: Site) -> bool:
    """The Job that makes organisation, repository and the user that Flux reads as."""
    jobs = site.app("git-repository").objects
    changed = applied(site, jobs)
    for each in jobs:
        _await_job(site, each["metadata"]["namespace"], each["metadata"]["name"])
    return changed


def lacks_namespaces(site: Site) -> str:
    return _unlike(site, _namespaces(site))


def lacks_credentials(site: Site) -> str:
    own, encrypted = _own_secrets(site), _encrypted(site)
    return _unlike_secrets(site, own, kubectl.FIELD_MANAGER) or _unlike_secrets(site, encrypted, FLUX_MANAGER)


def lacks_git_volume(site: Site) -> str:
    return _unlike(site, site.app(site.git).objects)


def lacks_git_chart(site: Site) -> str:
    return lacks_release(site, site.app(site.git))


def lacks_flux_operator(site: Site) -> str:
    return lacks_release(site, site.app("flux-operator")) or workloads_lack(site, FLUX_NAMESPACE, OPERATOR_PODS)


def lacks_flux(site: Site) -> str:
    return (
        _unlike(site, site.app("flux-instance").objects)
        or readiness.condition(kubectl.get(site.kubeconfig, FLUX_INSTANCE, "flux", namespace=FLUX_NAMESPACE))
        or workloads_lack(site, FLUX_NAMESPACE, CONTROLLER_PODS)
    )


def lacks_git_server(site: Site) -> str:
    return workloads_lack(site, site.git, _git_pods(site))


def _git_pods(site: Site) -> str:
    return f"app.kubernetes.io/instance={site.git}"


def lacks_git_repository(site: Site) -> str:
    jobs = [each["metadata"] for each in site.app("git-repository").objects]
    found = (kubectl.get(site.kubeconfig, "jobs.batch", job["name"], namespace=job["namespace"]) for job in jobs)
    return next(filter(None, map(readiness.job, found)), "")


def _unlike(site: Site, manifests: Sequence[Manifest]) -> str:
    left = _not_settled(site, manifests, as_list(tuple(manifests)))
    changed = left and _differs(site, as_list(tuple(left)), FLUX_MANAGER)
    return ", ".join(map(_named, left)) if changed else ""


def _unlike_secrets(site: Site, plain: Sequence[Secret], manager: str) -> str:
    left = _not_settled_secrets(site, plain)
    changed = left and _differs(site, secrets_as_list(tuple(each for each, _ in left)), manager)
    return ", ".join(_named(about) for _, about in left) if changed else ""


def _named(manifest: Manifest) -> str:
    """`Secret gitea/git-reader`, `Namespace gitea`."""
    kind, namespace, name = _key(manifest)
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _differs(site: Site, listed: bytes | Secret, manager: str) -> bool:
    """Whether applying would change anything; where a namespace or kind is not there yet, it would."""
    try:
        return kubectl.differs(site.kubeconfig, listed, manager=manager)
    except CommandFailed as failed:
        if "not found" in failed.result.stderr or "no matches for kind" in failed.result.stderr:
            return True
        raise


def applied(site: Site, manifests: Sequence[Manifest]) -> bool:
    """Apply what is not Flux's yet, in Flux's own name; whether any object changed."""
    left = _not_settled(site, manifests, as_list(tuple(manifests)))
    return bool(left) and _changed(site, as_list(tuple(left)), FLUX_MANAGER)


def applied_secrets(site: Site, plain: Sequence[Secret], manager: str = FLUX_MANAGER) -> bool:
    """The same for plaintext Secrets, which never leave memory. Some are never Flux's: what it reads itself."""
    left = tuple(each for each, _ in _not_settled_secrets(site, plain))
    return bool(left) and _changed(site, secrets_as_list(left), manager)


def _not_settled_secrets(site: Site, plain: Sequence[Secret]) -> list[tuple[Secret, Manifest]]:
    """Those of the Secrets that are still the hand-off's, each with what it says."""
    pairs = [(each, yaml.safe_load(each.reveal())) for each in plain]
    left = _not_settled(site, [about for _, about in pairs], secrets_as_list(tuple(plain)))
    return [(each, about) for each, about in pairs if about in left]


def _not_settled(site: Site, manifests: Sequence[Manifest], listed: bytes | Secret) -> list[Manifest]:
    """Those of the manifests that are still the hand-off's: not Flux's, and not there for good."""
    there = {_key(each): each["metadata"] for each in kubectl.existing(site.kubeconfig, listed)}
    return [each for each in manifests if not _settled(each, there.get(_key(each)))]


def _settled(manifest: Manifest, there: Mapping[str, Any] | None) -> bool:
    """Whether Flux has what is there, or it may only be made and not changed."""
    key, value = IF_NOT_PRESENT
    once = (manifest["metadata"].get("annotations") or {}).get(key) == value
    return there is not None and (once or FLUX_OWNS in (there.get("labels") or {}))


def _key(manifest: Manifest) -> tuple[str, str, str]:
    about = manifest["metadata"]
    return manifest["kind"], about.get("namespace", ""), about["name"]


def _changed(site: Site, listed: bytes | Secret, manager: str) -> bool:
    before = kubectl.versions(site.kubeconfig, listed)
    return set(kubectl.apply(site.kubeconfig, listed, manager=manager, force=True)) != set(before)


def released(site: Site, app: App) -> bool:
    """Have the app's chart installed in the version and with the values of its files; whether that took a change.

    A release that Flux has taken over is Flux's.
    """
    wanted = app.release
    if wanted is None:
        return False
    found = helm.get(site.kubeconfig, wanted.namespace, wanted.name)
    if cilium.owned(site.kubeconfig, wanted.namespace, wanted.name):
        return found is None and _asked_for(site, wanted)
    if found and _as_wanted(found, wanted):
        return False
    if found and found.interrupted:
        helm.put_right(site.kubeconfig, wanted.namespace, found)
        site.tell(f"release {wanted.name} was interrupted ({found.status}): taken back first")
    chart = helm.located(site.charts, wanted.repository, wanted.chart, wanted.version, wanted.digest)
    helm.upgrade(site.kubeconfig, wanted.namespace, wanted.name, chart, wanted.version, wanted.values)
    return True


def _asked_for(site: Site, wanted: Release) -> bool:
    """Let Flux bring back a release that is gone: by itself it looks once in an hour."""
    now = f"{time.time():.3f}"
    asked = {"metadata": {"annotations": {REQUESTED: now, "reconcile.fluxcd.io/forceAt": now}}}
    kubectl.patch(site.kubeconfig, cilium.HELM_RELEASES, wanted.name, asked, namespace=wanted.namespace)
    site.tell(f"release {wanted.name} is gone: Flux was asked to bring it back")
    return True


def lacks_release(site: Site, app: App) -> str:
    wanted = app.release
    if wanted is None:
        return ""
    found = helm.get(site.kubeconfig, wanted.namespace, wanted.name)
    if found is None:
        return f"no release {wanted.name}"
    if cilium.owned(site.kubeconfig, wanted.namespace, wanted.name) or _as_wanted(found, wanted):
        return ""
    return f"release {wanted.name} {found.version} is {found.status}, or has other values"


def _as_wanted(found: helm.Release, wanted: Release) -> bool:
    same = helm.same_version(found.version, wanted.version)
    return same and (found.status, found.values) == ("deployed", wanted.values)


def await_workloads(site: Site, namespace: str, selector: str) -> bool:
    """Wait until everything that `selector` picks runs and is ready; whether it was not at first."""

    return awaited(
        site, lambda: workloads_lack(site, namespace, selector), f"workloads of {namespace} ({selector}) ready"
    )


def workloads_lack(site: Site, namespace: str, selector: str) -> str:
    found = kubectl.get(site.kubeconfig, WORKLOADS, namespace=namespace, selector=selector)
    missing = readiness.workloads(found.get("items", ()))
    return _with_trouble(site, namespace, missing) if missing else ""


def await_condition(site: Site, namespace: str, kind: str, name: str) -> bool:
    """Wait until an object is Ready for its newest generation; whether it was not at first."""

    def lacking() -> str:
        return readiness.condition(kubectl.get(site.kubeconfig, kind, name, namespace=namespace))

    return awaited(site, lacking, f"{kind} {namespace}/{name} Ready")


def _await_job(site: Site, namespace: str, name: str) -> bool:
    def lacking() -> str:
        missing = readiness.job(kubectl.get(site.kubeconfig, "jobs.batch", name, namespace=namespace))
        return _with_trouble(site, namespace, missing) if missing else ""

    return awaited(site, lacking, f"Job {namespace}/{name} done")


def awaited(site: Site, lacking: Callable[[], str], describe: str) -> bool:
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
