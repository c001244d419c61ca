"""The section `network` that a machine's links propose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.hardware.facts import Hardware, Link
from slipway.hardware.yamltext import indented, listed, remark, scalar
from slipway.inventory.address import address_of, interface_of
from slipway.ssh.connection import Endpoint


def own_address(hardware: Hardware, endpoint: Endpoint) -> tuple[str, Link | None]:
    """The address, with its length where it is known, and the link that carries it.

    The one that we came in by, if the machine has it itself; behind a NAT or a name, the one at the other end of the
    connection, or of the default route.
    """
    for wanted in filter(None, (endpoint.address, hardware.connection)):
        for link in hardware.links:
            for address in link.addresses:
                if same(address, wanted):
                    return address, link
    for route in hardware.routes:
        routed = hardware.by_name.get(route.link)
        if routed and routed.addresses:
            return routed.addresses[0], routed
    return endpoint.address, None


def same(address: str, wanted: str) -> bool:
    try:
        return interface_of(address)[0] == address_of(wanted)
    except ValueError:  # `wanted` is a name
        return False


def network(hardware: Hardware, address: str, link: Link | None) -> Iterator[str]:
    yield "network:"
    if link is None:
        yield "  # interface, prefixLength and gateway could not be read"
    else:
        yield from indented(_link(hardware, address, link))
    if hardware.nameservers:
        yield f"  nameservers: {listed(hardware.nameservers)}"
    for other in hardware.links:
        if other is not link and other.kind in ("card", "wireless"):
            yield f"  # also there: {_described(other)}"


def _link(hardware: Hardware, address: str, link: Link) -> Iterator[str]:
    if _LINK_NAME.fullmatch(link.name):
        yield f"interface: {scalar(link.name)}{remark(_cable(link))}"
    if link.mac and link.kind == "card":
        yield f"mac: {link.mac}"
    yield from _addressing(hardware, address, link)
    if link.mtu != 1500 and 1280 <= link.mtu <= 9216:
        yield f"mtu: {link.mtu}"
    made = list(_made(hardware, link, set()))
    for kind in _MADE:
        lines = [f"  {scalar(each.name)}: {_made_of(hardware, each)}" for each in made if each.kind == kind]
        if lines:
            yield from (f"{kind}s:", *lines)


def _addressing(hardware: Hardware, address: str, link: Link) -> Iterator[str]:
    """Length and gateway; DHCP where the length leaves the gateway outside, as some clouds have it."""
    gateway = _gateway(hardware, address, link)
    outside = [route.gateway for route in hardware.routes if route.link == link.name and ":" not in route.gateway]
    is_leased = address in link.leased
    if is_leased and gateway is None and outside and ":" not in address:
        yield "dhcp: true  # its gateway lies outside of its network"
        return
    yield f"prefixLength: {address.partition('/')[2]}" + remark(_LEASED if is_leased else None)
    if gateway:
        yield f"gateway: {scalar(gateway)}"
    elif outside:
        yield f"# gateway: {outside[0]} lies outside of {address}"
    second = next((each for each in link.addresses if ":" in each and each not in link.leased), None)
    if second and ":" not in address:
        yield _ipv6(hardware, second, link)


_LEASED = "came by DHCP; from now on it is static, so keep it out of what the server gives to others"


def _ipv6(hardware: Hardware, address: str, link: Link) -> str:
    own, _, length = address.partition("/")
    gateway = _gateway(hardware, address, link)
    more = f", gateway: {scalar(gateway)}" if gateway else ""
    return f"ipv6: {{address: {scalar(own)}, prefixLength: {length}{more}}}"


def _gateway(hardware: Hardware, address: str, link: Link) -> str | None:
    """The default route of the link that fits the address."""
    own, around = interface_of(address)
    for route in hardware.routes:
        number = address_of(route.gateway)
        near = around.contains(number) or (number.family == 6 and number.number >> 118 == 0xFE80 >> 6)
        if route.link == link.name and number.family == own.family and number != own and near:
            return route.gateway
    return None


_LINK_NAME = re.compile(r"(?!lo$)[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
_MADE = ("bond", "bridge", "vlan")


def _made(hardware: Hardware, link: Link, seen: set[str]) -> Iterator[Link]:
    """The bonds, bridges and VLANs that the link consists of, itself included."""
    seen.add(link.name)
    parts = _parts(hardware, link)
    if parts and (link.kind != "vlan" or 1 <= (link.vlan_id or 0) <= 4094):
        yield link
        for part in parts:
            if part.name not in seen:
                yield from _made(hardware, part, seen)


def _parts(hardware: Hardware, link: Link) -> list[Link]:
    """What the link is made of, without what virtual machines and containers have plugged into a bridge."""
    known = [hardware.by_name[name] for name in link.parts if name in hardware.by_name]
    usable = [part for part in known if part.kind != "other" and _LINK_NAME.fullmatch(part.name)]
    return usable if link.kind in _MADE and _LINK_NAME.fullmatch(link.name) else []


def _made_of(hardware: Hardware, link: Link) -> str:
    names = [part.name for part in _parts(hardware, link)]
    if link.kind == "vlan":
        return f"{{id: {link.vlan_id}, interface: {scalar(names[0])}}}"
    mode = f", mode: {scalar(link.bond_mode)}" if link.bond_mode else ""
    return f"{{interfaces: {listed(names)}{mode}}}"


def _described(link: Link) -> str:
    return ", ".join(filter(None, (link.name, link.kind, link.mac, _cable(link), *link.addresses)))


def _cable(link: Link) -> str:
    speed = f"{link.speed} Mbit/s" if link.speed else None
    return ", ".join(filter(None, (link.driver, speed if link.is_up else "down")))
