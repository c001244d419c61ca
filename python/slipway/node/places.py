"""Where a node keeps what matters to an activation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """NixOS's own places, and the folder of slipway's activations: in memory, so that a reboot forgets them."""

    run: str = "/run/slipway"
    current: str = "/run/current-system"
    booted: str = "/run/booted-system"
    profile: str = "/nix/var/nix/profiles/system"
    root: str = "/nix/var/nix/gcroots/slipway"
    """Keeps a copied system from the garbage collector until a profile does."""
    note: str = "/var/lib/slipway/commit"
    """The system that slipway activated last, and the commit that it was made from (rollout/revision.py)."""
    allow_rename: str = "/var/lib/slipway/allow-rename"
    """The guard of nixos/modules/guard.nix looks for the same file."""


NIXOS = Places()
