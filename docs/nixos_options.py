"""The reference of the NixOS modules, docs/reference/nixos-options.md, made from their options by Nix."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slipway.tools.run import run

OPTIONS = Path(__file__).parents[1] / "nixos" / "tests" / "options.nix"
INTRODUCTION = """\
# Options of slipway's NixOS modules

Made from `nixos/modules`; do not edit. `slipway generate` sets them in `generated/`; a machine's own settings
(`hosts/<name>.nix`, or `modules/*.nix` for all machines) may set any of them too, with `lib.mkForce` where the
generated value shall not count.
"""


def options() -> list[dict[str, Any]]:
    """name, type, description, default and example of each option; needs Nix, and no store or network."""
    command = ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", str(OPTIONS)]
    found: list[dict[str, Any]] = json.loads(run(command).stdout)
    return found


def render(found: Iterable[Mapping[str, Any]]) -> str:
    return INTRODUCTION + "".join(_entry(option) for option in found)


def _entry(option: Mapping[str, Any]) -> str:
    facts = [f"*{option['type']}*"]
    facts += [f"{word} `{option[word]}`" for word in ("default", "example") if option[word] is not None]
    return f"\n### `{option['name']}`\n\n{option['description']}\n\n{', '.join(facts)}\n"
