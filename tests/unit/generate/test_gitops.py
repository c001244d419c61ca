"""The files of the stages, as an inventory makes them."""

from typing import Any

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.generate import gitops
from slipway.inventory import Inventory
from slipway.paths import resource
from slipway.stages.model import NAMESPACE, RELEASE, SOURCE


def documents(inventory: Inventory) -> dict[str, Any]:
    return {str(path): yaml.safe_load(text) for path, text in gitops.render(inventory).items()}


def test_there_is_a_file_for_every_template(make):
    templates = resource("templates") / "gitops"
    wanted = {f"gitops/{path.relative_to(templates).with_suffix('')}" for path in templates.rglob("*.j2")}
    assert set(documents(make())) == wanted


def test_every_file_is_one_manifest(make):
    for path, manifest in documents(make()).items():
        assert {"apiVersion", "kind", "metadata"} <= set(manifest), path


def test_the_same_inventory_gives_the_same_bytes(make):
    assert gitops.render(make()) == gitops.render(make())


def test_versions_are_those_of_the_table(make):
    found = documents(make())
    for name, chart in gitops.CHARTS.items():
        spec = found[f"gitops/bootstrap/{name}/{SOURCE}"]["spec"]
        assert spec["url"] == f"{chart.repository}/{chart.name}"
        assert spec["ref"] == {"tag": chart.version}


def test_release_and_source_of_an_app_belong_together(make):
    found = documents(make())
    for name in gitops.CHARTS:
        source, release = (found[f"gitops/bootstrap/{name}/{file}"] for file in (SOURCE, RELEASE))
        assert release["spec"]["chartRef"] == {"kind": "OCIRepository", "name": source["metadata"]["name"]}
        assert release["metadata"]["namespace"] == source["metadata"]["namespace"]
        assert release["spec"]["releaseName"] == name


def test_no_namespace_of_the_stage_can_be_pruned(make):
    found = documents(make())
    namespaces = [manifest for path, manifest in found.items() if path.endswith(NAMESPACE)]
    assert {each["metadata"]["name"] for each in namespaces} == {"flux-system", "gitea", "secrets"}
    for each in namespaces:
        assert each["metadata"]["annotations"] == {"kustomize.toolkit.fluxcd.io/prune": "disabled"}


def test_a_mirror_in_a_registry_is_where_the_cluster_gets_its_charts(make):
    mirrors = {"charts": {"oci://docker.gitea.com/charts": "oci://registry.example.org/mirror/"}}
    found = documents(make({"mirrors": mirrors}))
    assert found[f"gitops/bootstrap/gitea/{SOURCE}"]["spec"]["url"] == "oci://registry.example.org/mirror/gitea"


def test_a_mirror_that_is_a_folder_here_is_no_business_of_the_cluster(make):
    found = documents(make({"mirrors": {"charts": {"oci://docker.gitea.com/charts": "/srv/charts"}}}))
    assert found[f"gitops/bootstrap/gitea/{SOURCE}"]["spec"]["url"] == "oci://docker.gitea.com/charts/gitea"


def test_images_of_flux_come_from_their_mirror(make):
    found = documents(make({"mirrors": {"images": {"ghcr.io/fluxcd": "registry.example.org/fluxcd"}}}))
    instance = found["gitops/bootstrap/flux-instance/fluxinstance.yaml"]
    assert instance["spec"]["distribution"]["registry"] == "registry.example.org/fluxcd"


def test_the_domain_of_the_cluster_reaches_flux_and_gitea(make):
    found = documents(make({"cluster": {"domain": "k8s.example.org"}}))
    assert found["gitops/bootstrap/flux-instance/fluxinstance.yaml"]["spec"]["cluster"]["domain"] == "k8s.example.org"
    values = found[f"gitops/bootstrap/gitea/{RELEASE}"]["spec"]["values"]
    assert values["clusterDomain"] == "k8s.example.org"
    assert values["gitea"]["config"]["server"]["ROOT_URL"] == "http://gitea-http.gitea.svc.k8s.example.org:3000/"


def test_gitea_and_its_volume_agree(make):
    found = documents(make())
    volume = found["gitops/bootstrap/gitea/persistentvolume.yaml"]
    claim = found[f"gitops/bootstrap/gitea/{RELEASE}"]["spec"]["values"]["persistence"]
    assert claim["volumeName"] == volume["metadata"]["name"]
    assert claim["storageClass"] == volume["spec"]["storageClassName"]
    assert claim["size"] == volume["spec"]["capacity"]["storage"]


def test_gitea_lives_on_the_first_machine_that_takes_any_pod(make):
    taints = {"hosts": {"w1": {"taints": ["a=b:NoSchedule"]}, "w2": {"address": "10.0.0.22", "role": "worker"}}}
    assert gitops.gitea_node(make()) == "w1"
    assert gitops.gitea_node(make(taints)) == "w2"


def test_without_a_machine_for_pods_there_is_no_first_git_server(make):
    with pytest.raises(InvalidInput, match="no host without taints runs pods"):
        gitops.render(make({"hosts": {"w1": {"taints": ["a=b:NoSchedule"]}}}))


@pytest.mark.parametrize("text", ['a"b', "a'b", "a: b", "#{ x }#", "{{ x }}", "${x}", "a\\b", "- x", "ä <&> ☸"])
def test_free_text_arrives_as_it_was_written(make, text):
    found = documents(make({"mirrors": {"images": {"ghcr.io/fluxcd": text}}}))
    assert found["gitops/bootstrap/flux-instance/fluxinstance.yaml"]["spec"]["distribution"]["registry"] == text
