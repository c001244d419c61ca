"""Files for an app of the user's own in the stage cluster-apps, and apps that a user takes over from slipway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import InvalidInput
from slipway.generate.gitops import apps, policy, sources, volumes
from slipway.generate.gitops.apps import App, Volume
from slipway.generate.gitops.beside import FLUX, KUSTOMIZATION, is_generated
from slipway.generate.gitops.render import build, volume_build
from slipway.generate.templates import template, to_yaml
from slipway.inventory import Inventory


@dataclass(frozen=True)
class Wanted:
    """What the new app is. `volume` is a size such as 5Gi, "" for none.

    Its files do not change with the stages' mode: the components `volume` and `backup` do.
    """

    name: str
    image: str
    port: int
    volume: str = ""


def scaffold(inventory: Inventory, wanted: Wanted) -> dict[str, str]:
    """The app's files by path in the repository. They are the user's from the first moment on. Pure.

    Raises InvalidInput where an app, or a Flux Kustomization of one, has the name already.
    """
    taken = {app.name for app in apps.APPS} | set(apps.STAGES) | {app.namespace for app in apps.APPS}
    if wanted.name in taken:
        raise InvalidInput(
            f"{wanted.name}: slipway has an app, a stage or a namespace of this name", hint="another name"
        )
    app = App(apps.APPS_STAGE, wanted.name, wanted.name)
    given: dict[str, Any] = {
        "name": wanted.name,
        "image": wanted.image,
        "port": wanted.port,
        "volume": wanted.volume,
        "source": sources.kind(inventory),
        "account": sources.ACCOUNT,
        "domain": inventory.stages.gateway.domain if inventory.stages.gateway.enabled else "",
    }
    files = {FLUX: template("app/ks.yaml.j2").render(given), **_namespace(inventory, app, given)}
    files["app/app.yaml"] = template("app/app.yaml.j2").render(given)
    files[f"app/{KUSTOMIZATION}"] = build(resources=["app.yaml"], components=["../../../components/app-defaults"])
    if wanted.volume:
        files |= _volume(inventory, app, Volume("data", wanted.volume))
    return {f"{app.folder}/{path}": text for path, text in files.items()}


def _namespace(inventory: Inventory, app: App, given: dict[str, Any]) -> dict[str, str]:
    found = {"namespace.yaml": template("app/namespace.yaml.j2").render(given)}
    flows = (policy.called_by(policy.GATEWAY, given["port"]), *((policy.calls(policy.S3),) if given["volume"] else ()))
    allowed = policy.allowed(inventory, app.namespace, flows)
    if inventory.stages.default_deny and allowed:
        found["networkpolicy.yaml"] = to_yaml(allowed) + "\n"
    components = ["../../../components/default-deny"] if inventory.stages.default_deny else []
    listed = build(resources=sorted(found), **({"components": components} if components else {}))
    return {f"namespace/{name}": text for name, text in {**found, KUSTOMIZATION: listed}.items()}


def _volume(inventory: Inventory, app: App, volume: Volume) -> dict[str, str]:
    about = to_yaml(volumes.about(volumes.name_of(app, volume), app.namespace)) + "\n"
    resources = ["persistentvolumeclaim.yaml", "volume.yaml"]
    return {
        "data/persistentvolumeclaim.yaml": to_yaml(volumes.claim(inventory, app, volume)) + "\n",
        "data/volume.yaml": about,
        f"data/{KUSTOMIZATION}": volume_build(app, volume, resources, ["volume"]),
        "data-backup/volume.yaml": about,
        f"data-backup/{KUSTOMIZATION}": volume_build(app, volume, ["volume.yaml"], ["backup"]),
    }


def ejected(inventory: Inventory, name: str) -> dict[str, bytes]:
    """The files of a generated app without slipway's line above them: from then on they are the user's, and generate
    leaves them alone. Reads what is there.

    Raises InvalidInput for an app that the inventory does not have, or whose files are missing or taken over already.
    """
    found = [app for app in apps.of(inventory) if app.name == name]
    if not found:
        known = ", ".join(app.name for app in apps.of(inventory))
        raise InvalidInput(f"{name}: no app that slipway generates here; there are {known}", hint="slipway generate")
    folder = inventory.root / found[0].folder
    if (folder / FLUX).is_file() and not is_generated(folder / FLUX):
        raise InvalidInput(f"{folder}: is yours already", hint=f"rm -r {folder} and slipway generate give it back")
    files = [path for path in sorted(folder.rglob("*.yaml")) if path.is_file() and is_generated(path)]
    if not files:
        raise InvalidInput(f"{folder}: missing", hint="slipway generate")
    return {path.relative_to(inventory.root).as_posix(): _without_header(path) for path in files}


def _without_header(path: Path) -> bytes:
    return path.read_bytes().partition(b"\n")[2]
