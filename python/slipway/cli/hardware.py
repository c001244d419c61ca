"""`slipway hardware`: a machine's hardware configuration becomes hosts/NODE.nix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from slipway import inside
from slipway.cli.console import print_json, say
from slipway.cli.generate import tell_git
from slipway.cli.options import INVENTORY, InventoryOption, JsonOption
from slipway.cli.targets import by_name, resolve
from slipway.errors import InvalidInput, PrerequisiteMissing, UsageError
from slipway.hardware import configuration
from slipway.inventory import Host as InventoryHost
from slipway.inventory import load
from slipway.ssh.host import Host

STDIN = Path("-")
GENERATE = ("nixos-generate-config", "--show-hardware-config")
FACTER = ("nixos-facter",)
TIMEOUT = 300.0
"""Seconds; nixos-facter asks every bus."""


def hardware(
    node: Annotated[str, typer.Argument(help="A host of the inventory.", metavar="NODE")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="Where the machine answers now, as user@address[:port].", metavar="ADDRESS",
            show_default="as the inventory says",
        ),
    ] = None,
    facter: Annotated[bool, typer.Option("--facter", help="Take a report of nixos-facter (NixOS 25.11 on).")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Take what one of both printed before; - for standard input.", metavar="FILE"),
    ] = None,
    inventory_file: InventoryOption = INVENTORY,
    json_output: JsonOption = False,
) -> None:  # fmt: skip
    """Bring a machine's hardware configuration in as hosts/NODE.nix: kernel modules, firmware, file systems.

    It is what nixos-generate-config prints on the machine, which NixOS and its installer have.
    File systems are left to disko where the inventory has `disks`. A file that is there stays.

    Example: slipway hardware w1 --at root@10.0.0.157
    """
    inventory = load(inventory_file)
    host = by_name(inventory, node)
    target = inventory.root / "hosts" / f"{node}.nix"
    if target.exists():
        raise UsageError(f"{target} exists; it is yours, and is not overwritten", hint=f"mv {target} {target}.old")
    text = _given(file) if file else _asked(host, at, facter, inventory_file)
    found = configuration.read(text, node, filesystems=not host.disks)
    written = [inside.write(inventory.root, f"hosts/{node}.nix", found.module.encode())]
    if found.report:
        written.append(inside.write(inventory.root, f"hosts/{node}.facter.json", found.report.encode()))
    if json_output:
        print_json({"written": [str(path) for path in written], "leftOut": list(found.left_out)})
        return
    for path in written:
        say(f"wrote    {path}")
    for key in found.left_out:
        say(f"left out: {key}, which slipway takes from no machine; look at it, and write it yourself if you mean it")
    tell_git(inventory.root)


def _given(file: Path) -> str:
    try:
        return sys.stdin.read() if file == STDIN else file.read_text(encoding="utf-8")
    except UnicodeError:
        raise InvalidInput(f"{file}: no text") from None


def _asked(host: InventoryHost, at: str | None, facter: bool, inventory_file: Path) -> str:
    word = at or host.name
    if at and "@" not in at:
        word = f"root@{at}"
    targets = resolve([word], inventory_file, host.ssh.identity)
    with targets.pool as pool:
        return _ask(pool.host(targets.names[0]), host, facter)


def _ask(machine: Host, host: InventoryHost, facter: bool) -> str:
    """Raises PrerequisiteMissing where the machine has no such program."""
    argv = list(FACTER if facter else GENERATE)
    if not facter and host.disks:
        argv.append("--no-filesystems")
    said = machine.run(argv, timeout=TIMEOUT, expect=(0, 127))
    if said.exit_code == 127:
        raise PrerequisiteMissing(
            f"{host.name}: {argv[0]} is not there; NixOS and its installer have it",
            hint=f"run it there, and bring what it prints: slipway hardware {host.name} --from FILE",
        )
    return said.stdout
