"""The user's repository in the cluster's own Git server: pushed through a tunnel, and never over newer commits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from slipway.errors import DeployFailed, InvalidInput, Unreachable
from slipway.generate.gitops import sources
from slipway.result import CommandFailed, CommandTimedOut
from slipway.secrets import store
from slipway.stages import readiness
from slipway.stages.bootstrap import FLUX_NAMESPACE, REQUESTED, Site, awaited
from slipway.tools import git, kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.wait import WaitedTooLong

READ_BY_FLUX = ("gitops", "overlays")
"""What Flux reads of a repository; secrets/ are for the hand-off alone."""
SOURCE = ("gitrepositories.source.toolkit.fluxcd.io", sources.NAME)
"""The root Kustomization has the same name."""
KUSTOMIZATION = "kustomizations.kustomize.toolkit.fluxcd.io"
MARKER = "gitops/flux/slipway-handoff.yaml"
"""A file that the proof pushes and takes back again (proof.py); no checkout has it."""
GOING = "slipway/teardown"
"""Annotation of what a teardown has suspended that did not come to its end (teardown.py)."""
MOST_NAMED = 5


class OlderCheckout(DeployFailed):
    """The cluster runs from commits that this checkout does not have."""


class Suspended(DeployFailed):
    """Somebody has told Flux to leave a stage as it is."""


class ServerAway(DeployFailed):
    """The Git server went away while it was spoken to, or was not there yet. What it was told may have been done."""


@dataclass(frozen=True)
class Backend:
    """A pod that answers for a Service, and the node that it runs on."""

    node: str
    address: str
    port: int


def checkout(site: Site) -> bool:
    """The commit that Flux is to read is this checkout's, whole, and no older than what Flux has read.

    Raises InvalidInput and OlderCheckout; nothing is changed, and this comes before all that changes anything.
    """
    commit = git.head(site.root)
    if not commit:
        raise InvalidInput(f"{site.root}: nothing is committed yet, and Flux reads commits", hint=_commit_all())
    if git.top(site.root) != site.root.resolve():
        raise InvalidInput(
            f"{site.root}: not the top of its repository ({git.top(site.root)}), and Flux looks for gitops/ there",
            hint="a repository of its own for the cluster",
        )
    changed = git.uncommitted(site.root, *READ_BY_FLUX)
    if changed:
        named = ", ".join(changed[:MOST_NAMED]) + (", ..." if len(changed) > MOST_NAMED else "")
        raise InvalidInput(f"not in the last commit, which is what Flux reads: {named}", hint=_commit_all())
    there = read_by_flux(site)
    if there and not git.contains(site.root, there, there):
        there = _brought(site, there)
    _refuse_older(site, commit, there)
    return False


def _brought(site: Site, commit: str) -> str:
    """The same after a try to bring the commits of the Git server here, if it can be asked at all."""
    ready = ready_pods(site.kubeconfig, site.git, f"{site.git}-http")
    with contextlib.suppress(DeployFailed, Unreachable):
        if ready:
            with remote(site) as server:
                git.fetch(site.root, server)
    return marked(site, commit)


def _commit_all() -> str:
    return "git add --all && git commit"


def _refuse_older(site: Site, commit: str, there: str) -> None:
    if there and not git.contains(site.root, commit, there):
        raise OlderCheckout(
            f"the cluster has commit {there[:12]}, and this checkout ({commit[:12]}) does not contain it: it is older, "
            "or went another way",
            hint="bring the newer commits here (git pull from where they were made), then slipway handoff",
        )


def read_by_flux(site: Site) -> str:
    """The commit that Flux has read last; "" if none. A marker of the proof counts as the commit that it stands on."""
    commit = revision_of(kubectl.get(site.kubeconfig, *SOURCE, namespace=FLUX_NAMESPACE))
    return marked(site, commit) if commit else ""


def revision_of(source: Mapping[str, Any]) -> str:
    """The hash in `refs/heads/main@sha1:HASH`, as a GitRepository has it in its status; "" if it has none yet."""
    artifact = (source.get("status") or {}).get("artifact") or {}
    return _hash_in(artifact.get("revision", ""))


def _hash_in(revision: object) -> str:
    return str(revision).rpartition(":")[2]


def marked(site: Site, commit: str) -> str:
    """What a commit stands for: itself, or the one below it if it is a marker that was pushed from here."""
    return git.below(site.root, commit, MARKER) or commit


def push(site: Site) -> bool:
    """The Git server's branch has this checkout's commit; whether it had to be pushed."""
    commit = git.head(site.root)
    with remote(site) as server:
        there = git.tip(server)
        if there == commit:
            return False
        if there and not git.contains(site.root, there, there):
            git.fetch(site.root, server)
        _refuse_older(site, commit, marked(site, there))
        git.push(site.root, server, commit, instead_of=there)
        found = git.tip(server)
    if found != commit:
        raise OlderCheckout(
            f"the Git server has {found[:12] or 'no commit'} after the push of {commit[:12]}: somebody pushes as well",
            hint="slipway handoff",
        )
    return True


def push_lacks(site: Site) -> str:
    commit = git.head(site.root)
    if not ready_pods(site.kubeconfig, site.git, f"{site.git}-http"):
        return "no Git server yet"
    with remote(site) as server:
        there = git.tip(server)
    return "" if there == commit else f"the Git server has {there[:12] or 'no commit'}, this checkout {commit[:12]}"


def source(site: Site) -> bool:
    """Flux has read this checkout's commit; it is asked to look at once, and not when its minute is over."""
    commit = git.head(site.root)
    if not source_lacks(site, commit):
        return False
    ask(site, *SOURCE)
    return awaited(site, lambda: source_lacks(site, commit), f"GitRepository {SOURCE[1]} at {commit[:12]}")


def ask(site: Site, kind: str, name: str) -> None:
    """Have Flux look at one of its objects now."""
    about = {"metadata": {"annotations": {REQUESTED: f"{time.time():.3f}"}}}
    kubectl.patch(site.kubeconfig, kind, name, about, namespace=FLUX_NAMESPACE)


def source_lacks(site: Site, commit: str) -> str:
    found = kubectl.get(site.kubeconfig, *SOURCE, namespace=FLUX_NAMESPACE)
    if not found:
        return f"no GitRepository {SOURCE[1]} yet"
    missing = readiness.condition(found)
    there = revision_of(found)
    return missing or ("" if there == commit else f"at {there[:12] or 'no commit'}")


def kustomizations(kubeconfig: Kubeconfig) -> list[dict[str, Any]]:
    """Those of Flux: of stages, of apps, and the root above them."""
    found: list[dict[str, Any]] = kubectl.get(kubeconfig, KUSTOMIZATION, namespace=FLUX_NAMESPACE).get("items", [])
    return found


def stage_of(kustomization: Mapping[str, Any]) -> str:
    """`bootstrap` of `./gitops/bootstrap/gitea/app`; "" for a stage itself and what is no stage's."""
    parts = str(kustomization["spec"].get("path", "")).removeprefix("./").split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "gitops" else ""


def stage_lacks(site: Site, stage: str, commit: str) -> str:
    """What a stage lacks of being applied from `commit` and healthy, with the apps that it waits for; "" if nothing."""
    found = kustomizations(site.kubeconfig)
    by_name = {each["metadata"]["name"]: each for each in found}
    if stage not in by_name:
        return f"no Kustomization {stage} yet"
    missing = readiness.condition(by_name[stage])
    applied = _hash_in(by_name[stage].get("status", {}).get("lastAppliedRevision", ""))
    if not missing and applied != commit:
        missing = f"at {applied[:12] or 'no commit'}"
    of_stage = [each for each in found if stage_of(each) == stage]
    apps = [f"{each['metadata']['name']}: {said}" for each in of_stage if (said := readiness.condition(each))]
    return "; ".join([missing, *apps[:MOST_NAMED]]) if missing else ""


def stage(site: Site, name: str) -> bool:
    """Flux has applied the stage from this checkout's commit, and what later stages need of it is healthy.

    Apps of the user's own keep no stage back. They are waited for as long as they are at work, and fail nothing. Raises
    Suspended where Flux was told to leave the stage as it is.
    """
    commit = git.head(site.root)
    _wake(site, name)
    changed = awaited(site, lambda: stage_lacks(site, name, commit), f"stage {name} at {commit[:12]}")
    with contextlib.suppress(WaitedTooLong):
        awaited(site, lambda: "; ".join(at_work(kustomizations(site.kubeconfig), name)), f"apps of {name} settled")
    return changed


def _wake(site: Site, stage: str) -> None:
    """What a teardown has suspended goes on: to hand over takes it back. Nobody waits for what else is suspended."""
    above = [each for each in kustomizations(site.kubeconfig) if each["metadata"]["name"] in (SOURCE[1], stage)]
    for each in (each for each in above if each["spec"].get("suspend")):
        name, going = each["metadata"]["name"], (each["metadata"].get("annotations") or {}).get(GOING)
        if not going:
            raise Suspended(f"Kustomization {name} is suspended, and Flux leaves it as it is", hint=_resume(name))
        change = {"metadata": {"annotations": {GOING: None}}, "spec": {"suspend": False}}
        kubectl.patch(site.kubeconfig, KUSTOMIZATION, name, change, namespace=FLUX_NAMESPACE)
        site.tell(f"Kustomization {name} was suspended by a teardown, and goes on")


def _resume(name: str) -> str:
    words = f"kubectl --namespace {FLUX_NAMESPACE} patch kustomization {name} --type=merge"
    return f"""{words} --patch='{{"spec":{{"suspend":false}}}}'; then slipway handoff"""


def at_work(found: Sequence[Mapping[str, Any]], stage: str) -> list[str]:
    """Each app of a stage of which it will show whether it becomes healthy, with what it says. Who waits for another is
    at work as long as none has failed."""
    all_of_them = unhealthy(found, stage)
    apps = [each for each in all_of_them if not readiness.failed(each)]
    if len(apps) < len(all_of_them):
        apps = [each for each in apps if not readiness.condition(each).startswith(readiness.WAITS)]
    return [f"{each['metadata']['name']}: {readiness.condition(each)}" for each in apps[:MOST_NAMED]]


def unhealthy(found: Sequence[Mapping[str, Any]], stage: str) -> list[Mapping[str, Any]]:
    """The apps of a stage that are not Ready, without those that somebody has suspended."""
    apps = (each for each in found if stage_of(each) == stage and not each["spec"].get("suspend"))
    return [each for each in apps if readiness.condition(each)]


@contextmanager
def remote(site: Site) -> Iterator[git.Remote]:
    """The repository through a tunnel to the Git server's pod, from the machine that this pod runs on.

    There every network lets it in: kubelet asks for its health from the same place.
    """
    at = backend(site, site.git, f"{site.git}-http")
    admin = store.read(site.root, store.GITEA_ADMIN).values
    login = git.login(admin["username"].reveal(), admin["password"].reveal())
    with site.tunnel(at.node, at.address, at.port) as tunnel:
        try:
            yield git.Remote(f"http://127.0.0.1:{tunnel.port}/{site.repository}.git", site.branch, login)
        except (CommandFailed, CommandTimedOut) as error:
            raise _not_reached(at, error, tunnel.trouble) from error


def _not_reached(at: Backend, error: CommandFailed | CommandTimedOut, trouble: str) -> DeployFailed:
    said = trouble or str(error).strip()
    # A server that is busy with something else says nothing in time, as one that is away.
    cut_off = isinstance(error, CommandTimedOut) or git.cut_off(error)
    kind = ServerAway if trouble or cut_off else DeployFailed
    return kind(
        f"the Git server (pod {at.address} on {at.node}): {said}", hint="slipway status --failing; then slipway handoff"
    )


def backend(site: Site, namespace: str, service: str) -> Backend:
    """A ready pod of the Service. Waits for one, bounded."""
    found: list[Backend] = []

    def lacking() -> str:
        found[:] = ready_pods(site.kubeconfig, namespace, service)
        return "" if found else f"no ready pod behind Service {namespace}/{service}"

    awaited(site, lacking, f"Service {namespace}/{service}")
    return found[0]


def ready_pods(kubeconfig: Kubeconfig, namespace: str, service: str) -> list[Backend]:
    """The pods that answer for a Service now."""
    selector = f"kubernetes.io/service-name={service}"
    kind = "endpointslices.discovery.k8s.io"
    slices = kubectl.get(kubeconfig, kind, namespace=namespace, selector=selector)
    return [backend for each in slices.get("items", ()) for backend in backends(each)]


def backends(found: Mapping[str, Any]) -> Iterator[Backend]:
    """The ready pods of an EndpointSlice, with the port named http, or else its first."""
    ports = found.get("ports") or []
    port = next((each for each in ports if each.get("name") == "http"), ports[0] if ports else {}).get("port")
    for endpoint in found.get("endpoints") or ():
        if port and (endpoint.get("conditions") or {}).get("ready") and endpoint.get("nodeName"):
            yield Backend(endpoint["nodeName"], endpoint["addresses"][0], int(port))


def lacks_source(site: Site) -> str:
    return source_lacks(site, git.head(site.root))


def lacks_stage(site: Site, name: str) -> str:
    return stage_lacks(site, name, git.head(site.root))
