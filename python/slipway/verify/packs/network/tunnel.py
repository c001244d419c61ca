"""What the pod network sends to other nodes without a connection.

nft list chain inet nixos-fw input-allow
"""

from __future__ import annotations

import pytest

from slipway.generate import pod_network
from slipway.inventory import Host, Inventory
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed, workloads
from slipway.verify.packs.network._rules import Rules
from slipway.verify.packs.network._tcp import neighbours

pytestmark = workloads

SHOW = "nft list chain inet nixos-fw input-allow"


def test_is_let_in(host: NodeHost, node: Host, inventory: Inventory, rules: Rules) -> None:
    """The firewall lets in what the pod network of every other node sends by UDP."""
    # A tunnel's port answers nobody, so that no attempt could tell a free way from a shut one.
    wanted = [each for each in pod_network.openings(inventory) if each.protocol == "udp"]
    senders = neighbours(inventory, node, (each for each in inventory.hosts if each.runs_workloads))
    if not wanted or not senders:
        pytest.skip("the pod network sends nothing by UDP" if senders else "no other node runs pods")
    if not rules.there:
        pytest.skip("this machine has no firewall of NixOS that could keep it out")
    names = listed(map(str, wanted))
    host.note(f"{names}: read in the rules of this node; that packets arrive is for kubernetes.pods to show")
    kept_out = [
        f"{each} of {sender.name} {sender.address}"
        for each in wanted
        for sender in senders
        if not rules.lets_in(each.protocol, each.port, sender.address)
    ]
    expect(
        not kept_out,
        expected=f"{names} from {listed(sender.name for sender in senders)}",
        found=f"kept out: {listed(kept_out)}",
        fix="systemctl restart nftables.service; is the node in a network of the inventory? then slipway deploy",
        command=SHOW,
    )
