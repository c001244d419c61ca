"""IP addresses and networks as numbers, because ipaddress objects are too slow for thousands of hosts."""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from typing import NamedTuple

from slipway.inventory.syntax import Syntax, between, one_of

IP_BITS = {4: 32, 6: 128}
PORT = between(1, 65535)
IPV4 = rf"({between(0, 255)}\.){{3}}{between(0, 255)}"
_HEX = "[0-9A-Fa-f]{1,4}"
IPV6 = one_of(
    f"({_HEX}:){{7}}({_HEX}|:)",
    *(f"({_HEX}:){{1,{7 - after}}}(:{_HEX}){{1,{after}}}" for after in range(1, 7)),
    f":((:{_HEX}){{1,7}}|:)",
    f"({_HEX}:){{1,6}}:",
    f"(({_HEX}:){{6}}|::({_HEX}:){{0,5}}|"
    + "|".join(f"({_HEX}:){{1,{before}}}:({_HEX}:){{0,{5 - before}}}" for before in range(1, 6))
    + f"){IPV4}",
)
"""As inet_pton(3) reads it, which is what reads it here because it is quicker."""
IP_ADDRESS = Syntax("IP address", one_of(IPV4, IPV6))
CIDR = Syntax("CIDR", one_of(f"{IPV4}/{between(0, 32)}", f"{IPV6}/{between(0, 128)}"))
"""Also with bits of the host set, which `network_of` refuses."""
INTERFACE_ADDRESS = Syntax("IP address/prefix length", CIDR.pattern)


class Address(NamedTuple):
    family: int
    number: int


class Network(NamedTuple):
    """A CIDR as numbers; `first` and `last` are the ends of its range, both included."""

    family: int
    first: int
    last: int
    prefix_length: int

    def contains(self, address: Address) -> bool:
        return self.family == address.family and self.first <= address.number <= self.last

    def overlaps(self, other: Network) -> bool:
        return self.family == other.family and self.first <= other.last and other.first <= self.last


class Way(NamedTuple):
    """`[user@]address[:port]`; an empty user is for whoever asks to fill in."""

    user: str
    address: str
    port: int


_WAY = re.compile(
    r"((?P<user>[^@]*)@)?((?P<bare>[0-9A-Fa-f]*(:[0-9A-Fa-f.]*){2,})"
    r"|(\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<address>[^@:\[\]]+))(:(?P<port>[0-9]{1,6}))?)"
)


def way_of(text: str) -> Way:
    """Takes a login apart. IPv6 stands in brackets where a port follows. Raises ValueError for what is none."""
    found = _WAY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not [user@]address[:port]")
    port = int(found["port"] or 22)
    if not 1 <= port <= 65535:
        raise ValueError(f"{text!r}: {port} is not a port (1 to 65535)")
    if found["user"] == "":
        raise ValueError(f"{text!r}: no user before the @")
    return Way(found["user"] or "", found["bare"] or found["bracketed"] or found["address"], port)


def with_port(address: str, port: int) -> str:
    """As people and URLs write both: `10.0.0.11:6443`, and an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@lru_cache(maxsize=65536)
def address_of(text: str) -> Address:
    """The numbers of an IP address. Raises ValueError with the likely fix."""
    family = 6 if ":" in text else 4
    try:
        packed = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, text)
    except (OSError, ValueError):
        raise ValueError(_not_an_address(text)) from None
    return Address(family, int.from_bytes(packed, "big"))


def text_of(address: Address) -> str:
    family = socket.AF_INET if address.family == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address.number.to_bytes(IP_BITS[address.family] // 8, "big"))


def _not_an_address(text: str) -> str:
    if "/" in text:
        return f"{text!r} is a network, expected an address; did you mean {text.split('/')[0]}?"
    numbers = text.split(".")
    if len(numbers) == 4 and all(number.isdecimal() for number in numbers):
        unpadded = ".".join(str(int(number[:9])) for number in numbers)
        if any(int(number[:9]) > 255 for number in numbers):
            return f"{text!r} is not an IP address: each of its numbers is at most 255"
        return f"{text!r} is not an IP address: leading zeros; did you mean {unpadded}?"
    if text.lower() == "dhcp":
        return f"{text!r} is not an IP address; write the one that the lease always gives, and network.dhcp: true"
    if re.fullmatch(r"(?=.*[a-z])[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+", text, re.IGNORECASE):
        return f"{text!r} is a name, not an IP address; `getent ahosts {text}` tells which it has"
    return f"{text!r} is not an IP address"


@lru_cache(maxsize=65536)
def network_of(text: str) -> Network:
    """The numbers of a CIDR with no host bits set. Raises ValueError with the likely fix."""
    address, length = _split_cidr(text, alone=True)
    bits = IP_BITS[address.family] - length
    first = address.number >> bits << bits
    if first != address.number:
        meant = f"{text_of(Address(address.family, first))}/{length}"
        raise ValueError(f"{text!r} has host bits set; did you mean {meant}?")
    return Network(address.family, first, first + (1 << bits) - 1, length)


@lru_cache(maxsize=65536)
def interface_of(text: str) -> tuple[Address, Network]:
    """Address and network of an address with prefix length, such as 10.0.0.10/24. Raises ValueError."""
    address, length = _split_cidr(text)
    return address, network_around(address, length)


def network_around(address: Address, prefix_length: int) -> Network:
    bits = max(IP_BITS[address.family] - prefix_length, 0)
    first = address.number >> bits << bits
    return Network(address.family, first, first + (1 << bits) - 1, prefix_length)


def _split_cidr(text: str, *, alone: bool = False) -> tuple[Address, int]:
    """`alone`: an address without a prefix length means itself, where it is not the beginning of a network."""
    start, slash, length = text.partition("/")
    if not slash:
        usual = _usual_length(start)
        if alone and not re.search(r"(\.0|::)$", start):
            usual = 128 if ":" in start else 32
        example = f"; did you mean {start}/{usual}?" if _is_address(start) else ""
        raise ValueError(f"{text!r} has no prefix length{example}")
    address = address_of(start)
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", length) or int(length) > IP_BITS[address.family]:
        raise ValueError(f"{text!r}: the prefix length must be a number from 0 to {IP_BITS[address.family]}")
    return address, int(length)


def _usual_length(text: str) -> int:
    """64 for IPv6; for IPv4 what its trailing zeros suggest: 10.244.0.0 is a /16, an address of a host in a /24."""
    if ":" in text:
        return 64
    zeros = re.search(r"(\.0){2,3}$", text)
    return 32 - 4 * len(zeros[0]) if zeros else 24


def _is_address(text: str) -> bool:
    try:
        address_of(text)
    except ValueError:
        return False
    return True
