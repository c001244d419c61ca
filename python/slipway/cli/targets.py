"""The machines that a user names: hosts of the inventory, or `user@address[:port]` of those that are in none yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import UsageError
from slipway.inventory import Host, InvalidInventory, Inventory, load
from slipway.inventory.select import names_no_host, select
from slipway.slips import nearest
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import KNOWN_HOSTS, KnownHosts
from slipway.ssh.pool import Pool


@dataclass(frozen=True)
class Targets:
    """The chosen machines, by their names in `pool`. `inventory` is None where none is needed and none can be read."""

    pool: Pool
    names: tuple[str, ...]
    inventory: Inventory | None


def resolve(
    words: Sequence[str], inventory_file: Path, identity: Path | None = None, *, exclude: Sequence[str] = ()
) -> Targets:
    """What `words` name, all hosts of the inventory without any, minus those hosts that `exclude` names; `identity` is
    the key file for addresses.

    Host keys are those that the inventory's repository pins, or the folder where it would be. Raises InvalidInventory
    only where a word needs the inventory, UsageError for one that names nothing.
    """
    parsed = {word: Endpoint.parse(word, identity) for word in words}
    addresses = [endpoint for endpoint in parsed.values() if endpoint]
    patterns = [word for word, endpoint in parsed.items() if endpoint is None]
    if exclude and addresses and not patterns:
        raise UsageError("--exclude leaves hosts of the inventory out, and only addresses are named")
    if patterns or not addresses:
        inventory: Inventory | None = load(inventory_file)
    else:
        inventory = None
        with suppress(InvalidInventory):
            inventory = load(inventory_file)
    if inventory is None:
        folder = inventory_file if inventory_file.is_dir() else inventory_file.parent
        pool = Pool(addresses, KnownHosts.load(folder / KNOWN_HOSTS))
    else:
        pool = Pool.of(inventory, addresses)
    hosts = select(inventory, patterns, exclude) if inventory and (patterns or not addresses) else ()
    return Targets(pool, (*(host.name for host in hosts), *(each.name for each in addresses)), inventory)


def one_of(
    inventory: Inventory, node: str, *, why: str = "one is meant here", hint: str = "slipway exec for several"
) -> Host:
    """The one host that `node` means. Raises UsageError where it means none, or several, with `why` and `hint`."""
    chosen = select(inventory, [node])
    if len(chosen) != 1:
        named = " ".join(host.name for host in chosen)
        raise UsageError(f"{node} is {len(chosen)} nodes: {named}; {why}", hint=hint)
    return chosen[0]


def by_name(inventory: Inventory, name: str) -> Host:
    """The host of exactly that name, for what is about one machine or cannot be taken back: no role and no glob may
    mean it by chance. Raises UsageError, with the nearest name."""
    found = next((host for host in inventory.hosts if host.name == name), None)
    if found is None:
        raise names_no_host(name, nearest(name, [host.name for host in inventory.hosts]))
    return found
