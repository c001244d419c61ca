"""Network cards and their cables.

ethtool NAME; ip -br link
"""

from __future__ import annotations

import pytest

from slipway.hardware.facts import Link
from slipway.inventory import Host
from slipway.inventory.model import ExpectedNic
from slipway.verify.check import expect, listed
from slipway.verify.packs.hardware._machine import Machine

SLOWEST = 1000
"""Mbit/s of the cards that carry the node's address, where the inventory asks for no speed: images and etcd need it."""
CABLE = "the cable, the port of the switch, its settings (autonegotiation); try another cable"


def _declared(machine: Machine, node: Host) -> dict[str, tuple[ExpectedNic, Link | None]]:
    return {mac: (nic, machine.card(mac)) for mac, nic in node.hardware.nics.items()}


def _carriers(machine: Machine, node: Host) -> list[Link]:
    """The cards below the link that has the node's address, and those that the inventory describes."""
    own = next((link for link in machine.hardware.links if _has(link, node.address)), None)
    cards = [*machine.cards_below(own.name if own else None), *(card for _, card in _declared(machine, node).values())]
    return list({card.name: card for card in cards if card is not None}.values())


def _has(link: Link, address: str) -> bool:
    return any(each.partition("/")[0] == address for each in link.addresses)


def test_are_there(machine: Machine, node: Host) -> None:
    """Every card of the inventory is there."""
    wanted = list(dict.fromkeys([*node.hardware.macs, *node.hardware.nics]))
    if not wanted:
        pytest.skip("the inventory names no card (hardware.nics, hardware.macs)")
    missing = [mac for mac in wanted if machine.card(mac) is None]
    expect(
        not missing,
        expected=listed(wanted),
        found=f"missing: {listed(missing)}",
        fix="is it plugged in, and its driver loaded (lspci -k)? else its address in the inventory",
        command="ip -br link",
    )


def test_have_their_drivers(machine: Machine, node: Host) -> None:
    """Cards run with the drivers of the inventory."""
    wanted = {mac: (nic.driver, card) for mac, (nic, card) in _declared(machine, node).items() if nic.driver}
    if not wanted:
        pytest.skip("the inventory names no driver (hardware.nics)")
    wrong = [mac for mac, (driver, card) in wanted.items() if card is None or card.driver != driver]
    expect(
        not wrong,
        expected=listed(f"{mac} {driver}" for mac, (driver, _) in wanted.items()),
        found=listed(f"{mac} {_driver(wanted[mac][1])}" for mac in wrong),
        fix="another card than was ordered, or another kernel: lspci -k",
        command="ethtool -i NAME",
    )


def _driver(card: Link | None) -> str:
    return "no such card" if card is None else card.driver or "no driver"


def test_have_their_cables(machine: Machine, node: Host) -> None:
    """A cable is in every card that carries the node's address or stands in the inventory."""
    cards = _carriers(machine, node)
    if not cards and not node.hardware.nics:
        pytest.skip("no card of this machine carries its address")
    cut = [card.name for card in cards if not (card.name in machine.cables and machine.cables[card.name].has_link)]
    lost = [mac for mac, (_, card) in _declared(machine, node).items() if card is None]
    expect(
        not cut and not lost,
        expected=f"a link on {listed([card.name for card in cards] + lost)}",
        found=f"none on {listed(cut + lost)}",
        fix=f"{CABLE}; a bond hides that one of its cards is dead",
        command="ethtool NAME",
    )


def test_have_their_speed(machine: Machine, node: Host) -> None:
    """Cards run as fast as the inventory says, or at least at a gigabit."""
    declared = {card.name: nic.speed for nic, card in _declared(machine, node).values() if card and nic.speed}
    wanted = {card.name: SLOWEST for card in _carriers(machine, node)} | declared
    speeds = {name: cable.speed for name, cable in machine.cables.items() if name in wanted}
    known = {name: speed for name, speed in speeds.items() if speed is not None or name in declared}
    if not known:
        pytest.skip("no card here knows a speed, and the inventory asks for none (hardware.nics)")
    slow = [f"{name} {speed or 'no'} Mbit/s" for name, speed in known.items() if (speed or 0) < wanted[name]]
    expect(
        not slow,
        expected=listed(f"{name} {wanted[name]} Mbit/s" for name in known),
        found=listed(slow),
        fix=CABLE,
        command="ethtool NAME",
    )


def test_are_full_duplex(machine: Machine) -> None:
    """Every card with a cable sends and receives at once."""
    known = {name: cable.full for name, cable in machine.cables.items() if cable.has_link and cable.full is not None}
    if not known:
        pytest.skip("no card here knows whether it sends and receives at once")
    half = [name for name, full in known.items() if not full]
    fix = f"one end is set by hand and the other negotiates: {CABLE}"
    expect(not half, expected="full duplex", found=f"half: {listed(half)}", fix=fix, command="ethtool NAME")


def test_have_their_mtu(machine: Machine, node: Host) -> None:
    """Cards have the MTU that the inventory expects of them."""
    wanted = {mac: (nic.mtu, card) for mac, (nic, card) in _declared(machine, node).items() if nic.mtu}
    if not wanted:
        pytest.skip("the inventory asks for no MTU (hardware.nics)")
    wrong = [mac for mac, (mtu, card) in wanted.items() if card is None or card.mtu != mtu]
    expect(
        not wrong,
        expected=listed(f"{mac} {mtu}" for mac, (mtu, _) in wanted.items()),
        found=listed(f"{mac} {card.mtu if card else 'no such card'}" for mac in wrong for card in (wanted[mac][1],)),
        fix="network.mtu or network.links.NAME.mtu sets it; then deploy",
        command="ip -br link",
    )
