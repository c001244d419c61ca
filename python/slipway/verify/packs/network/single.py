"""Addresses that only one machine may have.

ip address show
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.asked import Facts
from slipway.verify.backend import NodeHost
from slipway.verify.check import controllers, expect, listed
from slipway.verify.packs.network._tcp import State, Target, tried


def test_address_is_on_no_other_node(
    node: Host, facts: Facts, others: Mapping[str, Facts], inventory: Inventory
) -> None:
    """No other node has this one's address, and this one has no other's."""
    twins = [name for name, other in others.items() if node.address in other.addresses]
    theirs = {each.address: each.name for each in inventory.hosts if each.name != node.name}
    stolen = [f"{address}, which is {theirs[address]}'s" for address in facts.addresses if address in theirs]
    expect(
        not twins and not stolen,
        expected=f"{node.address} here alone, and no other node's address",
        found=listed([*(f"{node.address} on {name}, too" for name in twins), *stolen]),
        fix="ip address del it from the node that has it wrongly; was a disk cloned?",
        command="ip address show",
    )


@controllers
def test_virtual_address_is_held_once(
    host: NodeHost, node: Host, facts: Facts, others: Mapping[str, Facts], inventory: Inventory
) -> None:
    """One controller holds the virtual address, and the API answers there."""
    vip = inventory.cluster.network.vip
    if vip is None:
        pytest.skip("the inventory has no virtual address")
    names = {each.name for each in inventory.controllers}
    told = {**{name: each for name, each in others.items() if name in names}, node.name: facts}
    holders = [name for name, each in told.items() if vip.ip in each.addresses]
    target = Target("the virtual address", vip.ip, inventory.cluster.k0s.ports.api)
    answers = tried(host, [target])[target] is State.OPEN
    # Who is not asked may be the one that holds it.
    once = len(holders) == 1 or (not holders and set(told) != names)
    expect(
        once and answers,
        expected=f"{vip.ip} at one controller, with the API behind it",
        found=f"at {listed(holders, 'none that was asked')}; the API {'answers' if answers else 'does not answer'}",
        fix="journalctl -u k0s.service | grep -i vrrp; VRRP (protocol 112) free between the controllers?",
        command=f"ip address show to {vip.ip}",
    )
