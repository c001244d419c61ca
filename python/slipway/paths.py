"""Where slipway finds what it ships and keeps what it makes."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent
_IN_WHEEL = _PACKAGE / "_data"
_IN_CHECKOUT = _PACKAGE.parents[1]


ENCRYPTION_KEY = Path("secrets/encryption.sops.yaml")
"""In a repository: the key with which the API server encrypts Secrets at rest."""

BINARY_CACHE_KEY = Path("secrets/binary-cache.sops.yaml")
"""In a repository: the key that signs what deploys copy to a binary cache."""


def resource(name: str) -> Path:
    """The shipped folder or file `name` (`templates`, `nixos`, `examples`, `flake.nix`), from wheel or checkout."""
    shipped = _IN_WHEEL / name
    return shipped if shipped.exists() else _IN_CHECKOUT / name


def cache_dir() -> Path:
    """The user's cache for slipway; what lies there can be made again at the price of time."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "slipway"


def user_state_dir() -> Path:
    """What slipway keeps for this user beyond any repository, and cannot make again."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "slipway"


def state_dir(root: Path) -> Path:
    """The folder of the repository at `root` for runs, records and locks; ignored by Git."""
    return root / ".slipway"
