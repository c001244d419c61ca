"""Machines that mount nothing at /, which NixOS refuses when it evaluates them."""

from __future__ import annotations

from pathlib import Path

from slipway.inventory.load import Inventory, read
from slipway.inventory.problem import Problem

LAB = "slipway.lib.lab"
"""In the flake of a repository whose machines are the lab's: those have their root file system from the lab."""


def without_root(inventory: Inventory) -> tuple[Problem, ...]:
    """A warning for each host that has neither `disks` nor a file of its own. Reads the inventory again, for places."""
    root = inventory.root
    names = [host.name for host in inventory.hosts if not host.disks and not (root / f"hosts/{host.name}.nix").exists()]
    if not names or _is_the_labs(root / "flake.nix"):
        return ()
    source, _ = read(inventory.path)
    return tuple(
        source.place(("hosts", name), key=True).problem(
            ("hosts", name), f"no disks and no hosts/{name}.nix: nothing mounts /, unless a file of modules/ does"
        )
        for name in names
    )


def _is_the_labs(flake: Path) -> bool:
    try:
        return LAB in flake.read_text()
    except (OSError, ValueError):
        return False
