"""Our stand-in for Cilium's chart takes the values that slipway gives the real one."""

import json
from typing import Any

import pytest
import yaml

from slipway.events import Events
from slipway.generate.cilium import CHART, values
from slipway.inventory import load
from slipway.lab import charts, images
from slipway.lab.binaries import bin_dir
from slipway.result import CommandFailed
from slipway.tools.helm import located
from slipway.tools.run import run

pytestmark = pytest.mark.lab

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: lab
  k0s: {version: 1.36.3+k0s.2}
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]}
  network: {interface: host0, prefixLength: 24}
hosts:
  cp1: {address: 10.77.0.11, role: controller}
  w1: {address: 10.77.0.21, role: worker}
"""


@pytest.fixture(scope="module")
def chart(made):
    (archive,) = charts.ensure(Events(), ["cilium"])
    return located({CHART.repository: str(archive.parent)}, CHART.repository, CHART.name, CHART.version)


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return values(load(path))


def render(chart: str, given: dict[str, Any]) -> dict[tuple[str, str], Any]:
    argv = [str(bin_dir() / "helm"), "template", "cilium", chart, "--namespace=kube-system", "--values=-"]
    found = yaml.safe_load_all(run(argv, input=json.dumps(given).encode()).stdout)
    return {(each["kind"], each["metadata"]["name"]): each for each in found if each}


def test_the_agents_reach_the_api_and_run_an_image_that_the_lab_has(chart, given):
    objects = render(chart, given)
    kubeconfig = yaml.safe_load(objects["ConfigMap", "cilium-config"]["data"]["kubeconfig"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.77.0.11:6443"
    (container,) = objects["DaemonSet", "cilium"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == images.references()["cilium"]


def test_the_script_is_one_that_sh_takes(chart, given):
    script = render(chart, given)["ConfigMap", "cilium-config"]["data"]["agent.sh"]
    run(["sh", "-n"], input=script.encode())


def test_in_a_cluster_of_ipv6_alone_they_have_that(chart, given, tmp_path):
    path = tmp_path / "six.yaml"
    ranges = "\n  network: {podCIDR: 'fd00:244::/104', serviceCIDR: 'fd00:96::/108'}\ndefaults:"
    text = INVENTORY.replace("\ndefaults:", ranges).replace("10.77.0.", "fd00:10:77::").replace("24}", "64}")
    path.write_text(text.replace("fd00:10:77::11", "'fd00:10:77::11'").replace("fd00:10:77::21", "'fd00:10:77::21'"))
    objects = render(chart, values(load(path)))
    kubeconfig = yaml.safe_load(objects["ConfigMap", "cilium-config"]["data"]["kubeconfig"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://[fd00:10:77::11]:6443"
    (container,) = objects["DaemonSet", "cilium"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "FAMILY", "value": "6"} in container["env"]
    (container,) = render(chart, given)["DaemonSet", "cilium"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "FAMILY", "value": "4"} in container["env"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ipam": {"mode": "cluster-pool"}}, "ipam.mode=cluster-pool"),
        ({"k8sServiceHost": ""}, "k8sServiceHost: needed"),
        ({"kubeProxyReplacement": False}, "kubeProxyReplacement=false"),
        ({"ipv6": {"enabled": True}}, "ipv4.enabled=true, ipv6.enabled=true"),
        ({"ipv4": {"enabled": False}}, "ipv4.enabled=false, ipv6.enabled=false"),
        ({"encryption": {"enabled": True}}, "encryption.enabled=true"),
    ],
    ids=["ipam", "host", "proxy", "both", "neither", "encryption"],
)
def test_what_it_cannot_do_it_refuses(chart, given, change, said):
    with pytest.raises(CommandFailed, match=said):
        render(chart, {**given, **change})
