"""What a verification was about, as digests: what the inventory says of a node, and what the checks of a pack are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.inventory import Host, Inventory


@dataclass(frozen=True)
class Digests:
    """SHA-256 in hex: `nodes` by name of the host, `packs` by name of the pack."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    packs: Mapping[str, str] = field(default_factory=dict)


def of(inventory: Inventory, hosts: Iterable[Host], packs: Mapping[str, Path]) -> Digests:
    """As they are now: of a host everything that it inherits, and what is cluster-wide."""
    cluster = inventory.cluster.model_dump_json().encode()
    nodes = {host.name: _sha256([host.model_dump_json().encode(), cluster]) for host in hosts}
    return Digests(nodes, {name: of_pack(folder) for name, folder in packs.items()})


def of_pack(folder: Path) -> str:
    """Every file below the folder, by its name and content; what Python compiled from them is left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return _sha256(part for path in files for part in (str(path.relative_to(folder)).encode(), path.read_bytes()))


def _sha256(parts: Iterable[bytes]) -> str:
    """Each part with its length before it, so that none can pass for the end of the one before."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
