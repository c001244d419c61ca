"""Cilium's values, from an inventory."""

import pytest

from slipway.generate.cilium import api_endpoint, values
from slipway.inventory import load

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {{version: 1.36.3+k0s.2}}
  network: {network}
defaults:
  ssh: {{authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}}
  network: {{interface: eth0, prefixLength: 24}}
hosts:
{hosts}"""
ONE = {"cp1": "controller", "w1": "worker", "w2": "worker", "w3": "worker"}
THREE = {"cp1": "controller", "cp2": "controller", "cp3": "controller", "w1": "worker"}


@pytest.fixture
def inventory(tmp_path):
    def make(network="{}", roles=ONE, base="10.0.0."):
        hosts = "".join(
            f"  {name}: {{address: '{base}{10 + place}', role: {role}}}\n"
            for place, (name, role) in enumerate(roles.items())
        )
        path = tmp_path / "inventory.yaml"
        path.write_text(INVENTORY.format(network=network, hosts=hosts))
        return load(path)

    return make


@pytest.mark.parametrize(
    ("network", "roles", "endpoint"),
    [
        ("{}", ONE, ("10.0.0.10", 6443)),
        ("{}", THREE, ("localhost", 7443)),
        ("{vip: {address: 10.0.0.5/24}}", ONE, ("10.0.0.5", 6443)),
        ("{externalAddress: k8s.example.org}", THREE, ("k8s.example.org", 6443)),
    ],
    ids=["one controller", "node-local balancing", "virtual address", "external address"],
)
def test_agents_reach_the_api_without_services(inventory, network, roles, endpoint):
    assert api_endpoint(inventory(network, roles)) == endpoint


def test_values_that_k0s_needs(inventory):
    found = values(inventory())
    assert found["kubeProxyReplacement"] is True
    assert found["ipam"] == {"mode": "kubernetes"}
    assert found["cgroup"] == {"autoMount": {"enabled": False}, "hostRoot": "/sys/fs/cgroup"}
    assert (found["routingMode"], found["tunnelProtocol"]) == ("tunnel", "vxlan")
    assert "encryption" not in found


@pytest.mark.parametrize(("roles", "replicas"), [(ONE, 2), ({"cp1": "controller", "w1": "worker"}, 1)], ids=["3", "1"])
def test_the_operator_has_a_node_for_every_replica(inventory, roles, replicas):
    assert values(inventory(roles=roles))["operator"]["replicas"] == replicas


def test_native_routing_names_the_pods(inventory):
    found = values(inventory("{cilium: {routing: native, encryption: wireguard}, podCIDR: 10.200.0.0/16}"))
    assert (found["routingMode"], found["autoDirectNodeRoutes"]) == ("native", True)
    assert found["ipv4NativeRoutingCIDR"] == "10.200.0.0/16"
    assert found["encryption"] == {"enabled": True, "type": "wireguard"}


def test_the_gateway_is_ciliums_own_and_its_class_comes_with_the_gateway(make):
    """At the bring-up its kind is not there yet, and the chart would leave the class out for good."""
    found = values(make({"stages": {"gateway": {"enabled": "true", "domain": "example.org"}}}))
    assert found["gatewayAPI"] == {"enabled": True, "gatewayClass": {"create": "false"}}
    assert "gatewayAPI" not in values(make())


def test_addresses_of_services_are_announced_where_there_are_some(make):
    found = values(make({"stages": {"loadBalancer": {"pools": ["10.0.0.200/29"]}}}))
    assert found["l2announcements"] == {"enabled": True}
    assert "l2announcements" not in values(make())


def test_hubbles_certificate_is_renewed_and_every_render_the_same(make):
    assert values(make())["hubble"] == {"enabled": True, "tls": {"auto": {"method": "cronJob"}}}
    assert values(make({"cluster": {"network": {"cilium": {"hubble": "false"}}}}))["hubble"] == {"enabled": False}


RANGES = "podCIDR: 'fd00:244::/104', serviceCIDR: 'fd00:96::/108'"


def test_without_ipv4_pods_and_tunnels_have_ipv6_alone(inventory):
    found = values(inventory(f"{{{RANGES}, nodeLocalLoadBalancing: false}}", base="2001:db8::"))
    assert (found["ipv4"], found["ipv6"]) == ({"enabled": False}, {"enabled": True})
    assert (found["routingMode"], found["underlayProtocol"]) == ("tunnel", "ipv6")
    assert found["k8sServiceHost"] == "2001:db8::10"
    native = values(inventory(f"{{{RANGES}, cilium: {{routing: native}}}}", base="2001:db8::"))
    assert native["ipv6NativeRoutingCIDR"] == "fd00:244::/104"
    assert not {"ipv4NativeRoutingCIDR", "underlayProtocol"} & native.keys()


def test_control_with_ipv4_nothing_is_said_of_it(inventory):
    assert not {"ipv4", "underlayProtocol"} & values(inventory()).keys()
