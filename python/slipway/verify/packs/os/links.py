"""Bonds, VLANs and bridges, as the inventory makes them of other links.

ip -d link show; networkctl status
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from slipway.inventory import Host
from slipway.inventory.model import Bond
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs._reads import Answers

SHOW = "ip -d link show"
AGAIN = "networkctl reload keeps a link that is there: networkctl delete NAME, then networkctl reload; or reboot"
"""systemd-networkd makes a link once (systemd.netdev(5)); what changes later is taken up by a new one only."""


class Links:
    """
    >>> links.kind("bond0")
    'bond'
    """

    def __init__(self, said: str) -> None:
        entries: list[dict[str, Any]] = json.loads(said or "[]")
        self._links = {entry["ifname"]: entry for entry in entries}
        if not self._links:
            raise CannotRun("ip names no link at all")

    def kind(self, name: str) -> str:
        """bond, vlan, bridge, empty for a card, and `missing`."""
        entry = self._links.get(name)
        return "missing" if entry is None else str(entry.get("linkinfo", {}).get("info_kind", ""))

    def data(self, name: str) -> dict[str, Any]:
        data: dict[str, Any] = self._links.get(name, {}).get("linkinfo", {}).get("info_data", {})
        return data

    def below(self, name: str) -> str:
        return str(self._links.get(name, {}).get("link", ""))

    def ports(self, name: str) -> set[str]:
        return {each for each, entry in self._links.items() if entry.get("master") == name}

    def is_up(self, name: str) -> bool:
        entry = self._links.get(name, {})
        return "LOWER_UP" in entry.get("flags", ())

    def status(self, name: str) -> str:
        """MII status of a port of a bond; a port that the bond took out sends nothing although its cable is in."""
        data = self._links.get(name, {}).get("linkinfo", {}).get("info_slave_data", {})
        return str(data.get("mii_status", "UP"))


@pytest.fixture(scope="session")
def links(answers: Answers) -> Links:
    return Links(answers["links"].said())


def _ports(links: Links, name: str, wanted: tuple[str, ...]) -> Iterator[str]:
    found = links.ports(name)
    if not set(wanted) <= found:
        yield f"{name} without {listed(sorted(set(wanted) - found))}"


def test_bonds_are_as_declared(links: Links, node: Host) -> None:
    """Every bond has the mode and the cards of the inventory, and all of them carry."""
    bonds = node.network.bonds
    if not bonds:
        pytest.skip("the inventory makes no bond")
    wrong = [text for name, bond in bonds.items() for text in _bond(links, name, bond)]
    expect(
        not wrong,
        expected=listed(f"{name} {bond.mode} of {listed(bond.interfaces)}" for name, bond in bonds.items()),
        found=listed(wrong),
        fix=f"{AGAIN}; a card that is down: its cable, and the switch's side of 802.3ad",
        command=SHOW,
    )


def _bond(links: Links, name: str, bond: Bond) -> Iterator[str]:
    if links.kind(name) != "bond":
        yield f"{name}: {links.kind(name) or 'no bond'}"
        return
    wanted = {
        "mode": bond.mode,
        "ad_lacp_rate": bond.lacp_rate,
        "xmit_hash_policy": bond.transmit_hash_policy,
        "primary": bond.primary,
        "min_links": bond.min_links,
    }
    data = links.data(name)
    yield from (f"{name}: {key} {data.get(key)}" for key, each in wanted.items() if each not in (None, data.get(key)))
    yield from _ports(links, name, bond.interfaces)
    yield from (f"{port} down" for port in sorted(links.ports(name)) if not _carries(links, port))


def _carries(links: Links, port: str) -> bool:
    return links.is_up(port) and links.status(port) == "UP"


def test_vlans_are_as_declared(links: Links, node: Host) -> None:
    """Every VLAN has the number of the inventory, on the link that it names."""
    vlans = node.network.vlans
    if not vlans:
        pytest.skip("the inventory makes no VLAN")
    found = {name: (links.data(name).get("id"), links.below(name)) for name in vlans if links.kind(name) == "vlan"}
    wrong = [name for name, vlan in vlans.items() if found.get(name) != (vlan.id, vlan.interface)]
    expect(
        not wrong,
        expected=listed(f"{name}: {vlan.id} on {vlan.interface}" for name, vlan in vlans.items()),
        found=listed(f"{name}: {'{} on {}'.format(*found[name]) if name in found else 'no VLAN'}" for name in wrong),
        fix=AGAIN,
        command=SHOW,
    )


def test_bridges_are_as_declared(links: Links, node: Host) -> None:
    """Every bridge has the ports of the inventory."""
    bridges = node.network.bridges
    if not bridges:
        pytest.skip("the inventory makes no bridge")
    wrong = [f"{name}: {links.kind(name) or 'no bridge'}" for name in bridges if links.kind(name) != "bridge"]
    wrong += [text for name, bridge in bridges.items() for text in _ports(links, name, bridge.interfaces)]
    expect(
        not wrong,
        expected=listed(f"{name} with {listed(bridge.interfaces)}" for name, bridge in bridges.items()),
        found=listed(wrong),
        fix=AGAIN,
        command=SHOW,
    )
