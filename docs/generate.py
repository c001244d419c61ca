"""Writes the reference pages that are made from the program itself: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

import nixos_options

from slipway.cli import reference as cli
from slipway.inventory.reference import reference
from slipway.inventory.schema import schema
from slipway.report import packs, stage_law

REFERENCE = Path(__file__).parent / "reference"


def main() -> None:
    pages = {
        "cli.md": cli.render(),
        "inventory.md": reference(),
        "inventory.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "nixos-options.md": nixos_options.render(nixos_options.options()),
        "packs.md": packs.render(),
        "stage-law.md": stage_law.render(),
    }
    for name, text in pages.items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
