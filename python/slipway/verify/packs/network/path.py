"""The way between two nodes: how large a packet may be, which link it takes, and whose card answers.

ping -M do -s 1472 10.0.0.11; ip route get 10.0.0.11; ip neighbour
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from slipway.inventory import Host, Inventory
from slipway.inventory.address import address_of, network_around
from slipway.verify.asked import Facts
from slipway.verify.backend import COMMAND_BOUND, NodeHost
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.network._tcp import AT_ONCE, at_once, neighbours

HEADERS = {4: 28, 6: 48}
"""Bytes of IP and ICMP around what ping sends, by family."""
PING = 2
"""Seconds for one answer."""

# A small packet first: only where that comes back does it mean anything that a large one does not.
SCRIPT = at_once(
    """
try() {
  link=$(ip route get "$1" 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p;q')
  read -r mtu <"/sys/class/net/$link/mtu" || mtu=0
  [ "$2" = 0 ] || [ "$mtu" -le "$2" ] || mtu=$2
  if ! ping -n -c 1 -W "$WAIT" "$1" >/dev/null 2>&1; then state=silent
  elif ping -n -c 1 -W "$WAIT" -M do -s "$((mtu - HEADERS))" "$1" >/dev/null 2>&1; then state=whole
  else state=cut; fi
  echo "$1 ${link:-none} $mtu $state"
}
""",
    "WAIT",
    "HEADERS",
)


@dataclass(frozen=True)
class Path:
    """How a packet gets to another node. `state`: the largest packet arrived `whole`, was `cut`, or nothing did."""

    to: str
    address: str
    link: str
    mtu: int
    state: str


@pytest.fixture(scope="session")
def paths(host: NodeHost, node: Host, inventory: Inventory) -> list[Path]:
    """To the other nodes, all tried at once."""
    near = {each.address: each for each in neighbours(inventory, node, inventory.hosts)}
    if not near:
        pytest.skip("the inventory has no other node")
    pairs = [word for each in near.values() for word in (each.address, str(each.network.mtu or 0))]
    around = str(HEADERS[address_of(node.address).family])
    command = shlex.join(["sh", "-c", SCRIPT, "paths", str(PING), around, str(AT_ONCE), *pairs])
    bound = COMMAND_BOUND + 3 * PING * -(-len(near) // AT_ONCE)
    rows = [line.split() for line in host.check_output(command, timeout=bound).splitlines()]
    found = [Path(near[row[0]].name, row[0], row[1], int(row[2]), row[3]) for row in rows if row[0] in near]
    if len(found) != len(near):
        raise CannotRun("no answer for some of the other nodes")
    return sorted(found, key=lambda path: path.to)


def test_large_packets_arrive(paths: list[Path]) -> None:
    """A packet as large as the link takes arrives whole at every other node."""
    asked = [path for path in paths if path.state != "silent"]
    if not asked:
        raise CannotRun("no other node answers a ping, so that nothing is known of large ones")
    cut = [path for path in asked if path.state == "cut"]
    shown = (cut or asked)[0]
    expect(
        not cut,
        expected=f"{shown.mtu} bytes, unfragmented",
        found=f"not to {listed(f'{path.to} ({path.mtu} bytes)' for path in cut)}, where small ones arrive",
        fix="the same MTU on both ends and on every switch between: network.mtu, ip link",
        command=f"ping -M do -s {shown.mtu - HEADERS[address_of(shown.address).family]} {shown.address}",
    )


def test_leaves_by_the_declared_link(paths: list[Path], node: Host) -> None:
    """What goes to nodes of the same network leaves by the link of the inventory."""
    wanted, length = node.network.interface, node.network.prefix_length
    if wanted is None or length is None:
        pytest.skip("the inventory names no link, or no network")
    here = network_around(address_of(node.address), length)
    wrong = [path for path in paths if here.contains(address_of(path.address)) and path.link != wanted]
    expect(
        not wrong,
        expected=f"by {wanted}",
        found=listed(f"to {path.to} by {path.link}" for path in wrong),
        fix="ip route; another link with an address in the same network takes the way",
        command=f"ip route get {(wrong or paths)[0].address}",
    )


def test_nodes_answer_for_their_addresses(
    host: NodeHost, node: Host, paths: list[Path], others: Mapping[str, Facts]
) -> None:
    """The address of each other node is answered for by a card of that node, and by nobody else's."""
    # After the pings, so that the kernel has just asked who has the address.
    family = address_of(node.address).family
    entries = json.loads(host.check_output(f"ip -{family} -j neighbour show") or "[]")
    cards = {entry["dst"]: str(entry["lladdr"]).lower() for entry in entries if "lladdr" in entry}
    known = [path for path in paths if path.to in others and others[path.to].macs and path.address in cards]
    strange = [path for path in known if cards[path.address] not in others[path.to].macs]
    expect(
        not strange,
        expected="cards of the nodes that the inventory gives these addresses to",
        found=listed(f"{path.address} at {cards[path.address]}, no card of {path.to}" for path in strange),
        fix="two machines have that address: take it from the other one; arping -D -I LINK ADDRESS",
        command="ip neighbour",
    )
