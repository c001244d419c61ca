"""The values of charts whose schema is at hand (tests/schemas/make.py): each key is one that the chart has."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pytest
import yaml

from slipway.generate import gitops, nixos

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


@pytest.mark.parametrize(
    ("chart", "mistake"),
    [
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
