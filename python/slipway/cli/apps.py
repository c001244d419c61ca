"""`slipway app new` and `slipway stages eject`: apps of the user's own, and apps that a user takes over."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from slipway import inside
from slipway.cli.console import print_json, say
from slipway.cli.generate import tell_git
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.errors import InvalidInput
from slipway.generate.gitops import scaffold
from slipway.generate.gitops.scaffold import Wanted
from slipway.inventory import load
from slipway.inventory.kubernetes import dns_label

app = typer.Typer(no_args_is_help=True, help="Applications of your own in the stage cluster-apps.")


@app.callback()
def _group() -> None:
    """Keeps `new` a word of its own, while it is the only one."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the app, and of its namespace.", metavar="NAME")],
    image: Annotated[str, typer.Option(help="The container image that it runs.", metavar="IMAGE")],
    port: Annotated[int, typer.Option(help="The port that it listens on.", min=1, max=65535)] = 8080,
    volume: Annotated[
        str, typer.Option(help="Size of a volume at /data, saved and restored by the stages' mode.", metavar="SIZE")
    ] = "",
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Write the files of a new app into gitops/cluster-apps/NAME. They are yours: slipway never changes them again.

    Example: slipway app new shop --image registry.example.org/shop:1.0 --volume 5Gi
    """
    loaded = load(inventory)
    if volume and not re.fullmatch("[1-9][0-9]*(Mi|Gi|Ti)", volume):
        raise InvalidInput(f"{volume}: not a size like 512Mi or 5Gi", hint="--volume 5Gi")
    wanted = Wanted(_checked(name), image, port, volume)
    files = scaffold.scaffold(loaded, wanted)
    there = [path for path in files if inside.place(loaded.root, path).exists()]
    if there:
        raise InvalidInput(f"{loaded.root / there[0]}: is there already", hint="another name, or move it away")
    for path, text in files.items():
        inside.write(loaded.root, path, text.encode())
    _told(sorted(files), "wrote", json_output)
    tell_git(loaded.root)
    if not json_output:
        say("next: edit them, then: slipway generate, which lists the app in its stage")


def eject(
    name: Annotated[str, typer.Argument(help="The app to take over.", metavar="APP")],
    inventory: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Take over the files of an app that slipway generates: from then on it leaves them alone, and Flux goes on.

    For a change of a few values an overlay is enough: overlays/<stage>/<app>/kustomization.yaml, a kustomize component.

    Example: slipway stages eject sample
    """
    loaded = load(inventory)
    files = scaffold.ejected(loaded, name)
    for path, content in files.items():
        inside.write(loaded.root, path, content)
    _told(sorted(files), "yours", json_output)
    if not json_output:
        say("next: slipway generate, which takes them out of its list")


def _checked(name: str) -> str:
    try:
        return dns_label(name)
    except ValueError as error:
        raise InvalidInput(str(error), hint="slipway app new shop --image IMAGE") from None


def _told(paths: list[str], verb: str, json_output: bool) -> None:
    if json_output:
        print_json([{"path": path, "change": verb} for path in paths])
        return
    for path in paths:
        say(f"{verb:<8} {path}")
