"""The system that a machine starts with, as a machine has one after NixOS was installed on it."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.lab.settings import Machine
from slipway.paths import resource
from slipway.tools import nix
from slipway.tools.run import run

BUILD_TIMEOUT = 300.0
COPY_TIMEOUT = 300.0
_OPTIONS = {"substituters": "", "sandbox": "false", "build-users-group": ""}
"""Nix alone on this machine, offline, builds as this user."""


def install(machine: Machine) -> None:
    """Build the machine's first system, copy its closure into the mounted root, make it profile and boot default."""
    toplevel = build(machine)
    nix.copy([toplevel], f"local?root={machine.root}", ssh=(), options=_OPTIONS, timeout=COPY_TIMEOUT)
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
    file = str(resource("nixos") / "lab" / "installed.nix")
    given = [word for pair in arguments.items() for word in ("--argstr", *pair)]
    options = [word for pair in _OPTIONS.items() for word in ("--option", *pair)]
    argv = ["nix", *nix.FEATURES, "build", "--no-link", "--json", "-f", file, *given, *options]
    answer = run(argv, timeout=BUILD_TIMEOUT)
    return str(json.loads(answer.stdout)[0]["outputs"]["out"])


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
