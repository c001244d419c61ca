"""Makes the files: the templates of each app, and what every app has in the same form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from slipway.generate.gitops import apps, charts, policy, sources, volumes
from slipway.generate.gitops.apps import BOOTSTRAP, STAGES, App, Volume, stages_of
from slipway.generate.gitops.beside import FLUX, KUSTOMIZATION, NOTHING, Beside
from slipway.generate.gitops.values import values
from slipway.generate.templates import template, to_yaml
from slipway.inventory import Inventory
from slipway.paths import resource

SUFFIX = ".j2"
VALUES = "values.yaml"
Files = dict[str, str]
TOP = "gitops"


def render(inventory: Inventory, around: Beside = NOTHING) -> dict[PurePosixPath, str]:
    """Every file of gitops/ by its path in the repository, in a fixed order. Pure."""
    given = values(inventory)
    files: Files = {}
    generated = [app for app in apps.of(inventory) if f"{app.stage}/{app.name}" not in around.own]
    for app in generated:
        files |= _app(inventory, app, given, around)
    for stage in stages_of(inventory):
        files |= _stage(inventory, stage, [app.name for app in generated if app.stage == stage], around)
    files |= _components(inventory, given)
    return {PurePosixPath(TOP, path): text for path, text in sorted(files.items())}


# --- an app ----------------------------------------------------------------------------------------------------------


def _app(inventory: Inventory, app: App, given: Mapping[str, Any], around: Beside) -> Files:
    folder = f"{app.stage}/{app.name}"
    room = {name: text for name, text in _room(inventory, app) if text.strip()}
    contents = {name: text for name, text in _contents(app, given) if text.strip()}
    denies = _denies(inventory, app)
    # Claims and their movers need namespace and policies before the app itself.
    if app.volumes:
        files = _part(f"{folder}/namespace", room, around, denies)
        files |= _part(f"{folder}/app", contents, around)
    else:
        files = _part(f"{folder}/app", {**room, **contents}, around, denies)
    for volume in app.volumes:
        files |= _volume(inventory, app, volume, around)
    files[f"{folder}/{FLUX}"] = _flux_kustomizations(inventory, app)
    return files


def _room(inventory: Inventory, app: App) -> Iterator[tuple[str, str]]:
    """Namespace and network policy."""
    if app.security:
        yield "namespace.yaml", template("gitops/common/namespace.yaml.j2").render(app=app)
    policies = policy.allowed(inventory, app.namespace, app.flows or ()) if _denies(inventory, app) else None
    if policies:
        yield "networkpolicy.yaml", to_yaml(policies) + "\n"


def _contents(app: App, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    more = {**given, "app": app}
    if app.chart:
        chart = given["charts"][app.chart]
        source = "ocirepository.yaml" if chart.in_registry else "helmrepository.yaml"
        yield source, template(f"gitops/common/{source}.j2").render({**more, "chart": chart})
        yield "helmrelease.yaml", _release(app, chart, more)
    for name in _templates(app.stage, app.name):
        yield PurePosixPath(name).name.removesuffix(SUFFIX), template(name).render(more)


def _release(app: App, chart: charts.Chart, given: Mapping[str, Any]) -> str:
    name = f"gitops/{app.stage}/{app.name}/{VALUES}{SUFFIX}"
    text = template(name).render(given).rstrip("\n")
    indented = "\n".join(f"    {line}" if line else "" for line in text.split("\n"))
    made = template("gitops/common/helmrelease.yaml.j2").render({**given, "chart": chart, "release": app.name})
    return f"{made.rstrip()}\n  values:\n{indented}\n" if text.strip() else made


def _denies(inventory: Inventory, app: App) -> bool:
    return inventory.stages.default_deny and app.flows is not None


@cache
def _templates(stage: str, name: str) -> tuple[str, ...]:
    """Templates of an app's manifests, in order: every file of its folder but the values of its chart."""
    top = resource("templates")
    found = sorted((top / TOP / stage / name).glob(f"*{SUFFIX}"))
    return tuple(path.relative_to(top).as_posix() for path in found if path.name != VALUES + SUFFIX)


def _part(folder: str, contents: Mapping[str, str], around: Beside, denies: bool = False) -> Files:
    """The files of one Flux Kustomization, with what people keep beside them."""
    components = ["../../../components/default-deny"] if denies else []
    overlay = folder.removesuffix("/app")
    if overlay in around.overlays:
        components.append(f"../../../../overlays/{overlay}")
    more = {"components": components} if components else {}
    files = {f"{folder}/{name}": text for name, text in contents.items()}
    listed = build(resources=[*sorted(contents), *_secrets(folder, around)], **more)
    return {**files, f"{folder}/{KUSTOMIZATION}": listed}


def _secrets(folder: str, around: Beside) -> list[str]:
    return [PurePosixPath(path).name for path in around.secrets if str(PurePosixPath(path).parent) == folder]


def build(**content: Any) -> str:  # noqa: ANN401 (kustomize's own)
    """A kustomization.yaml."""
    made: dict[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **content}
    return to_yaml(made) + "\n"


# --- a volume --------------------------------------------------------------------------------------------------------


def _volume(inventory: Inventory, app: App, volume: Volume, around: Beside) -> Files:
    folder, name = f"{app.stage}/{app.name}/{volume.name}", volumes.name_of(app, volume)
    about = to_yaml(volumes.about(name, app.namespace)) + "\n"
    resources = ["persistentvolumeclaim.yaml", "volume.yaml", *_secrets(folder, around)]
    claimed = {
        "persistentvolumeclaim.yaml": to_yaml(volumes.claim(inventory, app, volume)) + "\n",
        "volume.yaml": about,
        KUSTOMIZATION: volume_build(app, volume, resources, volumes.claim_components(inventory, volume)),
    }
    files = {f"{folder}/{path}": text for path, text in claimed.items()}
    if volumes.saves(inventory):
        components = volumes.backup_components(inventory, volume)
        files[f"{folder}-backup/volume.yaml"] = about
        more = ["volume.yaml", *_secrets(f"{folder}-backup", around)]
        files[f"{folder}-backup/{KUSTOMIZATION}"] = volume_build(app, volume, more, components)
    return files


def volume_build(app: App, volume: Volume, resources: Sequence[str], components: Sequence[str]) -> str:
    """The kustomization.yaml of a volume: the components do the rest."""
    return build(
        namespace=app.namespace,
        resources=list(resources),
        components=[f"../../../components/{name}" for name in components],
        patches=volumes.mover_patches(volume),
    )


# --- Flux ------------------------------------------------------------------------------------------------------------


def _flux_kustomizations(inventory: Inventory, app: App) -> str:
    folder = f"./{app.folder}"
    checks = _said_ready() if app.said_ready else ()
    found = [_one(inventory, app, app.name, f"{folder}/app", apps.depends_of(inventory, app), checks)]
    if app.volumes:
        found.insert(0, _one(inventory, app, f"{app.name}-namespace", f"{folder}/namespace", ()))
    for volume in app.volumes:
        name = volumes.name_of(app, volume)
        before = ("volsync",) if volume.sops else ("volsync", "stores")
        needs = (f"{app.name}-namespace", *(before if app.stage == apps.BASE else ()))
        claim = _one(inventory, app, name, f"{folder}/{volume.name}", needs)
        found.insert(1, {**claim, "spec": {**claim["spec"], **_restored(inventory)}})
        if volumes.saves(inventory):
            needs = (name, app.name if app.name != "openbao" else apps.openbao_of(inventory))
            found.append(_one(inventory, app, f"{name}-backup", f"{folder}/{volume.name}-backup", needs))
    return "---\n".join(to_yaml(each) + "\n" for each in found)


def _said_ready() -> list[dict[str, str]]:
    """Flux takes an object without conditions for healthy, as these are until their controller has looked at them."""
    told = "has(status.conditions) && status.conditions.exists(e, e.type == 'Ready' && e.status == 'True')"
    kinds = ("ClusterSecretStore", "ExternalSecret")
    return [{"apiVersion": "external-secrets.io/v1", "kind": kind, "current": told} for kind in kinds]


def _restored(inventory: Inventory) -> dict[str, Any]:
    if not volumes.restored(inventory):
        return {}
    done = "status.lastManualSync == spec.trigger.manual && status.latestMoverStatus.result == 'Successful'"
    check = {"apiVersion": "volsync.backube/v1alpha1", "kind": "ReplicationDestination"}
    failed = "has(status.latestMoverStatus) && status.latestMoverStatus.result == 'Failed'"
    return {"healthCheckExprs": [{**check, "current": done, "failed": failed}], "timeout": "1h"}


def _one(
    inventory: Inventory, app: App, name: str, path: str, depends: Sequence[str], checks: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "interval": "1h",
        "retryInterval": "1m",
        "timeout": app.timeout,
        "path": path,
        "prune": True,
        "wait": True,
        "serviceAccountName": sources.ACCOUNT,
        "sourceRef": {"kind": sources.kind(inventory), "name": sources.NAME},
        "decryption": {"provider": "sops"},
    }
    if app.stage == BOOTSTRAP:
        spec["deletionPolicy"] = "Orphan"
    if depends:
        spec["dependsOn"] = [{"name": each} for each in depends]
    if checks:
        spec["healthCheckExprs"] = list(checks)
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": spec,
    }


def _stage(inventory: Inventory, stage: str, names: Sequence[str], around: Beside) -> Files:
    own = [path.partition("/")[2] for path in around.own if path.startswith(f"{stage}/")]
    listed = build(resources=[f"{name}/{FLUX}" for name in [*names, *own]])
    return {f"{stage}/{KUSTOMIZATION}": listed, f"flux/{stage}.yaml": _stage_of_flux(inventory, stage)}


def _stage_of_flux(inventory: Inventory, stage: str) -> str:
    before = STAGES[STAGES.index(stage) - 1 : STAGES.index(stage)] if stage != BOOTSTRAP else ()
    gates = [app.name for app in apps.in_stage(inventory, stage) if app.gate]
    spec: dict[str, Any] = {
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "30m",
        "path": f"./{TOP}/{stage}",
        "prune": True,
        "deletionPolicy": "Orphan",
        "wait": False,
        "sourceRef": {"kind": sources.kind(inventory), "name": sources.NAME},
        "decryption": {"provider": "sops"},
    }
    if before:
        spec["dependsOn"] = [{"name": name} for name in before]
    if gates:
        about = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "namespace": "flux-system"}
        spec["healthChecks"] = [{**about, "name": name} for name in gates]
    identity: dict[str, Any] = {
        "name": stage,
        "namespace": "flux-system",
        "annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
    }
    made = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": identity, "spec": spec}
    return to_yaml(made) + "\n"


# --- components ------------------------------------------------------------------------------------------------------


def _components(inventory: Inventory, given: Mapping[str, Any]) -> Files:
    found: Files = {}
    for name, (kustomization, *resources) in volumes.components(inventory, str(given["images"]["volsync"])).items():
        found[f"components/{name}/{KUSTOMIZATION}"] = to_yaml(kustomization) + "\n"
        for resource_of in resources:
            found[f"components/{name}/{resource_of['kind'].lower()}.yaml"] = to_yaml(resource_of) + "\n"
    deny = policy.default_deny(inventory)
    found["components/default-deny/networkpolicy.yaml"] = to_yaml(deny) + "\n"
    for name in ("default-deny", "app-defaults"):
        text = template(f"gitops/components/{name}/{KUSTOMIZATION}{SUFFIX}").render({**given, "policy": deny["kind"]})
        found[f"components/{name}/{KUSTOMIZATION}"] = text
    return found
