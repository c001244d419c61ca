"""The way back: whether the machine drops packets because their answers would leave by another link.

grep . /proc/sys/net/ipv4/conf/*/rp_filter; nft list chain inet nixos-fw rpfilter
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from slipway.generate import pod_network
from slipway.inventory import Host, Inventory
from slipway.inventory.model import Provider
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs.network._links import Links
from slipway.verify.packs.network._rules import WAY_BACK, Rule, Rules, Statement

READ = 'grep -s -H "" /proc/sys/net/ipv4/conf/*/rp_filter'
WORDS = {0: "off", 1: "strict", 2: "loose"}
"""rp_filter of the kernel's Documentation/networking/ip-sysctl.rst."""
TO_PROXY = {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, 0xF00]}, "right": 0x200}
"""What Cilium hands to its proxy (nixos/modules/firewall.nix): its way back is the machine itself."""


class ReversePath:
    """What is in force, link to number: the larger one of `all` and of the link (ip-sysctl.rst).

    >>> ReversePath(host).effective["eno1"]
    2
    """

    def __init__(self, host: NodeHost) -> None:
        # 2: a link went while it was read.
        said = host.run_expect([0, 2], READ).stdout
        found = dict(re.findall(r"(?m)^/proc/sys/net/ipv4/conf/(.+)/rp_filter:(\d)$", said))
        if "all" not in found:
            raise CannotRun("the kernel does not tell net.ipv4.conf.all.rp_filter")
        self.effective = {link: max(int(value), int(found["all"])) for link, value in found.items()}


def test_is_left_open_by_the_links(host: NodeHost, node: Host, inventory: Inventory, links: Links) -> None:
    """The kernel asks of each link's packets what the pod network can bear."""
    effective = ReversePath(host).effective
    carrying = links.carrying(node.address)
    wrong = list(_unlike(effective, pod_network.reverse_path(inventory.cluster.network.provider)))
    if carrying and effective.get(carrying.name) == 1:
        wrong.append((carrying.name, "loose or off", "strict"))
    expect(
        not wrong,
        expected=listed(f"{link} {want}" for link, want, _ in wrong),
        found=listed(f"{link} {has}" for link, _, has in wrong),
        fix="systemctl restart systemd-sysctl; what else sets it? grep -r rp_filter /etc/sysctl.d; the link or `all`",
        command="grep . /proc/sys/net/ipv4/conf/*/rp_filter",
    )


def _unlike(effective: dict[str, int], wanted: dict[str, int]) -> Iterator[tuple[str, str, str]]:
    """(link, wanted, found) of the links for which the pod network names a value, and that have another."""
    for link, value in effective.items():
        named = next((want for pattern, want in wanted.items() if fnmatchcase(link, pattern)), value)
        if named != value:
            yield link, WORDS[named], WORDS.get(value, str(value))


def test_is_left_open_by_the_rules(inventory: Inventory, rules: Rules) -> None:
    """The firewall asks at most that there is a way back, by whichever link, and not of what Cilium gives its proxy."""
    if not rules.there:
        pytest.skip("this machine has no firewall of NixOS that could ask for the way back")
    asking = [rule for rule in rules.of(*WAY_BACK) if any("fib" in left for left in _lefts(rule))]
    strict = any("iif" in left.get("fib", {}).get("flags", ()) for rule in asking for left in _lefts(rule))
    cilium = inventory.cluster.network.provider is Provider.CILIUM
    shut = bool(asking) and cilium and not any(_lets_proxy(rule) for rule in rules.of(*WAY_BACK))
    expect(
        not strict and not shut,
        expected="loose or off" + (", and not for the mark 0x200" if cilium else ""),
        found="strict" if strict else "no exception for the mark 0x200",
        fix="networking.firewall.checkReversePath of hosts/NAME.nix or modules/; then deploy",
        command="nft list chain inet nixos-fw rpfilter; nft list chain inet nixos-fw rpfilter-allow",
    )


def _lefts(rule: Rule) -> list[Statement]:
    return [each["match"]["left"] for each in rule if "match" in each]


def _lets_proxy(rule: Rule) -> bool:
    return {"match": TO_PROXY} in rule and {"accept": None} in rule
