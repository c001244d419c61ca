"""The machine's address, on the link that the inventory names.

ip -j address show
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.inventory.address import address_of, interface_of
from slipway.verify.check import expect, listed
from slipway.verify.packs.network._links import Links

SHOW = "ip address show"


def test_is_on_its_link(links: Links, node: Host) -> None:
    """The address is on the link that the inventory names, and the link is up."""
    link = links.carrying(node.address)
    wanted = node.network.interface
    expect(
        link is not None and link.up and (wanted is None or wanted in link.names),
        expected=f"{node.address} on {wanted or 'a link'}, up",
        found=f"on {link.name}, {'up' if link.up else 'down'}" if link else "on no link",
        fix="ip address; networkctl status; is network.interface in the inventory the right one?",
        command=SHOW,
    )


def test_has_its_prefix(links: Links, node: Host) -> None:
    """The address has the prefix length of the inventory."""
    link = links.carrying(node.address)
    found = link.addresses[node.address] if link else None
    wanted = node.network.prefix_length
    expect(
        found is not None and wanted in (None, found),
        expected=f"{node.address}/{wanted or '...'}",
        found="no such address" if found is None else f"{node.address}/{found}",
        fix="network.prefixLength in the inventory, then deploy",
        command=SHOW,
    )


def test_has_its_second_address(links: Links, node: Host) -> None:
    """The IPv6 address of the inventory is on the same link, with its prefix length."""
    second = node.network.ipv6
    if second is None:
        pytest.skip("the inventory gives this node one address")
    link = links.carrying(node.address)
    found = {address_of(address): length for address, length in (link.addresses if link else {}).items()}
    length = found.get(address_of(second.address))
    expect(
        length == second.prefix_length,
        expected=f"{second.address}/{second.prefix_length} beside {node.address}",
        found="no such address there" if length is None else f"{second.address}/{length}",
        fix="network.ipv6 in the inventory, then deploy; networkctl status",
        command=SHOW,
    )


def test_has_its_other_addresses(links: Links, node: Host) -> None:
    """The other static addresses of the inventory are on the same link, each with its prefix length."""
    wanted = {text: interface_of(text) for text in node.network.addresses}
    if not wanted:
        pytest.skip("the inventory gives this node no more addresses on its link")
    link = links.carrying(node.address)
    found = {(address_of(address), length) for address, length in (link.addresses if link else {}).items()}
    missing = [text for text, (address, network) in wanted.items() if (address, network.prefix_length) not in found]
    expect(
        not missing,
        expected=f"{listed(wanted)} beside {node.address}",
        found=f"without {listed(missing)}",
        fix="network.addresses in the inventory, then deploy; networkctl status",
        command=SHOW,
    )


def test_has_its_mtu(links: Links, node: Host) -> None:
    """The link has the MTU of the inventory, or else at least the Internet's smallest."""
    link = links.carrying(node.address)
    wanted = node.network.mtu
    found = link.mtu if link else 0
    expect(
        found == wanted if wanted else found >= 1280,
        expected=str(wanted or "1280 or more"),
        found=str(found or "no link carries the address"),
        fix="network.mtu in the inventory, the same on the switch; then deploy",
        command=SHOW,
    )
