"""Which packs there are: ours, and the user's own folder `verify/` as the pack `user`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slipway import slips
from slipway.errors import UsageError
from slipway.inventory import Inventory

OURS = Path(__file__).parent / "packs"
USER = "user"
ON_DEMAND = ("burnin",)
"""Packs that load the machines: run when somebody names them, never required, and no part of a record."""


def available(inventory: Inventory) -> dict[str, Path]:
    """Pack name to its folder, ours in alphabetical order and then the user's; without those that run on demand."""
    return in_repository(inventory.root)


def in_repository(root: Path) -> dict[str, Path]:
    """The same, where only the folder of the inventory is known."""
    users = root.absolute() / "verify"
    usual = {name: folder for name, folder in ours().items() if name not in ON_DEMAND}
    return {**usual, USER: users} if any(map(holds_checks, users.rglob("*.py"))) else usual


def holds_checks(file: Path) -> bool:
    """conftest.py and files that begin with `_` serve the checks beside them and hold none."""
    return not file.name.startswith(("_", "conftest"))


def ours() -> dict[str, Path]:
    """The packs that slipway ships."""
    return {folder.name: folder for folder in sorted(OURS.iterdir()) if (folder / "__init__.py").exists()}


def chosen(inventory: Inventory, names: Iterable[str] = ()) -> dict[str, Path]:
    """The packs called `names`, or without any: those that the inventory requires, and the user's own."""
    known = {**available(inventory), **ours()}
    wanted = list(names) or [*inventory.verify.packs, *(name for name in (USER,) if name in known)]
    for name in wanted:
        if name not in known:
            raise UsageError(f"no pack is called {name!r}; {advice(name, known)}", hint=_hint(name))
    return {name: known[name] for name in dict.fromkeys(wanted)}


def advice(name: str, known: Iterable[str]) -> str:
    """What may be meant by a name that no pack has."""
    close = slips.nearest(name, known)
    return f"did you mean {close}?" if close else f"there are {', '.join(known)}"


def _hint(name: str) -> str:
    return "put testinfra files into verify/ beside inventory.yaml" if name == USER else "slipway verify --help"
