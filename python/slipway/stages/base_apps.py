"""What the stage cluster-base-apps is for, and whether it is so: OpenBao open, secrets handed out, volumes saved.

Flux makes all of it from the repository. These steps look, wait, and say in words what is missing; they change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from slipway.stages import readiness, saving
from slipway.stages.bootstrap import Site, awaited
from slipway.stages.model import Stage
from slipway.tools import kubectl
from slipway.wait import WaitedTooLong

OPENBAO = "openbao"
SERVERS = "component=server,app.kubernetes.io/name=openbao"
STORES = "clustersecretstores.external-secrets.io"
NAMES = ("secrets", OPENBAO)
KNOWN = ("externalsecrets.external-secrets.io", "known")
HANDS_OUT = "external-secrets"
"""The namespace of who hands secrets out, and of the one that says that it does."""
OF_FLUX = "kustomize.toolkit.fluxcd.io/name"

Object = Mapping[str, Any]


def lacks_openbao(site: Site) -> str:
    found = kubectl.get(site.kubeconfig, "pods", namespace=OPENBAO, selector=SERVERS).get("items", [])
    return _shut(found) if found else "no pod of OpenBao yet"


def openbao(site: Site) -> bool:
    """OpenBao has initialised itself and was opened by the key of its seal."""
    return awaited(site, lambda: lacks_openbao(site), "OpenBao initialised and open")


def _shut(pods: list[Object]) -> str:
    """What the first of OpenBao's pods that is not open says in its labels (service_registration "kubernetes")."""
    trouble = readiness.trouble(pods)
    if trouble:
        return trouble
    for pod in pods:
        name, labels = pod["metadata"]["name"], pod["metadata"].get("labels", {})
        if labels.get("openbao-initialized") != "true":
            return f"{name} has not initialised itself: kubectl --namespace {OPENBAO} logs {name}"
        if labels.get("openbao-sealed") != "false":
            return f"{name} is sealed: its key is the Secret {OPENBAO}/openbao-seal"
        if not all(each.get("ready") for each in readiness.containers(pod)):
            return f"{name} is not ready"
    return ""


def lacks_secrets(site: Site) -> str:
    for kind, name in (*((STORES, name) for name in NAMES), KNOWN):
        found = kubectl.get(site.kubeconfig, kind, name, namespace=HANDS_OUT)
        missing = readiness.condition(found) if found else "not there yet"
        if missing:
            pods = kubectl.get(site.kubeconfig, "pods", namespace=HANDS_OUT).get("items", [])
            what = f"{kind.partition('.')[0]} {name}: {missing}"
            return "; ".join(filter(None, (what, readiness.trouble(pods))))
    return ""


def secrets(site: Site) -> bool:
    """External Secrets is let into both stores, and has handed out what every OpenBao has."""
    return awaited(site, lambda: lacks_secrets(site), "secrets handed out")


def lacks_backups(site: Site, stage: Stage = Stage.CLUSTER_BASE_APPS) -> str:
    return next(iter(_unsaved(site, stage).values()), "")


def backups(site: Site) -> bool | str:
    """Every volume of the stage that is to be saved was saved once; in words, since it is the account that has it."""
    names = tuple(saved(site, Stage.CLUSTER_BASE_APPS))
    waited = awaited(site, lambda: lacks_backups(site), "the first backups")
    return f"{', '.join(names)} saved" if waited and names else waited


def lacks_app_backups(site: Site) -> str:
    return lacks_backups(site, Stage.CLUSTER_APPS)


def app_backups(site: Site) -> bool | str:
    """The same of apps, which keep no stage back: each is waited for as long as its backup is at work, and fails none.

    What is left unsaved is for `not_saved` to tell.
    """
    before = _unsaved(site, Stage.CLUSTER_APPS)
    with suppress(WaitedTooLong):
        awaited(site, lambda: "; ".join(_at_work(site)), "the first backups of apps")
    done = before.keys() - _unsaved(site, Stage.CLUSTER_APPS).keys()
    return f"{', '.join(sorted(done))} saved" if done else False


def not_saved(site: Site) -> Iterator[str]:
    """The volumes of apps that were never saved, as NAMESPACE/NAME."""
    for name in saved(site, Stage.CLUSTER_APPS):
        yield from (saving.name_of(each) for each in _sources(site, name) if saving.lacks(each))


def saved(site: Site, stage: Stage) -> Iterator[str]:
    """The Flux Kustomizations of a stage that save a volume, each APP-VOLUME-backup."""
    for folder in sorted((site.root / "gitops" / stage).glob("*/*-backup")):
        yield f"{folder.parent.name}-{folder.name}"


def _unsaved(site: Site, stage: Stage) -> dict[str, str]:
    """Those whose volume was never saved, each with what it lacks."""
    found = {name: _lacks(_sources(site, name), name) for name in saved(site, stage)}
    return {name: missing for name, missing in found.items() if missing}


def _at_work(site: Site) -> Iterator[str]:
    """What the backups of apps say that are under way. One that failed is not, nor one whose app is not there."""
    for name in saved(site, Stage.CLUSTER_APPS):
        found = _sources(site, name)
        if found and not any(map(saving.failed, found)):
            yield from filter(None, [_lacks(found, name)])


def _sources(site: Site, name: str) -> list[Object]:
    listed = kubectl.get(site.kubeconfig, saving.SOURCES, namespace=kubectl.EVERY, selector=f"{OF_FLUX}={name}")
    found: list[Object] = listed.get("items", [])
    return found


def _lacks(found: list[Object], name: str) -> str:
    return next(filter(None, map(_why, found)), "") if found else f"{name}: no ReplicationSource yet"


def _why(source: Object) -> str:
    missing = saving.lacks(source)
    return f"volume {saving.name_of(source)}: {missing}" if missing else ""
