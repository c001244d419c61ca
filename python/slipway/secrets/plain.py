"""Files below secrets/ that are not encrypted, by their names: nothing of the kind may lie there.

What Git knows of a flake's folder is copied into the Nix store, which every user of the machine can read.
"""

from __future__ import annotations

from pathlib import Path

from slipway.errors import InvalidInput

FOLDER = "secrets"
HARMLESS = ("README.md", ".gitignore", ".gitkeep")


def is_encrypted(path: Path) -> bool:
    """Whether a path, relative to the repository, is one of sops's: secrets/*.sops.*"""
    return path.parts[0] == FOLDER and ".sops." in path.name


def require_none(root: Path) -> None:
    """Raises InvalidInput for plain files below secrets/."""
    below = sorted(path for path in (root / FOLDER).rglob("*") if not path.is_dir())
    plain = [path for path in below if ".sops." not in path.name and path.name not in HARMLESS]
    if plain:
        name = plain[0].with_name(f"{plain[0].stem}.sops{plain[0].suffix}")
        raise InvalidInput(
            f"not encrypted by its name: {', '.join(map(str, plain))}; only {FOLDER}/*.sops.* may lie there",
            hint=f"move it away, or: sops encrypt --filename-override {name} {plain[0]} >{name} && rm {plain[0]}",
        )
