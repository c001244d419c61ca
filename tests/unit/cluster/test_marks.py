"""Labels and taints of nodes that live: what the inventory says, and nobody else's."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.cluster import live, marks
from slipway.cluster.live import LiveNode, Living
from slipway.errors import DeployFailed
from slipway.events import Event, Events
from slipway.inventory import load
from slipway.result import CommandFailed, CommandResult
from slipway.tools import kubectl


@pytest.fixture
def inventory(world, tmp_path):
    """cp1, w1 and w2; w1 has a label and a taint."""
    world()
    path = tmp_path / "inventory.yaml"
    said = "role: worker, labels: {disk: ssd}, taints: ['own=me:NoSchedule']}"
    path.write_text(path.read_text().replace("role: worker}", said, 1))
    return load(path)


class FakeApi:
    """Keeps nodes and merges patches into them as the API server does; `busy` times somebody else is quicker."""

    def __init__(self) -> None:
        self.nodes = {name: LiveNode(name, version="1") for name in ("w1", "w2")}
        self.busy = 0
        self.patches: list[str] = []

    def read(self, _secret) -> Living:
        return Living(dict(self.nodes))

    def patch(self, _secret, kind, name, change: dict[str, Any]) -> None:
        assert kind == "node"
        self.patches.append(name)
        node, metadata = self.nodes[name], change["metadata"]
        if self.busy:
            self.busy -= 1
            node = self.nodes[name] = replace(node, version=node.version + "1", taints=(*node.taints, "new:NoExecute"))
        if metadata["resourceVersion"] != node.version:
            said = (
                'Operation cannot be fulfilled on nodes "w1": the object has been modified; please apply your changes'
            )
            raise CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", said, 0.0))
        labels = {**node.labels, **metadata.get("labels", {})}
        taints = change["spec"]["taints"] if "spec" in change else None
        self.nodes[name] = replace(
            node,
            version=node.version + "1",
            labels={key: value for key, value in labels.items() if value is not None},
            annotations={**node.annotations, **metadata.get("annotations", {})},
            taints=node.taints if taints is None else tuple(live.taint_text(each) for each in taints),
        )


@pytest.fixture
def api(monkeypatch):
    fake = FakeApi()
    monkeypatch.setattr(live, "read", fake.read)
    monkeypatch.setattr(kubectl, "patch", fake.patch)
    return fake


def apply(inventory, chosen=("cp1", "w1", "w2")) -> list[str]:
    """What was told."""
    events: list[Event] = []
    marks.apply(inventory, KUBECONFIG, Events(events.append), chosen)
    return [f"{event.node}: {event.data['text']}" for event in events]


def without(inventory, tmp_path, text: str):
    path = tmp_path / "inventory.yaml"
    path.write_text(path.read_text().replace(text, ""))
    return load(path)


def test_a_label_that_came_after_registration_is_applied_once(api, inventory):
    assert apply(inventory) == ["w1: label disk=ssd; taint own=me:NoSchedule"]
    assert api.nodes["w1"].labels == {"disk": "ssd"}
    assert api.nodes["w1"].taints == ("own=me:NoSchedule",)
    assert apply(inventory) == []
    assert api.patches == ["w1"]


def test_what_leaves_the_inventory_leaves_the_node_and_others_stays(api, inventory, tmp_path):
    own = LiveNode("w1", labels={"theirs": "1"}, taints=("node.kubernetes.io/not-ready:NoSchedule",), version="1")
    api.nodes["w1"] = own
    apply(inventory)
    left = without(inventory, tmp_path, ", labels: {disk: ssd}, taints: ['own=me:NoSchedule']")
    assert apply(left) == ["w1: label disk=ssd goes; taint own=me:NoSchedule goes"]
    assert (api.nodes["w1"].labels, api.nodes["w1"].taints) == (own.labels, own.taints)
    assert apply(left) == []


def test_control_what_slipway_did_not_set_is_not_taken_away(api, inventory, tmp_path):
    api.nodes["w1"] = LiveNode("w1", labels={"disk": "ssd"}, version="1")
    assert apply(without(inventory, tmp_path, ", labels: {disk: ssd}, taints: ['own=me:NoSchedule']")) == []
    assert api.patches == []


def test_what_k0s_set_at_registration_is_remembered_so_that_it_can_go_later(api, inventory, tmp_path):
    api.nodes["w1"] = LiveNode("w1", labels={"disk": "ssd"}, taints=("own=me:NoSchedule",), version="1")
    assert apply(inventory) == []
    assert json.loads(api.nodes["w1"].annotations[marks.SET]) == {"labels": ["disk"], "taints": ["own:NoSchedule"]}
    left = without(inventory, tmp_path, ", labels: {disk: ssd}")
    assert apply(left) == ["w1: label disk=ssd goes"]


def test_another_value_takes_the_old_ones_place(api, inventory):
    api.nodes["w1"] = LiveNode("w1", labels={"disk": "hdd"}, taints=("own=you:NoSchedule",), version="1")
    assert apply(inventory) == ["w1: label disk: hdd -> ssd; taint own=you:NoSchedule goes; taint own=me:NoSchedule"]
    assert api.nodes["w1"].taints == ("own=me:NoSchedule",)


def test_nobody_elses_taint_that_comes_meanwhile_is_lost(api, inventory):
    api.busy = 2
    apply(inventory)
    assert set(api.nodes["w1"].taints) == {"new:NoExecute", "own=me:NoSchedule"}


def test_a_node_that_somebody_writes_all_the_time_is_given_up(api, inventory):
    api.busy = 99
    with pytest.raises(DeployFailed, match="w1: labels and taints: somebody else"):
        apply(inventory)
    assert len(api.patches) == marks.TRIES


def test_only_chosen_nodes_are_touched(api, inventory):
    assert apply(inventory, ("w2",)) == []
    assert apply(inventory, ("cp1",)) == []
    assert api.patches == []


@pytest.mark.parametrize("odd", ["", "[]", "{", '{"labels": 3, "taints": []}', '{"labels": ["disk"]}'])
def test_whatever_stands_in_the_annotation_is_no_error(api, inventory, odd):
    api.nodes["w1"] = LiveNode("w1", annotations={marks.SET: odd}, version="1")
    assert apply(inventory) == ["w1: label disk=ssd; taint own=me:NoSchedule"]


def test_any_other_refusal_of_the_api_server_is_an_error(api, inventory, monkeypatch):
    def refuse(*_what):
        raise CommandFailed(CommandResult(("kubectl",), "localhost", 1, "", "Forbidden", 0.0))

    monkeypatch.setattr(kubectl, "patch", refuse)
    with pytest.raises(CommandFailed, match="Forbidden"):
        apply(inventory)
