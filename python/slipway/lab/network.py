"""The lab's network: one bridge of its own, and the cable of each machine."""

from __future__ import annotations

import json
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from slipway.errors import PrerequisiteMissing
from slipway.lab.settings import LABS, Lab, Machine
from slipway.tools.run import run
from slipway.wait import wait_until

LINK_GONE_TIMEOUT = 15.0
_LINKS = Path("/sys/class/net")


def up(lab: Lab) -> None:
    """The bridge with the host's address on it; nothing happens if it is there."""
    if not exists(lab.bridge):
        _ip("link", "add", "name", lab.bridge, "type", "bridge")
    # Nobody else has the address, and the registry shall not have to wait until the kernel has asked them all.
    once = ["nodad"] if lab.subnet.version == 6 else []
    _ip("address", "replace", f"{lab.host_address}/{lab.subnet.prefixlen}", "dev", lab.bridge, *once)
    _ip("link", "set", lab.bridge, "up")


def down(lab: Lab) -> None:
    """Remove the bridge and cables that a dead machine left on it; addresses and routes go with them."""
    if not exists(lab.bridge):
        return
    for cable in links_on(lab.bridge):
        _ip("link", "delete", cable)
    _ip("link", "delete", lab.bridge)


def isolate(machine: Machine) -> None:
    """Pull the machine's cable."""
    _ip("link", "set", machine.link, "down")


def rejoin(machine: Machine) -> None:
    """Put the cable back."""
    _ip("link", "set", machine.link, "up")


def exists(link: str) -> bool:
    return (_LINKS / link).exists()


def links_on(bridge: str) -> tuple[str, ...]:
    ports = _LINKS / bridge / "brif"
    return tuple(sorted(port.name for port in ports.iterdir())) if ports.exists() else ()


def unplug(machine: Machine) -> None:
    """Take away the cable of a machine that is off; the kernel would, a while later. Raises WaitedTooLong."""

    def gone() -> tuple[bool | None, str]:
        if not exists(machine.link):
            return True, ""
        # Refused where the kernel was faster: no matter.
        run(["ip", "link", "delete", machine.link], check=False, timeout=20)
        return None, f"{machine.link} is there"

    wait_until(gone, deadline=LINK_GONE_TIMEOUT, describe=f"{machine.name}: its network link to go", interval=0.1)


def check_free(lab: Lab) -> None:
    """Raises PrerequisiteMissing where another network of the host has addresses of the lab's."""
    links: list[dict[str, Any]] = json.loads(_ip("-json", "address", "show"))
    addresses = [
        (link["ifname"], ip_interface(f"{found['local']}/{found['prefixlen']}"))
        for link in links
        for found in link.get("addr_info", [])
    ]
    for link, address in addresses:
        if link != lab.bridge and address.version == lab.subnet.version and lab.subnet.overlaps(address.network):
            raise PrerequisiteMissing(
                f"the lab's network {lab.subnet} is in use: {link} has {address}",
                hint=f"slipway lab up --lab {(lab.number + 1) % LABS}",
            )


def _ip(*words: str) -> str:
    return run(["ip", *words], timeout=20).stdout
