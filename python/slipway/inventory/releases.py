"""The k0s releases that slipway packages: one table, read by Nix too."""

from __future__ import annotations

import json
from functools import lru_cache

from slipway.paths import resource


@lru_cache(maxsize=1)
def known_releases() -> dict[str, dict[str, str]]:
    """Packaged k0s releases, oldest first: version to hashes by system."""
    table: dict[str, dict[str, str]] = json.loads((resource("nixos") / "pkgs/k0s/versions.json").read_text())
    return table


def newest_release(start: str = "") -> str | None:
    """The newest known release whose version begins so: `1.36.`, `1.36.3+`."""
    return next((release for release in reversed(known_releases()) if release.startswith(start)), None)


def minor_of(version: str) -> int:
    """36 of 1.36.3+k0s.2."""
    return int(version.split(".")[1])
