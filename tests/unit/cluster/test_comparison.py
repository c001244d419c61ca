"""What a living cluster cannot become is refused with the way to do it; each difference has a control that agrees."""

import re
from dataclasses import replace
from typing import Any

import pytest

from slipway.cluster import comparison, live
from slipway.cluster.live import LiveNode, Living, Sight
from slipway.events import Event, Events
from slipway.inventory import load
from slipway.inventory.model import Provider

MEMBERS = {"cp1": "10.0.0.10", "cp2": "10.0.0.11"}
"""Addresses as conftest's inventory gives them; the worker has 10.0.0.12."""


@pytest.fixture
def one(world):
    return world(controllers=2, workers=1)


def agreeing(**more: Any) -> Living:
    node = LiveNode("w1", True, ("10.0.0.12",), ("10.244.1.0/24",))
    same = Living({"w1": node}, ("10.96.0.0/12",), "cluster.local", frozenset({Provider.CILIUM}), MEMBERS)
    return replace(same, **more)


def told(one, cluster: Living) -> list[str]:
    return [str(each) for each in comparison.differences(one.inventory, cluster)]


def test_control_what_agrees_is_no_difference(one):
    assert comparison.differences(one.inventory, agreeing()) == ()


def test_a_cluster_that_says_nothing_differs_in_nothing(one):
    assert comparison.differences(one.inventory, Living()) == ()


FIXED: dict[str, dict[str, Any]] = {
    "cluster.network.serviceCIDR: the cluster has 10.97.0.0/16, the inventory 10.96.0.0/12":
        {"service_ranges": ("10.97.0.0/16",)},
    "cluster.network.podCIDR: the cluster has 10.200.1.0/24 on w1, the inventory 10.244.0.0/16":
        {"nodes": {"w1": LiveNode("w1", pod_ranges=("10.200.1.0/24",))}},
    "cluster.domain: the cluster has example.org, the inventory cluster.local": {"domain": "example.org"},
    "cluster.network.provider: the cluster has kuberouter, the inventory cilium":
        {"providers": frozenset({Provider.KUBEROUTER})},
}  # fmt: skip


@pytest.mark.parametrize("message", FIXED)
def test_what_is_fixed_at_the_first_start_is_refused(one, message):
    cluster = agreeing(**FIXED[message])
    (found,) = comparison.differences(one.inventory, cluster)
    assert str(found) == message
    assert found.refused and found.node is None
    assert found.way.startswith("write the old value back")


def test_a_second_family_is_part_of_the_ranges(one, tmp_path):
    path = tmp_path / "inventory.yaml"
    dual = "{dualStack: {podCIDR: 'fd00:1::/101', serviceCIDR: 'fd00:2::/112'}}"
    text = path.read_text().replace("defaults:", f"  network: {dual}\ndefaults:", 1)
    path.write_text(re.sub(r"0\.0\.(\d+),", r"0.0.\1, network: {ipv6: {address: 'fd00:9::\1'}},", text))
    inventory = load(path)
    node = LiveNode("w1", True, ("10.0.0.12",), ("10.244.1.0/24", "fd00:1::800/117"))
    both = agreeing(nodes={"w1": node}, service_ranges=("fd00:2::/112", "10.96.0.0/12"))
    assert comparison.differences(inventory, both) == ()
    assert [each.what for each in comparison.differences(inventory, agreeing())] == ["cluster.network.serviceCIDR"]


ROLES: dict[str, tuple[dict[str, Any], str]] = {
    "w1: role: the cluster has a controller (a member of etcd), the inventory worker":
        ({"members": {**MEMBERS, "w1": "10.0.0.12"}, "nodes": {}}, "slipway node remove w1"),
    "cp2: role: the cluster has a worker, the inventory controller":
        ({"members": {"cp1": "10.0.0.10"}, "nodes": {"cp2": LiveNode("cp2")}}, "slipway node remove cp2"),
    "cp2: role: the cluster has controller+worker, the inventory controller":
        ({"nodes": {"cp2": LiveNode("cp2")}}, "kubectl drain cp2, kubectl delete"),
    "cp2: address: the cluster has 10.0.0.99, the inventory 10.0.0.11":
        ({"members": {**MEMBERS, "cp2": "10.0.0.99"}}, "slipway node remove cp2"),
    "w1: name: the cluster has a node old at 10.0.0.12, the inventory w1":
        ({"nodes": {"old": LiveNode("old", True, ("10.0.0.12",))}}, "call it old in the inventory"),
}  # fmt: skip


@pytest.mark.parametrize("message", ROLES)
def test_what_a_node_cannot_become_is_refused_with_the_way(one, message):
    change, way = ROLES[message]
    found = next(each for each in comparison.differences(one.inventory, agreeing(**change)) if each.refused)
    assert str(found) == message
    assert way in found.way


def test_nobody_knows_roles_where_nobody_lists_the_members(one):
    assert told(one, agreeing(members=None, nodes={"cp1": LiveNode("cp1")})) == []


def test_a_workers_address_may_change(one):
    assert told(one, agreeing(nodes={"w1": LiveNode("w1", True, ("10.0.0.77",))})) == []


def test_strangers_are_named_and_refuse_nothing(one):
    nodes = {name: LiveNode(name) for name in ("w1", "x1", "x2", "x3", "x4", "x5", "x6")}
    found = comparison.differences(one.inventory, agreeing(nodes=nodes, members={**MEMBERS, "cp9": "10.0.0.9"}))
    assert [str(each) for each in found] == [
        "nodes: the cluster has x1, x2, x3, x4, x5 and 1 more, the inventory none of that name",
        "members of etcd: the cluster has cp9 10.0.0.9, the inventory none of that name",
    ]
    assert not any(each.refused for each in found)


@pytest.fixture
def look(one, monkeypatch):
    """Compare with what is seen; return what was told."""

    def look(sight: Sight, *chosen: str) -> list[tuple[str | None, str, str]]:
        monkeypatch.setattr(live, "look", lambda *_: sight)
        events: list[Event] = []
        comparison.require(one.inventory, one.pool, Events(events.append), chosen or ("cp1", "cp2", "w1"))
        return [(event.node, event.state, event.data["text"]) for event in events]

    return look


def test_all_that_cannot_be_is_told_at_once_with_the_ways(look):
    cluster = agreeing(domain="example.org", members={**MEMBERS, "w1": "10.0.0.12"}, nodes={})
    with pytest.raises(comparison.Immovable, match=r"(?s)cluster\.domain: .*w1: role: ") as caught:
        look(Sight(cluster))
    assert caught.value.exit_code == 6
    assert "write the old value back" in str(caught.value.hint) and "slipway node remove w1" in str(caught.value.hint)


def test_a_host_that_was_not_chosen_keeps_nobody_from_a_deploy_and_is_told(look):
    cluster = agreeing(members={**MEMBERS, "w1": "10.0.0.12"}, nodes={})
    ((node, state, text), done) = look(Sight(cluster), "cp1")
    assert (node, state) == ("w1", "failed") and text.startswith("w1: role: ")
    assert done[1] == "done"


def test_a_cluster_that_cannot_be_asked_is_told_and_a_new_one_is_not(look):
    assert look(Sight(why_not="cp1: no answer")) == [
        (None, "skipped", "not compared with the living cluster: cp1: no answer")
    ]
    assert look(Sight()) == []
