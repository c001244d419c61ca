"""Names.

getent ahosts localhost
"""

from __future__ import annotations

import re

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed

RESOLVED = "/run/systemd/resolve/resolv.conf"
"""The servers that systemd-resolved asks, whatever /etc/resolv.conf says (systemd-resolved.service(8))."""


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


def test_servers_are_those_of_the_inventory(host: NodeHost, node: Host) -> None:
    """Programs on the machine ask the name servers of the inventory."""
    wanted = node.network.nameservers
    if not wanted:
        pytest.skip("the inventory names no name server")
    # systemd-resolved keeps a list of the servers that it asks itself; without it there is the file that all read.
    lines = host.check_output(f"cat {RESOLVED} 2>/dev/null || cat /etc/resolv.conf").splitlines()
    found = [line.split()[1] for line in lines if re.match(r"nameserver\s+\S", line)]
    missing = [server for server in wanted if server not in found]
    expect(
        not missing,
        expected=listed(wanted),
        found=listed(found),
        fix="networkctl status; resolvectl status; network.nameservers in the inventory, then deploy",
        command=f"cat {RESOLVED} /etc/resolv.conf",
    )


def _used(inventory: Inventory) -> list[str]:
    """The names that the nodes have to look up: time servers and the address of the API."""
    outside = inventory.cluster.network.external_address
    return [*inventory.cluster.time.servers, *([outside] if outside else [])]
