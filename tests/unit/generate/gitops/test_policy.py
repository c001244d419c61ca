"""Who reaches whom, with Cilium and without."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from slipway.generate import gitops
from slipway.generate.gitops import policy
from slipway.generate.gitops.policy import API, GATEWAY, S3, called_by, calls

CALICO = {"cluster": {"network": {"provider": "calico"}}}
NETWORK_OF_IPV6 = {"prefixLength": 64, "gateway": "fe80::1"}
BACKUP = {"stages": {"backup": {"repository": "s3:http://s3.example.org:9000/b"}}}


def merged(*changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for change in changes for key, value in change.items()}


def test_by_default_there_is_the_namespace_and_dns(make):
    spec = policy.default_deny(make())["spec"]
    assert spec["ingress"] == [{"fromEndpoints": [{}]}]
    own, dns = spec["egress"]
    assert own == {"toEndpoints": [{}]}
    assert dns["toPorts"][0]["ports"] == [{"port": "53", "protocol": "ANY"}]


def test_without_cilium_it_is_a_plain_policy(make):
    found = policy.default_deny(make(CALICO))
    assert found["kind"] == "NetworkPolicy"
    assert found["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_api_is_an_entity_or_the_controllers(make):
    flow = [calls(API)]
    with_cilium = policy.allowed(make(), "a", flow)
    assert with_cilium is not None
    assert with_cilium["spec"]["egress"] == [{"toEntities": ["kube-apiserver"]}]
    plain = policy.allowed(make(CALICO), "a", flow)
    assert plain is not None
    assert plain["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.0.0.11/32"}}], "ports": [{"port": 6443, "protocol": "TCP"}]}
    ]


def test_webhooks_are_called_from_any_node(make):
    """k0s carries what the API server asks through konnectivity, which ends on the workers."""
    plain = policy.allowed(make(CALICO), "a", [called_by(API, 10250)])
    assert plain is not None
    peers = [each["ipBlock"]["cidr"] for each in plain["spec"]["ingress"][0]["from"]]
    assert peers == ["10.0.0.11/32", "10.0.0.21/32"]


def test_the_store_of_backups_is_a_name_and_a_port(make):
    found = policy.allowed(make(BACKUP), "a", [calls(S3)])
    assert found is not None
    (rule,) = found["spec"]["egress"]
    assert rule["toFQDNs"] == [{"matchName": "s3.example.org"}]
    assert rule["toPorts"] == [{"ports": [{"port": "9000", "protocol": "TCP"}]}]


@pytest.mark.parametrize(
    ("host", "network"), [("192.0.2.7", "192.0.2.7/32"), ("[2001:db8::7]", "2001:db8::7/128")], ids=["IPv4", "IPv6"]
)
def test_a_store_of_backups_at_an_address_is_no_name(make, host, network):
    there = {"stages": {"backup": {"repository": f"s3:http://{host}:9000/b"}}}
    found = policy.allowed(make(there), "a", [calls(S3)])
    assert found is not None
    (rule,) = found["spec"]["egress"]
    assert "toFQDNs" not in rule
    assert rule["toCIDR"] == [network]
    assert rule["toPorts"] == [{"ports": [{"port": "9000", "protocol": "TCP"}]}]


def test_without_gateway_and_store_there_is_nothing_to_allow(make):
    assert policy.allowed(make(), "a", [called_by(GATEWAY, 80), calls(S3)]) is None


@pytest.mark.parametrize("asked", ["true", "false"])
def test_the_inventory_may_leave_it_all_open(make, asked):
    files = {str(path): text for path, text in gitops.render(make({"stages": {"defaultDeny": asked}})).items()}
    build = yaml.safe_load(files["gitops/cluster-base-apps/volsync/app/kustomization.yaml"])
    assert ("../../../components/default-deny" in build.get("components", [])) is (asked == "true")
    assert ("gitops/cluster-base-apps/volsync/app/networkpolicy.yaml" in files) is (asked == "true")


def openbao(make: Any, *changes: Any) -> Any:
    files = {str(path): text for path, text in gitops.render(make(*changes)).items()}
    return yaml.safe_load(files["gitops/cluster-base-apps/openbao/app/helmrelease.yaml"])["spec"]["values"]["server"]


def test_openbao_lets_nodes_drain_and_opens_itself(make):
    server = openbao(make)
    # The chart's default with one replica allows no disruption at all.
    assert server["ha"]["disruptionBudget"] == {"enabled": False}
    assert server["updateStrategyType"] == "RollingUpdate"
    config = server["ha"]["raft"]["config"]
    assert 'seal "static"' in config
    assert 'audience                         = "openbao"' in config
    assert "uninitcode" in server["livenessProbe"]["path"]


def test_openbao_says_its_address_of_ipv6_in_brackets(make):
    """The chart's own default is a URL without. Kubernetes puts the address for `$(POD_IP)`."""
    ranges = {"podCIDR": "fd00:244::/104", "serviceCIDR": "fd00:96::/108"}
    hosts = {name: {"address": f"2001:db8::{number}"} for name, number in (("cp1", 11), ("w1", 21))}
    alone = {"cluster": {"network": ranges}, "hosts": hosts, "defaults": {"network": NETWORK_OF_IPV6}}
    said = openbao(make, alone)["ha"]["apiAddr"]
    assert urlsplit(said.replace("$(POD_IP)", "fd00:244::5")).hostname == "fd00:244::5"
    assert "apiAddr" not in openbao(make)["ha"], "control: with IPv4 the chart's own is right"
