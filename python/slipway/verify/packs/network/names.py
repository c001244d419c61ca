"""Names.

getent ahosts localhost
"""

from __future__ import annotations

import re

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed


class Resolved:
    """The addresses of a name, as programs on the machine find them.

    >>> Resolved(host, "localhost").addresses
    {'127.0.0.1', '::1'}
    """

    def __init__(self, host: NodeHost, name: str) -> None:
        # 2: getent knows no such name.
        answer = host.run_expect([0, 2], "getent ahosts %s", name)
        self.addresses = {line.split()[0] for line in answer.stdout.splitlines() if line.strip()}


def test_localhost_is_here(host: NodeHost) -> None:
    """localhost is this machine."""
    # k0s is linked statically and asks /etc/hosts alone.
    lines = host.check_output("cat /etc/hosts").splitlines()
    found = [line.split()[0] for line in lines if "localhost" in line.partition("#")[0].split()[1:]]
    expect(
        "127.0.0.1" in found,
        expected="127.0.0.1 localhost in /etc/hosts",
        found=listed(found),
        fix='networking.hosts."127.0.0.1" = [ "localhost" ];',
    )


def test_servers_of_the_inventory_resolve(host: NodeHost, node: Host, inventory: Inventory) -> None:
    """The name servers of the inventory find the names that it uses."""
    names = [name for name in _used(inventory) if re.search("[a-z]", name) and ":" not in name]
    if not node.network.nameservers or not names:
        pytest.skip("the inventory names no name server, or no name to look up")
    lost = [name for name in names if not Resolved(host, name).addresses]
    expect(
        not lost,
        expected=f"an address for {listed(names)}",
        found=f"none for {listed(lost)}",
        fix="resolvectl query NAME; are network.nameservers right, and reachable by UDP 53?",
    )


def _used(inventory: Inventory) -> list[str]:
    """The names that the nodes have to look up: time servers and the address of the API."""
    outside = inventory.cluster.network.external_address
    return [*inventory.cluster.time.servers, *([outside] if outside else [])]
