"""`slipway kubeconfig`: what kubectl needs to reach the cluster, in a file of its own or beside other clusters."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from slipway import inside
from slipway.cli.console import print_json, say, write
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cluster import kubeconfig as admin
from slipway.errors import InvalidInput, UsageError
from slipway.inventory import load
from slipway.ssh.pool import Pool

STDOUT = Path("-")
_OWNERS_ALONE = 0o600


def kubeconfig(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it to this new file; - for standard output.", metavar="FILE"),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Put it into $KUBECONFIG or ~/.kube/config, beside other clusters.")
    ] = False,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:
    """Get the administrator's kubeconfig from a controller, for kubectl on this machine. It is a secret.

    It names the cluster's external or virtual address where the inventory has one, which outlives any controller.

    Example: slipway kubeconfig -o homelab.kubeconfig

    Example: slipway kubeconfig --merge
    """
    if (output is None) is not merge:
        raise UsageError("say where it goes: -o FILE or --merge", hint="slipway kubeconfig --merge")
    inventory = load(inventory_file)
    with Pool.of(inventory) as pool:
        made = admin.for_people(inventory, admin.of(inventory, pool))
    name, server = made["current-context"], made["clusters"][0]["cluster"]["server"]
    if output == STDOUT:
        write(_text(made))
        return
    file = _merged(made) if output is None else _new(output, made)
    if json_output:
        print_json({"file": str(file), "context": name, "server": server})
        return
    say(f"wrote {file}: context {name}, {server}")
    say(f"next: kubectl --kubeconfig {file} --context {name} get nodes")


def _new(file: Path, made: dict[str, Any]) -> Path:
    try:
        with inside.created(file, _OWNERS_ALONE) as descriptor, os.fdopen(descriptor, "w", closefd=False) as stream:
            stream.write(_text(made))
    except FileExistsError:
        raise UsageError(f"{file} exists; it is not overwritten", hint="-o with another name, or --merge") from None
    return file


def _merged(made: dict[str, Any]) -> Path:
    """Whole or not at all: the new file takes the place of the old one."""
    file = _kubectls_own()
    try:
        known = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
        whole = admin.merged(known or {}, made)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError):
        # Without the cause, which may quote a key.
        raise InvalidInput(f"{file}: no kubeconfig; nothing was changed", hint="slipway kubeconfig -o FILE") from None
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return inside.write(file.parent, file.name, yaml.safe_dump(whole, sort_keys=False).encode(), _OWNERS_ALONE)


def _kubectls_own() -> Path:
    """The file that kubectl reads first; where it is a link, what that leads to."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return (Path(named) if named else Path.home() / ".kube" / "config").resolve()


def _text(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2) + "\n"
