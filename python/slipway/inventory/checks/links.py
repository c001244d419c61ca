"""Links of a host: what carries what."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.model import Document, Host, HostNetwork
from slipway.inventory.source import Keys


def _hosts(document: Document) -> Iterator[Host]:
    """The first host of each network: those that inherit all of it share it, and what is amiss there is told once."""
    seen: set[int] = set()
    for host in document.hosts.values():
        if id(host.network) not in seen:
            seen.add(id(host.network))
            yield host


def _virtual(network: HostNetwork) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Kind, name and parts of every bond, bridge and VLAN."""
    for name, bond in network.bonds.items():
        yield "bonds", name, bond.interfaces
    for name, bridge in network.bridges.items():
        yield "bridges", name, bridge.interfaces
    for name, vlan in network.vlans.items():
        yield "vlans", name, (vlan.interface,)


def _path(host: Host, *keys: str | int) -> Keys:
    return ("hosts", host.name, "network", *keys)


def interface(document: Document) -> Iterator[Finding]:
    for host in document.hosts.values():  # each is told, since each may say it for itself
        if host.network.interface is None and host.network.mac is None:
            message = "required key 'interface' is missing: the link of the host's address, such as eno1 (or its mac)"
            yield Finding(_path(host, "interface"), message)


def names(document: Document) -> Iterator[Finding]:
    for host in _hosts(document):
        seen: dict[str, Keys] = {}
        for kind, name, _ in _virtual(host.network):
            path = _path(host, kind, name)
            first = seen.setdefault(name, path)
            if first is not path:
                yield Finding(path, f"{name!r} is already used by {{}}", other=first, about_key=True)


def members(document: Document) -> Iterator[Finding]:
    """A link is part of one bond or bridge, and then has no address of its own."""
    for host in _hosts(document):
        owners: dict[str, Keys] = {}
        for kind, name, parts in _virtual(host.network):
            for index, part in enumerate(parts if kind != "vlans" else ()):
                here = _path(host, kind, name, "interfaces", index)
                first = owners.setdefault(part, here)
                if first is not here:
                    yield Finding(here, f"{part} is already part of {{}}", other=first)
        yield from _parts_with_addresses(host, owners)


def _parts_with_addresses(host: Host, owners: dict[str, Keys]) -> Iterator[Finding]:
    named = [(_path(host, "links", link), link) for link in host.network.links]
    if host.network.interface is not None:
        named.append((_path(host, "interface"), host.network.interface))
    for path, link in named:
        if link in owners:
            owner = owners[link][:5]
            yield Finding(
                path, f"{link} is part of {{}}; did you mean {owner[-1]}?", other=owner, about_key="links" in path
            )


def loops(document: Document) -> Iterator[Finding]:
    for host in _hosts(document):
        below = {name: parts for _, name, parts in _virtual(host.network)}
        for kind, name, parts in _virtual(host.network):
            if name in _all_below(parts, below):
                yield Finding(_path(host, kind, name), f"{name} is carried by itself", about_key=True)
                break


def _all_below(parts: tuple[str, ...], below: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    left = list(parts)
    while left:
        link = left.pop()
        if link not in found:
            found.add(link)
            left.extend(below.get(link, ()))
    return found


def unused(document: Document) -> Iterator[Finding]:
    """What no host uses; a link that all inherit may serve some only."""
    served = {link for host in _hosts(document) for link in _used(host.network)}
    for host in _hosts(document):
        for kind, link, parts in _virtual(host.network):
            if link not in served and not _addressed(host.network) & set(parts):
                message = f"nothing uses {link}; did you mean interface: {link}?"
                yield Finding(_path(host, kind, link), message, about_key=True)


def _addressed(network: HostNetwork) -> set[str]:
    return {*network.links, *([network.interface] if network.interface is not None else [])}


def _used(network: HostNetwork) -> set[str]:
    return _addressed(network).union(*(parts for _, _, parts in _virtual(network)))


def vlan_numbers(document: Document) -> Iterator[Finding]:
    for host in _hosts(document):
        seen: dict[tuple[str, int], Keys] = {}
        for name, vlan in host.network.vlans.items():
            path = _path(host, "vlans", name, "id")
            first = seen.setdefault((vlan.interface, vlan.id), path)
            if first is not path:
                yield Finding(path, f"VLAN {vlan.id} on {vlan.interface} is already {{}}", other=first)


def macs(document: Document) -> Iterator[Finding]:
    """A MAC address finds a card, not a link that slipway makes."""
    for host in _hosts(document):
        for kind, name, _ in _virtual(host.network):
            if host.network.mac is not None and host.network.interface == name:
                message = f"a MAC address finds a card, but {name} is {{}}"
                yield Finding(_path(host, "mac"), message, other=_path(host, kind, name))


def mtus(document: Document) -> Iterator[Finding]:
    """A VLAN carries no more than the link below it."""
    for host in _hosts(document):
        network = host.network
        mtu_of = _mtus(network)
        for name, vlan in network.vlans.items():
            above, below = mtu_of.get(name), mtu_of.get(vlan.interface)
            if above is not None and below is not None and above > below:
                message = f"{name} has MTU {above}, more than the {below} of {vlan.interface}"
                yield Finding(_path(host, "vlans", name), message, about_key=True)


def _mtus(network: HostNetwork) -> dict[str, int | None]:
    """The MTU of each link, as the NixOS module sets it: its own, else the main one's for it and all below it."""
    main = network.interface
    below = {name: parts for _, name, parts in _virtual(network)}
    carriers = set() if main is None else {main, *_all_below(below.get(main, ()), below)}
    own = {link: settings.mtu for link, settings in network.links.items() if settings.mtu is not None}
    return {**dict.fromkeys(carriers, network.mtu), **own}


def idle(document: Document) -> Iterator[Finding]:
    for host in _hosts(document):
        for name in host.network.links:
            if name == host.network.interface:
                message = f"{name} is the host's interface already, {{}}; put this into network itself"
                yield Finding(_path(host, "links", name), message, other=_path(host, "interface"), about_key=True)


_WITH_PRIMARY = ("active-backup", "balance-tlb", "balance-alb")
_WITH_HASH = ("802.3ad", "balance-xor", "balance-tlb")


def bonds(document: Document) -> Iterator[Finding]:
    """What a bond's mode has no use for is a mistake about the mode."""
    for host in _hosts(document):
        for name, bond in host.network.bonds.items():
            uses = {
                "lacpRate": (bond.lacp_rate, ("802.3ad",)),
                "minLinks": (bond.min_links, ("802.3ad",)),
                "transmitHashPolicy": (bond.transmit_hash_policy, _WITH_HASH),
                "primary": (bond.primary, _WITH_PRIMARY),
            }
            for key, (value, modes) in uses.items():
                if value is not None and bond.mode not in modes:
                    message = f"is read in the mode {' or '.join(modes)} only, here it is {bond.mode}, {{}}"
                    other = _path(host, "bonds", name, "mode")
                    yield Finding(_path(host, "bonds", name, key), message, other=other, about_key=True)
            if bond.primary is not None and bond.primary not in bond.interfaces:
                message = f"{bond.primary} is none of {', '.join(bond.interfaces)}, {{}}"
                other = _path(host, "bonds", name, "interfaces")
                yield Finding(_path(host, "bonds", name, "primary"), message, other=other)
            if bond.min_links is not None and bond.min_links > len(bond.interfaces):
                message = f"{bond.min_links} are more than the bond has, {{}}: it would never be up"
                other = _path(host, "bonds", name, "interfaces")
                yield Finding(_path(host, "bonds", name, "minLinks"), message, other=other)


CHECKS: tuple[Check, ...] = (interface, names, members, loops, unused, vlan_numbers, macs, mtus, idle, bonds)
