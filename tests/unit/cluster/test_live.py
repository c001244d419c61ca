"""What the API server says of a cluster, in the form that the inventory can be compared with."""

import json
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.cluster import kubeconfig, live
from slipway.errors import DeployFailed
from slipway.inventory.model import Provider
from slipway.result import OddAnswer
from slipway.tools import kubectl

COREFILE = """.:53 {
    errors
    kubernetes example.org in-addr.arpa ip6.arpa {
        pods insecure
    }
}
"""


def item(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, **more.pop("metadata", {})}, **more}


ITEMS = [
    item(
        "Node",
        "w1",
        metadata={"labels": {"a": "1"}, "annotations": {"b": "2"}, "resourceVersion": "7"},
        spec={"podCIDRs": ["10.244.1.0/24"], "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"},
                                                       {"key": "bare", "effect": "NoExecute"}]},
        status={"addresses": [{"type": "Hostname", "address": "w1"}, {"type": "InternalIP", "address": "10.0.0.11"}],
                "conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.36.3+k0s"}},
    ),
    item("Node", "w2"),
    item("ServiceCIDR", "kubernetes", spec={"cidrs": ["10.96.0.0/12"]}),
    item("ServiceCIDR", "more", spec={"cidrs": ["10.200.0.0/16"]}),
    item("DaemonSet", "cilium"),
    item("DaemonSet", "konnectivity-agent"),
    item("ConfigMap", "coredns", data={"Corefile": COREFILE}),
]  # fmt: skip


@pytest.fixture
def api(monkeypatch):
    """Makes a fake API server with these objects."""

    def serve(*items: Any) -> None:
        def get(_kubeconfig, kinds, *, namespace):
            assert (kinds, namespace) == (live.KINDS, "kube-system")
            return {"items": items}

        monkeypatch.setattr(kubectl, "get", get)

    return serve


def test_one_request_tells_everything(api):
    api(*ITEMS)
    found = live.read(KUBECONFIG, {"cp1": "10.0.0.10"})
    assert found.service_ranges == ("10.96.0.0/12",)
    assert found.domain == "example.org"
    assert found.providers == {Provider.CILIUM}
    assert found.members == {"cp1": "10.0.0.10"}
    one = found.nodes["w1"]
    assert (one.ready, one.addresses, one.pod_ranges) == (True, ("10.0.0.11",), ("10.244.1.0/24",))
    assert one.taints == ("k=v:NoSchedule", "bare:NoExecute")
    assert (one.labels, one.annotations, one.version, one.kubelet) == ({"a": "1"}, {"b": "2"}, "7", "v1.36.3+k0s")
    assert found.nodes["w2"] == live.LiveNode("w2")


def test_what_the_cluster_does_not_say_is_empty(api):
    api()
    assert live.read(KUBECONFIG) == live.Living()


@pytest.mark.parametrize(
    "odd", [1, {"kind": "Node"}, item("Node", "w1", spec=3), item("ConfigMap", "coredns", data=[])]
)
def test_an_odd_answer_is_the_api_servers(api, odd):
    api(odd)
    with pytest.raises(OddAnswer, match="the API server"):
        live.read(KUBECONFIG)


def test_before_the_first_controller_there_is_nothing_and_no_reason(world):
    one = world()
    assert live.look(one.inventory, one.pool) == live.Sight()


def test_a_cluster_is_looked_at_with_its_members_of_etcd(world, api):
    one = world(controllers=2)
    api(*ITEMS)
    one.machine("cp2").data, one.machine("cp2").state = True, "active"
    one.cluster.etcd["cp2"] = "https://10.0.0.11:2380"
    sight = live.look(one.inventory, one.pool)
    assert sight.cluster and sight.cluster.members == {"cp2": "10.0.0.11"}
    assert sight.kubeconfig and "10.0.0.11" in json.loads(sight.kubeconfig.reveal())["clusters"][0]["cluster"]["server"]


def test_why_a_cluster_could_not_be_looked_at_is_said(world, monkeypatch):
    one = world(controllers=2)
    one.machine("cp1").breaks = "unreachable"
    assert live.look(one.inventory, one.pool) == live.Sight(why_not="cp1: no answer")
    one.machine("cp2").data = True

    def refuse(*_what):
        raise DeployFailed("no controller gives a kubeconfig")

    monkeypatch.setattr(kubeconfig, "of", refuse)
    assert live.look(one.inventory, one.pool).why_not == "no controller gives a kubeconfig"
