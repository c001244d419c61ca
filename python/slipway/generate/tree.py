"""Everything that slipway generates into a repository, as one tree."""

from __future__ import annotations

from slipway.errors import InvalidInput
from slipway.generate import gitops, k0s, nixos
from slipway.generate.templates import digest_of, header
from slipway.inventory import Inventory
from slipway.inventory.families import of_another_family


def render(inventory: Inventory) -> dict[str, bytes]:
    """Every generated file by its path in the repository: same inventory and version, same bytes.

    Pure, but for the names of files that people keep beside those of the stages (gitops.beside). Raises InvalidInput
    for a cluster that could not start.
    """
    for name, message in of_another_family(inventory.cluster.network, inventory.hosts).items():
        raise InvalidInput(f"{inventory.path}: hosts.{name}.address: {message}", hint="slipway check")
    return {**nixos.render(inventory), **k0s.render(inventory), **_gitops(inventory)}


def _gitops(inventory: Inventory) -> dict[str, bytes]:
    advice = "Do not edit: change the inventory."
    return {
        str(path): (header(inventory.path.name, digest_of(text), advice) + text).encode()
        for path, text in gitops.render(inventory, gitops.beside(inventory.root)).items()
    }
