"""What goes by a machine's proxy."""

from slipway.generate import proxy

PROXY = {"http": "http://proxy.example.org:3128", "noProxy": [".example.org", "10.0.0.0/24"]}
NETWORK = {
    "vip": {"address": "10.0.0.10/24"}, "podCIDR": "10.42.0.0/16", "serviceCIDR": "10.43.0.0/16",
    "dualStack": {"podCIDR": "fd00:1::/104", "serviceCIDR": "fd00:2::/112"},
}  # fmt: skip


def test_a_machine_without_a_proxy_has_no_variables(make):
    inventory = make()
    assert proxy.variables(inventory, inventory.host("w1")) == {}


def test_the_cluster_itself_never_goes_by_it(make):
    host = {"proxy": PROXY, "network": {"ipv6": {"address": "fd00::21"}}}
    other = {"network": {"ipv6": {"address": "fd00::11"}}}
    cluster = {"network": NETWORK, "domain": "k8s.example.org"}
    inventory = make({"cluster": cluster, "hosts": {"w1": host, "cp1": other}})
    said = proxy.variables(inventory, inventory.host("w1"))
    assert said["HTTP_PROXY"] == said["HTTPS_PROXY"] == "http://proxy.example.org:3128"
    assert said["NO_PROXY"].split(",") == [
        "localhost", "127.0.0.0/8", "::1", "10.0.0.0/24", "fd00::/64", "10.42.0.0/16", "10.43.0.0/16", "fd00:1::/104",
        "fd00:2::/112", "10.0.0.10", ".svc", ".k8s.example.org", ".example.org",
    ]  # fmt: skip


def test_an_external_address_is_reached_directly(make):
    inventory = make({"cluster": {"network": {"externalAddress": "lb.example.net"}}})
    assert "lb.example.net" in proxy.direct(inventory)


def test_https_may_have_another(make):
    inventory = make({"hosts": {"w1": {"proxy": {**PROXY, "https": "http://proxy.example.org:3129"}}}})
    assert proxy.variables(inventory, inventory.host("w1"))["HTTPS_PROXY"] == "http://proxy.example.org:3129"
