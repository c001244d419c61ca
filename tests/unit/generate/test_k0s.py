"""k0s.yaml: what is a controller's own, and what must be the same on all of them."""

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.generate import k0s
from slipway.inventory import Inventory
from slipway.inventory.releases import minor_of, newest_release

MARK = b"# From here on the same on every controller"


def files(inventory: Inventory) -> dict[str, bytes]:
    return {path.split("/")[2]: content for path, content in k0s.render(inventory).items()}


def specs(inventory: Inventory) -> dict[str, Any]:
    return {name: yaml.safe_load(content)["spec"] for name, content in files(inventory).items()}


def cluster_part(content: bytes) -> bytes:
    _, mark, rest = content.partition(MARK)
    assert mark
    return rest


def node_part(spec: dict[str, Any]) -> dict[str, Any]:
    """What k0s takes from each controller's own file (facts of ClusterConfig.GetClusterWideConfig)."""
    spec["network"].pop("controlPlaneLoadBalancing", None)
    return {"api": spec.pop("api"), "storage": spec.pop("storage")}


def test_the_api_server_encrypts_secrets_unless_the_inventory_says_otherwise(make):
    api = specs(make())["cp1"]["api"]
    assert api["extraArgs"] == {
        "encryption-provider-config": "/etc/k0s/encryption.json",
        "encryption-provider-config-automatic-reload": "true",
    }
    api = specs(make({"cluster": {"k0s": {"encryptSecrets": False}}}))["cp1"]["api"]
    assert "extraArgs" not in api


OIDC = {
    "issuerURL": "https://id.example.org", "clientID": "k8s", "groupsClaim": "groups", "groupsPrefix": "oidc:",
    "requiredClaims": {"hd": "example.org", "aud2": "x"},
}  # fmt: skip


def api_arguments(make, api_server) -> dict[str, str]:
    return k0s.api_arguments(make({"cluster": {"k0s": {"encryptSecrets": "false", "apiServer": api_server}}}))


def test_people_log_in_by_an_identity_provider(make):
    assert api_arguments(make, {"oidc": OIDC}) == {
        "oidc-issuer-url": "https://id.example.org", "oidc-client-id": "k8s", "oidc-username-claim": "sub",
        "oidc-groups-claim": "groups", "oidc-groups-prefix": "oidc:",
        "oidc-required-claim": "hd=example.org,aud2=x",
    }  # fmt: skip


def test_a_record_is_kept_in_a_folder_of_the_api_servers_own(make):
    found = api_arguments(make, {"audit": {"maxAge": "7"}, "extraArgs": {"event-ttl": "24h"}})
    assert found["audit-log-path"] == "/var/log/kube-apiserver/audit.log"
    assert found["audit-policy-file"] == "/etc/k0s/audit-policy.yaml"
    assert (found["audit-log-maxage"], found["audit-log-maxbackup"], found["event-ttl"]) == ("7", "10", "24h")


def test_workers_have_none(make):
    assert list(files(make())) == ["cp1"]


def test_each_controller_has_its_own_address(high_availability):
    for host in high_availability.controllers:
        spec = specs(high_availability)[host.name]
        assert spec["api"]["address"] == host.address
        assert spec["storage"] == {"type": "etcd", "etcd": {"peerAddress": host.address}}


def test_the_certificate_is_for_every_controller(high_availability):
    wanted = ["10.0.0.11", "10.0.0.12", "10.0.0.13", "cp1", "cp2", "cp3", "10.0.0.10"]
    assert all(spec["api"]["sans"] == wanted for spec in specs(high_availability).values())


def test_the_virtual_address_is_on_the_link_of_each_controller(high_availability):
    found = {
        name: spec["network"]["controlPlaneLoadBalancing"]["keepalived"]["vrrpInstances"][0]
        for name, spec in specs(high_availability).items()
    }
    assert {name: instance["interface"] for name, instance in found.items()} == {
        "cp1": "eno1", "cp2": "eno2", "cp3": "eno3",
    }  # fmt: skip
    assert all(instance["virtualIPs"] == ["10.0.0.10/24"] for instance in found.values())
    assert all(1 <= len(instance["authPass"]) <= 8 for instance in found.values())


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,12}[a-z0-9])?", fullmatch=True)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "sans": st.lists(NAMES.map(lambda name: f"{name}.example.org"), max_size=3, unique=True),
        "featureGates": st.dictionaries(NAMES, st.booleans(), max_size=3),
        "workerProfiles": st.dictionaries(NAMES, st.just({"maxPods": 200, "evictionHard": {"a": "1%"}}), max_size=2),
        "telemetry": st.booleans(),
        "ports": st.just({"api": 16443, "konnectivityAgent": 9132}),
    },
)
NETWORKS = st.fixed_dictionaries(
    {"provider": st.sampled_from(["cilium", "kuberouter", "calico"])},
    optional={
        "vip": st.just({"address": "10.0.0.10/24"}),
        "nodeLocalLoadBalancing": st.just(True),
        "dualStack": st.just({"podCIDR": "fd00:1::/108", "serviceCIDR": "fd00:2::/108"}),
    },
)


def controller(n: int) -> dict[str, Any]:
    network = {"interface": f"eno{n}", "ipv6": {"address": f"fd00::1{n}"}}
    return {"address": f"10.0.0.1{n}", "role": "controller", "network": network}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, network=NETWORKS, controllers=st.integers(1, 5))
def test_what_is_cluster_wide_is_byte_equal_on_all_controllers(make, changes, network, controllers):
    hosts = {f"cp{n}": controller(n) for n in range(1, controllers + 1)}
    hosts["w1"] = {"network": {"ipv6": {"address": "fd00::21"}}}
    inventory = make({"cluster": {"k0s": changes, "network": network}, "hosts": hosts})
    contents = files(inventory)
    assert len(contents) == controllers
    assert len({cluster_part(content) for content in contents.values()}) == 1
    # The mark stands where it should: nothing cluster-wide lies above it.
    parsed = specs(inventory)
    for spec in parsed.values():
        node_part(spec)
    assert len({yaml.safe_dump(spec) for spec in parsed.values()}) == 1


def test_cilium_brings_its_own_network_and_proxy(make):
    network = specs(make())["cp1"]["network"]
    assert (network["provider"], network["kubeProxy"]) == ("custom", {"disabled": True})


def test_other_networks_are_k0s_own(make):
    network = specs(make({"cluster": {"network": {"provider": "kuberouter"}}}))["cp1"]["network"]
    assert (network["provider"], network["kubeProxy"]) == ("kuberouter", {"disabled": False})


def test_several_controllers_get_a_proxy_on_every_node(high_availability, make):
    assert specs(high_availability)["cp1"]["network"]["nodeLocalLoadBalancing"]["enabled"] is True
    assert "nodeLocalLoadBalancing" not in specs(make())["cp1"]["network"]


def test_dual_stack(make):
    dual = {"podCIDR": "fd00:1::/108", "serviceCIDR": "fd00:2::/108"}
    hosts = {"cp1": controller(1), "w1": {"network": {"ipv6": {"address": "fd00::21"}}}}
    network = specs(make({"cluster": {"network": {"dualStack": dual}}, "hosts": hosts}))["cp1"]["network"]
    assert network["dualStack"] == {
        "enabled": True, "IPv6podCIDR": "fd00:1::/108", "IPv6serviceCIDR": "fd00:2::/108",
    }  # fmt: skip


def ipv6_only(**network: Any) -> dict[str, Any]:
    hosts = {f"cp{n}": {"address": f"2001:db8::1{n}", "role": "controller"} for n in (1, 2, 3)}
    ranges = {"podCIDR": "fd00:244::/104", "serviceCIDR": "fd00:96::/108"}
    return {
        "cluster": {"network": {**ranges, **network}},
        "defaults": {"network": {"prefixLength": "64", "gateway": "fe80::1"}},
        "hosts": {**hosts, "w1": {"address": "2001:db8::21"}},
    }


def test_a_cluster_may_do_without_ipv4(make):
    spec = specs(make(ipv6_only(vip={"address": "2001:db8::10/64"}, nodeCIDRMaskSize="112")))["cp2"]
    assert (spec["api"]["address"], spec["storage"]["etcd"]["peerAddress"]) == ("2001:db8::12", "2001:db8::12")
    assert {"2001:db8::11", "2001:db8::10"} <= set(spec["api"]["sans"])
    network = spec["network"]
    assert (network["podCIDR"], network["serviceCIDR"]) == ("fd00:244::/104", "fd00:96::/108")
    assert "dualStack" not in network
    (instance,) = network["controlPlaneLoadBalancing"]["keepalived"]["vrrpInstances"]
    assert instance["virtualIPs"] == ["2001:db8::10/64"]
    assert spec["controllerManager"]["extraArgs"] == {"node-cidr-mask-size": "112"}


def test_calico_finds_its_ipv6_address_where_there_is_no_other(make):
    found = specs(make(ipv6_only(provider="calico")))["cp1"]["network"]["calico"]
    assert found["ipV6AutodetectionMethod"] == "kubernetes-internal-ip"


def test_a_node_may_take_another_part_of_the_pod_range(make):
    def arguments(network: dict[str, Any]) -> Any:
        return specs(make({"cluster": {"network": network}}))["cp1"]["controllerManager"]["extraArgs"]

    assert arguments({"nodeCIDRMaskSize": "25"}) == {"node-cidr-mask-size": "25"}
    dual = {"podCIDR": "fd00:1::/104", "serviceCIDR": "fd00:2::/112", "nodeCIDRMaskSize": "120"}
    hosts = {name: {"network": {"ipv6": {"address": f"fd00::{n}"}}} for n, name in enumerate(("cp1", "w1"), 1)}
    made = make({"cluster": {"network": {"nodeCIDRMaskSize": "25", "dualStack": dual}}, "hosts": hosts})
    assert specs(made)["cp1"]["controllerManager"]["extraArgs"] == {
        "node-cidr-mask-size-ipv4": "25", "node-cidr-mask-size-ipv6": "120",
    }  # fmt: skip
    assert "controllerManager" not in specs(make())["cp1"]


def test_controllers_may_tell_each_other_of_the_virtual_address_one_by_one(make):
    hosts = {f"cp{n}": {"address": f"10.0.0.1{n}", "role": "controller"} for n in (1, 2, 3)}
    made = make({"cluster": {"network": {"vip": {"address": "10.0.0.10/24", "unicast": "true"}}}, "hosts": hosts})
    balancing = specs(made)["cp2"]["network"]["controlPlaneLoadBalancing"]
    (instance,) = balancing["keepalived"]["vrrpInstances"]
    assert instance["unicastSourceIP"] == "10.0.0.12"
    assert instance["unicastPeers"] == ["10.0.0.11", "10.0.0.13"]


@pytest.mark.parametrize(("release", "named"), [("1.36.3+k0s.2", True), ("1.35.7+k0s.0", False)])
def test_the_check_of_the_virtual_address_is_named_to_a_k0s_that_takes_it(make, release, named):
    made = make({"cluster": {"k0s": {"version": release}, "network": {"vip": {"address": "10.0.0.10/24"}}}})
    found = specs(made)["cp1"]["network"]["controlPlaneLoadBalancing"]["keepalived"]
    assert found.get("configTemplateVRRP") == ("/etc/k0s/keepalived.conf.tmpl" if named else None)


def test_the_newest_release_of_k0s_was_looked_at_for_the_check_of_the_virtual_address():
    """Whoever packages another minor compares the template with that k0s's own: `k0s keepalived-config vrrp`."""
    assert minor_of(newest_release() or "") in k0s.TAKE_KEEPALIVED


def test_an_external_address_is_told_and_certified(make):
    spec = specs(make({"cluster": {"network": {"externalAddress": "k8s.example.org"}}}))["cp1"]
    assert spec["api"]["externalAddress"] == "k8s.example.org"
    assert "k8s.example.org" in spec["api"]["sans"]


def test_calico_takes_the_address_that_the_node_has_in_kubernetes(make):
    """By itself it takes the first link that it finds."""
    network = specs(make({"cluster": {"network": {"provider": "calico"}}}))["cp1"]["network"]
    assert network["calico"] == {"ipAutodetectionMethod": "kubernetes-internal-ip"}
    network = specs(make({"cluster": {"network": {"provider": "kuberouter"}}}))["cp1"]["network"]
    assert "calico" not in network
