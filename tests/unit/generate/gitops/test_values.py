"""The values of charts whose schema is at hand (tests/schemas/make.py): each key is one that the chart has."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pytest
import yaml

from slipway.generate import cilium, gitops, nixos

SCHEMAS = Path(__file__).parents[3] / "data" / "schemas"
STAGES = {
    "gateway": {"enabled": "true", "domain": "example.org"},
    "loadBalancer": {"pools": ["10.0.0.200/29"]},
    "certManager": {"enabled": "true", "email": "a@example.org"},
}
CHARTS = ("cert-manager", "cilium", "external-secrets")


def wrong(chart: str, values: Any) -> list[str]:
    schema = json.loads((SCHEMAS / f"chart_{chart}.json").read_text())
    found = jsonschema.Draft202012Validator(schema).iter_errors(values)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


@pytest.fixture
def values(make):
    """Values of the Helm releases by the app's name."""
    mirrors = {"images": {"quay.io": "registry.example.org"}}
    files = gitops.render(make({"stages": STAGES, "mirrors": mirrors}))
    return {
        PurePosixPath(path).parts[2]: yaml.safe_load(text)["spec"].get("values", {})
        for path, text in files.items() if path.name == "helmrelease.yaml"
    }  # fmt: skip


@pytest.mark.parametrize("chart", CHARTS)
def test_the_chart_knows_every_value(values, chart):
    assert wrong(chart, values[chart]) == []


FAMILIES: dict[str, tuple[dict[str, Any], str]] = {
    "IPv4": ({}, "10.0.0.{}"),
    "both": ({"dualStack": {"podCIDR": "fd00:244::/104", "serviceCIDR": "fd00:96::/112"}}, "10.0.0.{}"),
    "IPv6": ({"podCIDR": "fd00:244::/104", "serviceCIDR": "fd00:96::/108"}, "2001:db8::{}"),
}


@pytest.mark.parametrize("routing", ["vxlan", "geneve", "native"])
@pytest.mark.parametrize("family", FAMILIES)
def test_cilium_knows_every_value_whichever_way_traffic_goes(make, family, routing):
    ranges, address = FAMILIES[family]
    network = {**ranges, "cilium": {"routing": routing, "encryption": "wireguard", "hubble": "false"}}
    hosts = {
        name: {"address": address.format(number), "network": {"ipv6": {"address": f"2001:db8::{number}"}}}
        if family == "both" else {"address": address.format(number)}
        for name, number in (("cp1", 11), ("w1", 21))
    }  # fmt: skip
    defaults = {"network": {"prefixLength": 64, "gateway": "fe80::1"}} if family == "IPv6" else {}
    pools = {"loadBalancer": {"pools": ["2001:db8:1::/120"]}} if family == "IPv6" else {}
    stages = {**STAGES, **pools}
    inventory = make({"cluster": {"network": network}, "hosts": hosts, "defaults": defaults, "stages": stages})
    values = cilium.values(inventory)
    assert wrong("cilium", values) == []
    # The template refuses native routing without the range of each family that there is (v1.20.1, cilium-configmap).
    ranges_said = {"IPv4": "ipv4NativeRoutingCIDR" in values, "IPv6": "ipv6NativeRoutingCIDR" in values}
    wanted = {"IPv4": family != "IPv6", "IPv6": family != "IPv4"} if routing == "native" else dict.fromkeys(ranges_said)
    assert ranges_said == {key: bool(value) for key, value in wanted.items()}


@pytest.mark.parametrize(
    ("chart", "mistake"),
    [
        ("cilium", {"underlayProtocol": "IPv6"}),
        ("cilium", {"routingMode": "direct"}),
        ("cilium", {"tunnelProtocol": "gre"}),
        ("cilium", {"cgroup": {"automount": {"enabled": False}}}),
        ("cilium", {"hubble": {"tls": {"auto": {"methd": "cronJob"}}}}),
        ("cert-manager", {"crds": {"enable": True}}),
        ("external-secrets", {"installCRDs": "yes"}),
    ],
)
def test_control_a_mistake_is_found(chart, mistake):
    assert wrong(chart, mistake)


def test_spegel_writes_where_the_inventory_s_mirrors_are_not(make):
    inventory = make({"stages": {"registryMirror": True}})
    text = gitops.render(inventory)[PurePosixPath("gitops/cluster-apps/spegel/app/helmrelease.yaml")]
    spegel = yaml.safe_load(text)["spec"]["values"]["spegel"]
    assert spegel["containerdRegistryConfigPath"] == "/var/lib/slipway/certs.d"
    assert spegel["containerdContentPath"].startswith("/var/lib/k0s/containerd/")
    assert "images.shared = true;" in cluster_text(inventory)
    assert "images.shared" not in cluster_text(make())


def cluster_text(inventory) -> str:
    return nixos.render(inventory)["generated/cluster.nix"].decode()
