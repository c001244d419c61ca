"""Addresses, networks and MACs: each used once, each where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from slipway.inventory.address import Address, Network, address_of, interface_of, network_around, network_of, text_of
from slipway.inventory.checks.finding import Check, Finding
from slipway.inventory.model import Document, Host
from slipway.inventory.source import Keys

_NOT_A_HOST = tuple(
    (network_of(cidr), what)
    for cidr, what in (
        ("0.0.0.0/8", "an unspecified address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
LARGEST_SERVICE_BITS = 20
"""kube-apiserver refuses a larger service range."""
NODE_CIDR_LENGTH = {4: 24, 6: 117}
"""What kube-controller-manager allots to a node, as k0s sets it (facts: k0s ClusterConfig)."""
MASKS = {4: (16, 30), 6: (64, 124)}
"""What a node's part of the range of pods may be."""
MOST_NODE_BITS = 16
"""kube-controller-manager refuses a pod range with more than 2^16 node ranges."""


def network_of_host(host: Host) -> Network | None:
    """The network around the host's address, None where DHCP tells its size."""
    return _network(host.address, host.network.prefix_length)


@lru_cache(maxsize=65536)
def _network(text: str, length: int | None) -> Network | None:
    """Many checks ask for it, of each host."""
    address = address_of(text)
    if length is None or length > (32 if address.family == 4 else 128):
        return None
    return network_around(address, length)


def _addresses_of(name: str, host: Host) -> Iterator[tuple[Keys, Address]]:
    yield ("hosts", name, "address"), address_of(host.address)
    if host.network.ipv6 is not None:
        yield ("hosts", name, "network", "ipv6", "address"), address_of(host.network.ipv6.address)
    for index, text in enumerate(host.network.addresses):
        yield ("hosts", name, "network", "addresses", index), interface_of(text)[0]
    for link, settings in host.network.links.items():
        for index, text in enumerate(settings.addresses):
            yield ("hosts", name, "network", "links", link, "addresses", index), interface_of(text)[0]


def unique_addresses(document: Document) -> Iterator[Finding]:
    seen: dict[Address, Keys] = {}
    vip = document.cluster.network.vip
    if vip is not None:
        seen[interface_of(vip.address)[0]] = ("cluster", "network", "vip", "address")
    for name, host in document.hosts.items():
        for path, address in _addresses_of(name, host):
            first = seen.setdefault(address, path)
            if first is not path:
                yield Finding(path, f"{text_of(address)} is already used by {{}}", other=first)


def unique_logins(document: Document) -> Iterator[Finding]:
    """Two names for one machine: each would get the other's system."""
    elsewhere = [(name, host.ssh) for name, host in document.hosts.items() if host.ssh.address]
    if not elsewhere:
        return  # as unique as their addresses
    seen: dict[tuple[str, int], Keys] = {}
    for name, host in document.hosts.items():
        if not host.ssh.address:
            seen.setdefault((host.address.lower(), host.ssh.port), ("hosts", name, "address"))
    for name, ssh in elsewhere:
        path: Keys = ("hosts", name, "ssh", "address")
        place = (str(ssh.address).lower(), ssh.port)
        first = seen.setdefault(place, path)
        if first is not path:
            yield Finding(path, f"{place[0]}, port {place[1]}: the way to another host too, {{}}", other=first)


def unique_macs(document: Document) -> Iterator[Finding]:
    seen: dict[str, Keys] = {}
    for name, host in document.hosts.items():
        for path, mac in _macs_of(name, host):
            first = seen.setdefault(mac, path)
            if first is not path:
                yield Finding(path, f"{mac} is already used by {{}}", other=first)


def _macs_of(name: str, host: Host) -> Iterator[tuple[Keys, str]]:
    """What links are matched by, and cards that are expected beside."""
    network, hardware = host.network, host.hardware
    if network.mac is not None:
        yield ("hosts", name, "network", "mac"), network.mac
    for link, settings in network.links.items():
        if settings.mac is not None:
            yield ("hosts", name, "network", "links", link, "mac"), settings.mac
    matched = {network.mac, *(settings.mac for settings in network.links.values())}
    for index, mac in enumerate(hardware.macs):
        if mac not in matched:
            yield ("hosts", name, "hardware", "macs", index), mac
    for mac in hardware.nics:
        if mac not in matched and mac not in hardware.macs:
            yield ("hosts", name, "hardware", "nics", mac), mac


def usable_addresses(document: Document) -> Iterator[Finding]:
    """No loopback, multicast and the like, and neither the first nor the last address of its network."""
    for name, host in document.hosts.items():
        for path, address in _addresses_of(name, host):
            for network, what in _NOT_A_HOST:
                if network.contains(address):
                    yield Finding(path, f"{text_of(address)} is {what}, no host can have it")
        around = network_of_host(host)
        if around is not None and (what := _end_of(around, address_of(host.address))):
            yield Finding(("hosts", name, "address"), f"{host.address} is the {what}")


def _of_another_family(document: Document, host: Host) -> bool:
    """Which is the mistake that is told (cluster.families): what hosts share is then right for the others."""
    return (":" in host.address) != document.cluster.network.ipv6_only


def prefix_lengths(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        length, path = host.network.prefix_length, ("hosts", name, "network", "prefixLength")
        odd = _of_another_family(document, host)
        if length is not None and length > 32 and ":" not in host.address and not odd:
            yield Finding(path, f"{length} is too long for the IPv4 address of {{}}", other=("hosts", name, "address"))
        if length is None and not host.network.dhcp:
            yield Finding(path, "required key 'prefixLength' is missing, such as 24 (or set dhcp: true)")


def gateways(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        path: Keys = ("hosts", name, "network", "gateway")
        around = network_of_host(host)
        if host.network.gateway and around and not _of_another_family(document, host):
            yield from _gateway(path, host.network.gateway, ("hosts", name, "address"), host.address, around)
        ipv6 = host.network.ipv6
        if ipv6 is not None:
            path6: Keys = ("hosts", name, "network", "ipv6")
            yield from _ipv6(path6, host, alone=document.cluster.network.ipv6_only)
            if ipv6.gateway and ":" in ipv6.address:
                around = network_around(address_of(ipv6.address), ipv6.prefix_length)
                yield from _gateway((*path6, "gateway"), ipv6.gateway, (*path6, "address"), ipv6.address, around)


def _gateway(path: Keys, gateway: str, other: Keys, address: str, around: Network) -> Iterator[Finding]:
    number = address_of(gateway)
    if gateway == address:
        yield Finding(path, f"{gateway} is the host's own address, {{}}", other=other)
    elif number.family != around.family:
        yield Finding(path, f"{gateway} is not of the family of {{}}", other=other)
    elif around.family == 4 and around.prefix_length == 32:
        return  # a single address has its router on the link, as hosters give them; the NixOS module says so
    elif not around.contains(number) and not _is_link_local(number):
        shown = f"{text_of(Address(around.family, around.first))}/{around.prefix_length}"
        yield Finding(path, f"{gateway} is outside {shown}, the network of {{}}", other=other)
    elif what := _end_of(around, number):
        yield Finding(path, f"{gateway} is the {what}, the network of {{}}; no router can have it", other=other)


def _end_of(network: Network, address: Address) -> str:
    """What the address is in its network, where that makes it nobody's; "" for one that a machine can have."""
    if network.family != 4 or network.prefix_length >= 31 or address.number not in (network.first, network.last):
        return ""
    shown = f"{text_of(Address(4, network.first))}/{network.prefix_length}"
    return f"{'network' if address.number == network.first else 'broadcast'} address of {shown}"


def _is_link_local(address: Address) -> bool:
    return address.family == 6 and address.number >> 118 == 0xFE80 >> 6


def _ipv6(path: Keys, host: Host, *, alone: bool) -> Iterator[Finding]:
    ipv6 = host.network.ipv6
    if ipv6 is not None and ":" not in ipv6.address:
        yield Finding((*path, "address"), f"{ipv6.address!r} is not an IPv6 address")
    if alone:
        message = (
            "{} is of IPv6 alone: the host's own address is its IPv6 address, and a further one goes to `addresses`"
        )
        yield Finding(path, message, other=("cluster", "network", "serviceCIDR"))
    elif ":" in host.address:
        message = f"{host.address} is IPv6 already; give the host's IPv4 address as its address"
        yield Finding(("hosts", host.name, "address"), message)


def nameservers(document: Document) -> Iterator[Finding]:
    """One that the host has no address to ask from answers nothing, unless a translator (CLAT) runs on the host."""
    for name, host in document.hosts.items():
        asked = {address_of(text).family for text in host.network.nameservers}
        if not asked or host.network.dhcp or address_of(host.address).family in asked:
            continue
        own = {address.family for _, address in _addresses_of(name, host)} | ({6} if host.network.slaac else set())
        if not asked & own:
            (family,) = asked
            message = f"are IPv{family}, and the host has IPv{10 - family} alone: no name would be found"
            yield Finding(("hosts", name, "network", "nameservers"), message, warning=True)


def main_routes(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        nets = _nets(host) if host.network.routes else []
        for index, route in enumerate(host.network.routes):
            path = ("hosts", name, "network", "routes", index, "via")
            if network_of(route.to).family != address_of(route.via).family:
                yield Finding(path, f"{route.via} is not of the family of {{}}", other=(*path[:-1], "to"))
            elif not _reached(host, address_of(route.via), nets):
                yield Finding(path, f"{route.via} is in none of the networks of the host's interface")


def _nets(host: Host) -> list[Network]:
    """The networks of the host's interface."""
    around = network_of_host(host)
    return [interface_of(text)[1] for text in host.network.addresses] + ([around] if around else [])


def _reached(host: Host, router: Address, nets: list[Network]) -> bool:
    second = host.network.ipv6 is not None or host.network.slaac
    return host.network.dhcp or any(net.contains(router) for net in nets) or (router.family == 6 and second)


def routes(document: Document) -> Iterator[Finding]:
    for name, host in document.hosts.items():
        for link, settings in host.network.links.items():
            nets = [interface_of(text)[1] for text in settings.addresses]
            for index, route in enumerate(settings.routes):
                path = ("hosts", name, "network", "links", link, "routes", index, "via")
                if network_of(route.to).family != address_of(route.via).family:
                    yield Finding(path, f"{route.via} is not of the family of {{}}", other=(*path[:-1], "to"))
                elif not settings.dhcp and not any(net.contains(address_of(route.via)) for net in nets):
                    yield Finding(path, f"{route.via} is in none of the networks of {link}")


# --- the cluster's ranges --------------------------------------------------------------------------------------------


def _ranges(document: Document) -> list[tuple[Keys, str, Network]]:
    network = document.cluster.network
    path: Keys = ("cluster", "network")
    ranges: list[tuple[Keys, str, Network]] = [
        ((*path, "podCIDR"), network.pod_cidr, network_of(network.pod_cidr)),
        ((*path, "serviceCIDR"), network.service_cidr, network_of(network.service_cidr)),
    ]
    dual = network.dual_stack
    if dual is not None:
        ranges += [
            ((*path, "dualStack", "podCIDR"), dual.pod_cidr, network_of(dual.pod_cidr)),
            ((*path, "dualStack", "serviceCIDR"), dual.service_cidr, network_of(dual.service_cidr)),
        ]
    return ranges


def overlapping_ranges(document: Document) -> Iterator[Finding]:
    ranges = _ranges(document)
    for index, (path, text, network) in enumerate(ranges):
        for other, other_text, other_network in ranges[:index]:
            if network.overlaps(other_network):
                yield Finding(path, f"{text} overlaps {other_text}, {{}}", other=other)


def ranges_and_hosts(document: Document) -> Iterator[Finding]:
    """No host, and no network of a host, in the ranges of pods and services."""
    ranges = _ranges(document)
    for name, host in document.hosts.items():
        around = network_of_host(host)
        for path, address in _addresses_of(name, host):
            for other, text, network in ranges:
                if network.contains(address):
                    yield Finding(path, f"{text_of(address)} lies in {text}, {{}}", other=other)
        for other, text, network in ranges:
            if around is not None and network.overlaps(around) and not network.contains(address_of(host.address)):
                shown = f"{text_of(Address(around.family, around.first))}/{around.prefix_length}"
                message = f"the host's network {shown} overlaps {text}, {{}}"
                yield Finding(("hosts", name, "network", "prefixLength"), message, other=other)
        yield from _ranges_and_links(host, ranges)


def _ranges_and_links(host: Host, ranges: list[tuple[Keys, str, Network]]) -> Iterator[Finding]:
    for link, settings in host.network.links.items():
        for index, given in enumerate(settings.addresses):
            address, around = interface_of(given)
            shown = f"{text_of(Address(around.family, around.first))}/{around.prefix_length}"
            for other, text, network in ranges:
                if network.overlaps(around) and not network.contains(address):
                    path = ("hosts", host.name, "network", "links", link, "addresses", index)
                    yield Finding(path, f"the network {shown} of {link} overlaps {text}, {{}}", other=other)


def range_sizes(document: Document) -> Iterator[Finding]:
    nodes = sum(host.runs_workloads for host in document.hosts.values())
    dual = document.cluster.network.dual_stack
    lengths = (document.cluster.network.node_cidr_mask_size, dual.node_cidr_mask_size if dual else None)
    for path, text, network in _ranges(document):
        if path[-1] == "podCIDR":
            length = lengths["dualStack" in path]
            # One of the other family is told apart, and tells nothing about the range.
            low, high = MASKS[network.family]
            fits = length if length is not None and low <= length <= high else None
            yield from _pod_range(path, text, network, nodes, fits)
        else:
            yield from _service_range(path, text, network)
        if (network.family == 6) != ("dualStack" in path) and (dual is not None or "dualStack" in path):
            yield Finding(path, f"{text} is not IPv{4 if network.family == 6 else 6}")
    if dual is None:
        yield from _one_family(document)


def _one_family(document: Document) -> Iterator[Finding]:
    """Pods and services are of one family, which their part of a range and k0s have to allow."""
    network, path = document.cluster.network, ("cluster", "network")
    families = [network_of(text).family for text in (network.pod_cidr, network.service_cidr)]
    if families[0] != families[1]:
        odd, usual = ("podCIDR", "serviceCIDR") if families[0] == 6 else ("serviceCIDR", "podCIDR")
        message = f"is IPv6, and {{}} is IPv4; write both of one family, or IPv6 beside IPv4 as {path[1]}.dualStack"
        yield Finding((*path, odd), message, other=(*path, usual))
        return
    length, (low, high) = network.node_cidr_mask_size, MASKS[families[0]]
    if length is not None and not low <= length <= high:
        message = f"a node's part of {{}} is a /{low} to a /{high}"
        yield Finding((*path, "nodeCIDRMaskSize"), message, other=(*path, "podCIDR"))


def _pod_range(path: Keys, text: str, network: Network, nodes: int, length: int | None) -> Iterator[Finding]:
    each = length or NODE_CIDR_LENGTH[network.family]
    room = each - network.prefix_length
    start = text.split("/")[0]
    if room < 0 or 1 << room < nodes:
        needed = each - max(nodes - 1, 0).bit_length()
        message = f"{text} has no room for {nodes} nodes, each takes a /{each}; did you mean {start}/{needed}?"
        yield Finding(path, message)
    elif room > MOST_NODE_BITS:
        wide = each - MOST_NODE_BITS
        yield Finding(path, f"{text} is more than kube-controller-manager takes; did you mean {start}/{wide}?")


def _service_range(path: Keys, text: str, network: Network) -> Iterator[Finding]:
    bits = (32 if network.family == 4 else 128) - network.prefix_length
    start = text.split("/")[0]
    if bits > LARGEST_SERVICE_BITS:
        longest = network.prefix_length + bits - LARGEST_SERVICE_BITS
        yield Finding(path, f"{text} is more than kube-apiserver takes; did you mean {start}/{longest}?")
    elif bits < 4:
        longest = network.prefix_length + bits - 4
        yield Finding(path, f"{text} has no room for the cluster's DNS, its tenth address; at least a /{longest}")


# --- addresses of the control plane ----------------------------------------------------------------------------------


def vip(document: Document) -> Iterator[Finding]:
    settings = document.cluster.network.vip
    if settings is None:
        return
    path: Keys = ("cluster", "network", "vip", "address")
    address, own = interface_of(settings.address)
    if what := _end_of(own, address):
        yield Finding(path, f"{text_of(address)} is the {what}, no host can have it")
    for other, text, network in _ranges(document):
        if network.contains(address):
            yield Finding(path, f"{text_of(address)} lies in {text}, {{}}", other=other)
    for name, host in document.hosts.items():
        gateway = host.network.gateway
        if gateway is not None and address_of(gateway) == address:
            yield Finding(path, f"{gateway} is the gateway, {{}}", other=("hosts", name, "network", "gateway"))
        if host.is_controller:
            yield from _vip_on(name, host, settings.interface, address)


def _vip_on(name: str, host: Host, link: str | None, address: Address) -> Iterator[Finding]:
    """Whether the controller has the link that shall carry the VIP, and an address in its network there."""
    path: Keys = ("cluster", "network", "vip")
    network = host.network
    own, around = link in (None, network.interface) or network.interface is None, network_of_host(host)
    if own and link not in network.links:
        if around is not None and not around.contains(address):
            message = f"{text_of(address)} is outside the network of {{}}; a VIP moves within one network"
            yield Finding((*path, "address"), message, other=("hosts", name, "address"))
    elif link in network.links:
        nets = [interface_of(text)[1] for text in network.links[link].addresses]
        if not network.links[link].dhcp and not any(net.contains(address) for net in nets):
            message = f"{text_of(address)} is in none of the networks of {{}}; a VIP moves within one network"
            yield Finding((*path, "address"), message, other=("hosts", name, "network", "links", link))
    else:
        message = f"{link} is no link of {{}}; name it there in network.links, with its address in the VIP's network"
        yield Finding((*path, "interface"), message, other=("hosts", name))


def external_address(document: Document) -> Iterator[Finding]:
    """A load balancer's address that is one controller's own makes that controller the only way in."""
    external = document.cluster.network.external_address
    controllers = [(name, host) for name, host in document.hosts.items() if host.is_controller]
    path = ("cluster", "network", "externalAddress")
    for name, host in controllers if len(controllers) > 1 else ():
        if host.address == external or name == external:
            message = f"{external} is one controller, {{}}; the cluster cannot be reached without it"
            yield Finding(path, message, other=("hosts", name, "address"), warning=True)


CHECKS: tuple[Check, ...] = (
    unique_addresses,
    unique_logins,
    unique_macs,
    usable_addresses,
    prefix_lengths,
    gateways,
    nameservers,
    main_routes,
    routes,
    overlapping_ranges,
    ranges_and_hosts,
    range_sizes,
    vip,
    external_address,
)
