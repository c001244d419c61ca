"""The system that a machine starts with, as a machine has one after NixOS was installed on it."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.lab.settings import WITH_US, Machine
from slipway.paths import resource
from slipway.tools.nix import FEATURES
from slipway.tools.run import run

NIX_TIMEOUT = 300.0
_OPTIONS = {"substituters": "", "sandbox": "false", "build-users-group": ""}
"""Nix alone on this machine, offline, builds as this user."""


def install(machine: Machine) -> None:
    """Build the machine's first system, copy its closure into the mounted root, make it profile and boot default."""
    toplevel = build(machine)
    _nix("copy", "--no-check-sigs", "--to", f"local?root={machine.root}", toplevel)
    profiles = machine.root / "nix/var/nix/profiles"
    _link(profiles / "system-1-link", toplevel)
    _link(profiles / "system", "system-1-link")
    _link(machine.root / "boot/default", toplevel)


def build(machine: Machine) -> str:
    """The store path of the machine's first toplevel: its name, address, sshd and the lab's key."""
    arguments = {
        "name": machine.name,
        "address": machine.address,
        "prefixLength": str(machine.lab.subnet.prefixlen),
        "authorizedKey": machine.lab.identity.with_suffix(".pub").read_text().strip(),
    }
    file = resource("nixos") / "lab" / "installed.nix"
    given = [word for pair in arguments.items() for word in ("--argstr", *pair)]
    answer = _nix("build", "--no-link", "--json", "-f", str(file), *given)
    return str(json.loads(answer)[0]["outputs"]["out"])


def _nix(*words: str) -> str:
    """Run nix, which ends with us: one that went on would write into the machine while `lab down` removes it."""
    options = [word for pair in _OPTIONS.items() for word in ("--option", *pair)]
    return run([*WITH_US, "nix", *FEATURES, *words, *options], timeout=NIX_TIMEOUT).stdout


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
