"""The files of the stages, as an inventory makes them."""

from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.generate import cilium, gitops
from slipway.generate.gitops import apps, values
from slipway.generate.gitops.beside import Beside
from slipway.inventory import Inventory

BACKUP = {"repository": "s3:https://s3.example.org/backups"}
EVERYTHING: dict[str, Any] = {
    "mode": "install",
    "backup": BACKUP,
    "gateway": {"enabled": "true", "domain": "example.org"},
    "loadBalancer": {"pools": ["10.0.0.200/29"]},
    "certManager": {"enabled": "true", "email": "a@example.org"},
    "externalDns": {"enabled": "true"},
    "monitoring": "prometheus",
    "cloudNativePg": "true",
    "registryMirror": "true",
}


def manifests(inventory: Inventory, around: Beside = gitops.NOTHING) -> dict[str, list[Any]]:
    key = (id(inventory), around)
    if key not in _read:
        files = gitops.render(inventory, around).items()
        found = {str(path): list(yaml.load_all(text, Loader=yaml.CSafeLoader)) for path, text in files}
        _read[key] = inventory, found
    return _read[key][1]


_read: dict[tuple[int, Beside], tuple[Inventory, dict[str, list[Any]]]] = {}
"""With the inventory, so that no other gets its number."""


def one(inventory: Inventory, path: str) -> Any:
    (found,) = manifests(inventory)[f"gitops/{path}"]
    return found


def flux_kustomizations(inventory: Inventory, stage: str = "*") -> dict[str, Any]:
    """The Flux Kustomizations of a stage's apps by their names."""
    found = manifests(inventory)
    paths = [path for path in found if PurePosixPath(path).match(f"gitops/{stage}/*/ks.yaml")]
    return {each["metadata"]["name"]: each["spec"] for path in paths for each in found[path]}


def of_kind(inventory: Inventory, kind: str) -> dict[str, Any]:
    """Objects of a kind by their path."""
    return {path: each for path, found in manifests(inventory).items() for each in found if each["kind"] == kind}


@pytest.fixture
def everything(make):
    return make({"stages": EVERYTHING})


# --- the tree --------------------------------------------------------------------------------------------------------


def test_every_file_holds_manifests(everything):
    for path, found in manifests(everything).items():
        for each in found:
            assert {"apiVersion", "kind"} <= set(each), path


def test_the_same_inventory_gives_the_same_bytes(make):
    assert gitops.render(make({"stages": EVERYTHING})) == gitops.render(make({"stages": EVERYTHING}))


def test_every_app_has_the_same_files(everything):
    found = manifests(everything)
    for app in apps.of(everything):
        assert f"{app.folder}/ks.yaml" in found
        assert f"{app.folder}/app/kustomization.yaml" in found
        if app.chart:
            assert f"{app.folder}/app/helmrelease.yaml" in found
        if app.security:
            assert f"{app.folder}/{'namespace' if app.volumes else 'app'}/namespace.yaml" in found


def test_what_a_kustomization_names_is_there(everything):
    found = set(manifests(everything))
    for path, (build, *_) in manifests(everything).items():
        if path.endswith("/kustomization.yaml"):
            folder = PurePosixPath(path).parent
            for name in build.get("resources", []):
                assert str(folder / name) in found, path
            for name in build.get("components", []):
                if "components" in folder.parts:
                    assert f"gitops/components/{name.removeprefix('../')}/kustomization.yaml" in found, path
                    continue
                up, _, rest = name.partition("components/")
                assert up == "../" * (len(folder.parts) - 1), path
                assert f"gitops/components/{rest}/kustomization.yaml" in found, path


def test_every_file_of_an_app_is_named_by_its_kustomization(everything):
    found = manifests(everything)
    for path in found:
        folder, name = PurePosixPath(path).parent, PurePosixPath(path).name
        if len(folder.parts) == 4 and name != "kustomization.yaml":
            assert name in found[str(folder / "kustomization.yaml")][0]["resources"], path


def test_flux_reads_one_kustomization_a_stage_each_after_the_one_before(make):
    stages = {name: one(make(), f"flux/{name}.yaml")["spec"] for name in apps.STAGES}
    assert {name: spec["path"] for name, spec in stages.items()} == {name: f"./gitops/{name}" for name in apps.STAGES}
    before = [spec.get("dependsOn", [{"name": None}])[0]["name"] for spec in stages.values()]
    assert before == [None, "bootstrap", "cluster-base-apps"]


def test_a_stage_lists_its_apps(everything):
    for stage in apps.STAGES:
        wanted = {f"{app.name}/ks.yaml" for app in apps.in_stage(everything, stage)}
        assert set(one(everything, f"{stage}/kustomization.yaml")["resources"]) == wanted


def test_stages_end_with_no_file(make):
    """What is taken out of Git by mistake goes on running: nothing is pruned with a stage, and the stage neither."""
    for name in apps.STAGES:
        stage = one(make(), f"flux/{name}.yaml")
        assert stage["spec"]["deletionPolicy"] == "Orphan"
        assert stage["metadata"]["annotations"] == {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    assert {spec["deletionPolicy"] for spec in flux_kustomizations(make(), "bootstrap").values()} == {"Orphan"}


def test_the_health_of_no_app_is_asked_with_the_list_of_kinds_that_all_share(everything):
    """One whose groups keep the versions that they had when they were first seen."""
    found = [each for every in manifests(everything).values() for each in every if each["kind"] == "Kustomization"]
    specs = {each["metadata"]["name"]: each["spec"] for each in found if "toolkit" in each["apiVersion"]}
    accounts = {name: spec.get("serviceAccountName") for name, spec in specs.items() if spec["wait"]}
    assert {"gitea", "crds-gateway-api", "stores", "openbao-snapshots-backup", "sample"} <= set(accounts)
    assert set(accounts.values()) == {"kustomize-controller"}
    stages = set(specs) - set(accounts)
    assert stages == set(apps.STAGES)
    asked = {each["kind"] for name in stages for each in specs[name]["healthChecks"]}
    assert asked == {"Kustomization"}, "a kind that is there before any of them"


def test_a_cluster_may_end_with_an_earlier_stage(make):
    found = gitops.render(make({"stages": {"until": "cluster-base-apps"}}))
    assert {path.name for path in found if path.parts[1] == "flux"} == {"bootstrap.yaml", "cluster-base-apps.yaml"}
    assert not [path for path in found if path.parts[1] == "cluster-apps"]


def test_charts_of_a_registry_without_tls_are_asked_for_so(make):
    mirrors = {"charts": {"oci://docker.gitea.com/charts": "oci+http://10.0.0.1:5000/charts"}}
    found = one(make({"mirrors": mirrors}), "bootstrap/gitea/app/ocirepository.yaml")["spec"]
    assert (found["url"], found["insecure"]) == ("oci://10.0.0.1:5000/charts/gitea", True)
    assert "insecure" not in one(make(), "bootstrap/gitea/app/ocirepository.yaml")["spec"]


def test_a_stage_waits_for_a_short_list(make):
    stage = one(make(), "flux/bootstrap.yaml")["spec"]
    assert stage["wait"] is False
    gates = [each["name"] for each in stage["healthChecks"]]
    assert gates == ["flux-operator", "flux-instance", "secrets", "gitea", "git-repository", "git-webhook"]


# --- order -----------------------------------------------------------------------------------------------------------


MODES = ("install", "restore", "restore-only", "none")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("code", ["forgejo", "gitlab", "none"])
def test_apps_wait_for_what_is_there_and_earlier_and_never_in_a_circle(make, mode, code):
    inventory = make({"stages": {**EVERYTHING, "mode": mode, "codeHosting": {"kind": code, "gitlab": "10"}}})
    done: set[str] = set()
    for stage in apps.STAGES:
        left = flux_kustomizations(inventory, stage)
        while left:
            ready = {name for name, spec in left.items() if {one["name"] for one in spec.get("dependsOn", [])} <= done}
            assert ready, {name: spec["dependsOn"] for name, spec in left.items()}
            done |= ready
            left = {name: spec for name, spec in left.items() if name not in ready}


def test_every_kustomization_waits_tries_again_and_gives_up(everything):
    for name, spec in flux_kustomizations(everything).items():
        assert (spec["wait"], spec["retryInterval"]) == (True, "1m"), name
        assert spec["timeout"].endswith(("m", "h")), name
        assert spec["decryption"] == {"provider": "sops"}, name


def test_the_order_of_the_base_apps(make):
    order = flux_kustomizations(make({"stages": {"mode": "restore", "backup": BACKUP}}), "cluster-base-apps")
    before = {name: [one["name"] for one in spec.get("dependsOn", [])] for name, spec in order.items()}
    assert before["volsync"] == ["crds", "storage"]
    assert before["openbao-snapshots"] == ["openbao-namespace", "volsync"]
    assert before["openbao"] == ["openbao-snapshots"]
    assert before["openbao-restore"] == ["openbao"]
    assert before["stores"] == ["external-secrets", "openbao-restore"]
    assert before["forgejo-dumps"] == ["forgejo-namespace", "volsync", "stores"]
    assert before["forgejo"] == ["stores", "forgejo-dumps"]
    assert before["forgejo-dumps-backup"] == ["forgejo-dumps", "forgejo"]


# --- charts and images -----------------------------------------------------------------------------------------------


def test_versions_are_those_of_the_table(everything):
    charts = {(chart.url, chart.version) for chart in gitops.CHARTS.values()}
    sources = of_kind(everything, "OCIRepository")
    assert len(sources) >= 11
    for path, source in sources.items():
        assert (source["spec"]["url"], source["spec"]["ref"]["tag"]) in charts, path


def test_release_and_source_of_an_app_belong_together(everything):
    found = manifests(everything)
    for path, release in of_kind(everything, "HelmRelease").items():
        spec, folder = release["spec"], PurePosixPath(path).parent
        name = "ocirepository.yaml" if "chartRef" in spec else "helmrepository.yaml"
        (source,) = found[str(folder / name)]
        reference = spec["chartRef"] if "chartRef" in spec else spec["chart"]["spec"]["sourceRef"]
        assert reference == {"kind": source["kind"], "name": source["metadata"]["name"]}, path
        assert release["metadata"]["namespace"] == source["metadata"]["namespace"], path
        assert spec["releaseName"] == release["metadata"]["name"], path


def test_an_inventory_may_take_another_version(make):
    digest = "sha256:" + "ab" * 32
    inventory = make(
        {"stages": {"charts": {"gitea": f"12.8.0@{digest}", "volsync": "0.17.0", "gateway-api": "v1.9.9"}}}
    )
    assert one(inventory, "bootstrap/gitea/app/ocirepository.yaml")["spec"]["ref"] == {
        "tag": "12.8.0",
        "digest": digest,
    }
    release = one(inventory, "cluster-base-apps/volsync/app/helmrelease.yaml")
    assert release["spec"]["chart"]["spec"]["version"] == "0.17.0"
    found = manifests(inventory)["gitops/cluster-base-apps/crds/app/gateway-api.yaml"]
    assert found[0]["spec"]["ref"] == {"tag": "v1.9.9"}


def test_an_inventory_may_take_another_image(make):
    found = make({"stages": {"images": {"gitea": "1.27.3-rootless"}}})
    job = one(found, "bootstrap/git-repository/app/job.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "docker.gitea.com/gitea:1.27.3-rootless"


def test_a_mirror_in_a_registry_is_where_the_cluster_gets_its_charts(make):
    inventory = make({"mirrors": {"charts": {"oci://docker.gitea.com/charts": "oci://registry.example.org/mirror/"}}})
    source = one(inventory, "bootstrap/gitea/app/ocirepository.yaml")
    assert source["spec"]["url"] == "oci://registry.example.org/mirror/gitea"


def test_a_mirror_that_is_a_folder_here_is_no_business_of_the_cluster(make):
    inventory = make({"mirrors": {"charts": {"oci://docker.gitea.com/charts": "/srv/charts"}}})
    source = one(inventory, "bootstrap/gitea/app/ocirepository.yaml")
    assert source["spec"]["url"] == "oci://docker.gitea.com/charts/gitea"


def test_crds_come_from_git_or_as_an_artifact_of_a_mirror(make):
    path = "gitops/cluster-base-apps/crds/app/gateway-api.yaml"
    source, kustomization = manifests(make({}))[path]
    assert (source["kind"], source["spec"]["url"]) == (
        "GitRepository",
        "https://github.com/kubernetes-sigs/gateway-api",
    )
    assert kustomization["spec"]["path"] == "./config/crd/standard"
    url = "https://github.com/kubernetes-sigs/gateway-api"
    mirrors = {"charts": {url: "oci+http://10.0.0.1:5000/charts/"}}
    source, kustomization = manifests(make({"mirrors": mirrors, "stages": {"charts": {"gateway-api": "v1.5.0"}}}))[path]
    assert source["kind"] == kustomization["spec"]["sourceRef"]["kind"] == "OCIRepository"
    assert source["spec"] == {
        "interval": "12h", "url": "oci://10.0.0.1:5000/charts/gateway-api", "insecure": True, "ref": {"tag": "v1.5.0"},
    }  # fmt: skip
    assert kustomization["spec"]["path"] == "./"
    other = manifests(make({"mirrors": mirrors}))["gitops/cluster-base-apps/crds/app/prometheus-operator.yaml"]
    assert other[0]["kind"] == "GitRepository"


def test_stores_are_healthy_once_their_controller_has_said_so(everything):
    checks = flux_kustomizations(everything)["stores"]["healthCheckExprs"]
    assert {check["kind"] for check in checks} == {"ClusterSecretStore", "ExternalSecret"}
    assert all("has(status.conditions)" in check["current"] for check in checks)


def test_a_secret_out_of_openbao_is_part_of_the_stage(everything):
    found = manifests(everything)["gitops/cluster-base-apps/stores/app/stores.yaml"]
    (known,) = [each for each in found if each["kind"] == "ExternalSecret"]
    assert known["spec"]["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "openbao"}
    assert known["spec"]["data"] == [
        {"secretKey": "cluster", "remoteRef": {"key": "slipway", "property": "cluster"}}
    ]  # fmt: skip


def test_the_first_snapshot_of_openbao_is_made_at_once_and_never_over_one_that_is_to_be_restored(everything):
    found = manifests(everything)["gitops/cluster-base-apps/openbao/app/snapshots.yaml"]
    (job,) = [each for each in found if each["kind"] == "Job"]
    (cron,) = [each for each in found if each["kind"] == "CronJob"]
    once, daily = job["spec"]["template"]["spec"], cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert once["containers"][0]["command"][-1].startswith("[ ! -s /snapshots/openbao.snap ] || exit 0\n")
    assert "exit 0" not in daily["containers"][0]["command"][-1]
    for spec in (once, daily):
        assert "raft snapshot save /snapshots/new.snap" in spec["containers"][0].pop("command")[-1]
    assert once == daily


@pytest.mark.parametrize(
    ("mode", "verified", "stands"),
    [
        ("install", "false", False),
        ("restore", "false", True),
        ("restore", "true", False),
        ("restore-only", "false", True),
    ],
)
def test_snapshots_stand_still_until_what_was_restored_was_looked_at(mode, verified, stands, make):
    inventory = make({"stages": {"mode": mode, "backup": {**BACKUP, "verified": verified}}})
    found = manifests(inventory)["gitops/cluster-base-apps/openbao/app/snapshots.yaml"]
    (cron,) = [each for each in found if each["kind"] == "CronJob"]
    assert cron["spec"].get("suspend", False) is stands


def test_images_of_the_first_stage_come_from_their_mirrors(make):
    inventory = make({"mirrors": {"images": {
        "ghcr.io/fluxcd": "registry.example.org/fluxcd",
        "ghcr.io/controlplaneio-fluxcd": "registry.example.org/operator",
        "docker.gitea.com": "registry.example.org/gitea",
        "quay.io": "registry.example.org/quay",
    }}})  # fmt: skip
    distribution = one(inventory, "bootstrap/flux-instance/app/fluxinstance.yaml")["spec"]["distribution"]
    assert distribution["registry"] == "registry.example.org/fluxcd"
    # Whose digests flux-operator is to look up; without it they are pulled by tag.
    assert distribution["variant"] == "upstream-alpine"
    operator = release_values(inventory, "flux-operator")
    assert operator["image"]["repository"] == "registry.example.org/operator/flux-operator"
    gitea = release_values(inventory, "gitea")["image"]
    assert gitea == {"registry": "registry.example.org", "repository": "gitea/gitea"}
    network = release_values(inventory, "cilium")
    assert network["image"] == {"repository": "registry.example.org/quay/cilium/cilium", "useDigest": False}
    assert network["operator"]["image"]["repository"] == "registry.example.org/quay/cilium/operator"
    assert network["envoy"]["image"]["repository"] == "registry.example.org/quay/cilium/cilium-envoy"


def test_without_a_mirror_digests_stay_with_their_makers(make):
    assert "variant" not in one(make(), "bootstrap/flux-instance/app/fluxinstance.yaml")["spec"]["distribution"]
    assert "image" not in release_values(make(), "gitea")
    assert "image" not in release_values(make(), "flux-operator")
    assert "image" not in release_values(make(), "cilium")


def release_values(inventory: Inventory, app: str, stage: str = "bootstrap") -> Any:
    return one(inventory, f"{stage}/{app}/app/helmrelease.yaml")["spec"]["values"]


# --- the stage bootstrap ---------------------------------------------------------------------------------------------


def test_what_holds_the_other_stages_is_never_pruned(everything):
    prune = "kustomize.toolkit.fluxcd.io/prune"
    found = manifests(everything)
    kinds = ("Namespace", "HelmRelease", "OCIRepository", "PersistentVolume", "FluxInstance")
    for path, documents in found.items():
        for each in documents if path.startswith("gitops/bootstrap/") else ():
            if each["kind"] in kinds and each["metadata"]["name"] != "flux-system":
                assert each["metadata"]["annotations"][prune] == "disabled", path


def test_the_operator_alone_says_what_becomes_of_its_namespace(make):
    """It forces an annotation of its own, and any other value would be a conflict with it."""
    assert "annotations" not in one(make(), "bootstrap/flux-operator/app/namespace.yaml")["metadata"]


def test_cilium_is_taken_over_as_it_was_brought_up(make):
    inventory = make({"stages": {"charts": {"cilium": "1.20.2"}}})
    release = one(inventory, "bootstrap/cilium/app/helmrelease.yaml")
    assert (release["metadata"]["name"], release["metadata"]["namespace"]) == (cilium.RELEASE, cilium.NAMESPACE)
    assert release["spec"]["values"] == cilium.values(inventory)
    source = one(inventory, "bootstrap/cilium/app/ocirepository.yaml")
    assert source["spec"]["ref"]["tag"] == "1.20.2" == cilium.chart(inventory).version


def test_another_network_is_k0ss_own(make):
    found = manifests(make({"cluster": {"network": {"provider": "calico"}}}))
    assert not any("cilium" in path for path in found)


def test_helm_releases_own_what_their_first_installation_has_set(everything):
    for path, release in of_kind(everything, "HelmRelease").items():
        assert release["spec"]["driftDetection"] == {"mode": "enabled"}, path
    assert "--override-manager=helm" in patches(everything, "helm-controller")


def patches(inventory: Inventory, name: str) -> list[Any]:
    """The values that the FluxInstance's patches add to what `name` says."""
    instance = one(inventory, "bootstrap/flux-instance/app/fluxinstance.yaml")
    found = [each for each in instance["spec"]["kustomize"]["patches"] if each["target"]["name"] == name]
    return [step["value"] for each in found for step in yaml.safe_load(each["patch"])]


def test_the_takeover_restarts_no_pod(make):
    """The label helm.sh/chart of pods has the chart's version, to which the digest would be added."""
    assert "--feature-gates=DisableChartDigestTracking=true" in patches(make(), "helm-controller")


def test_the_web_page_of_the_operator_is_off_unless_asked_for(make):
    assert release_values(make(), "flux-operator")["web"] == {"enabled": False}
    assert release_values(make({"stages": {"flux": {"web": "true"}}}), "flux-operator")["web"] == {"enabled": True}


def sync(inventory: Inventory) -> Any:
    return one(inventory, "bootstrap/flux-instance/app/fluxinstance.yaml")["spec"]["sync"]


def test_flux_syncs_from_the_git_server_from_the_start(make):
    assert sync(make()) == {
        "kind": "GitRepository",
        "name": "flux-system",
        "interval": "1m",
        "url": "http://gitea-http.gitea.svc.cluster.local:3000/ops/small.git",
        "ref": "refs/heads/main",
        "path": "gitops/flux",
        "pullSecret": "git-reader",
    }


def test_the_root_decrypts_and_prunes_nothing(make):
    assert patches(make(), "flux-system") == [{"provider": "sops"}, "Orphan", False, "1m"]


@pytest.mark.parametrize(
    ("source", "kind", "url", "ref", "patched"),
    [
        ({"kind": "git", "url": "https://git.example.org/a.git"}, "GitRepository", "https://git.example.org/a.git",
         "refs/heads/main", []),
        ({"kind": "oci", "url": "oci://r.example.org/a", "insecure": "true"}, "OCIRepository", "oci://r.example.org/a",
         "main", [True]),
        ({"kind": "bucket", "url": "https://s3.example.org/a", "region": "eu"}, "Bucket", "https://s3.example.org", "a",
         ["eu"]),
    ],
    ids=["git", "oci", "bucket"],
)  # fmt: skip
def test_other_sources_need_no_git_server(make, source, kind, url, ref, patched):
    inventory = make({"stages": {"source": {**source, "secret": "pull"}}})
    wanted = sync(inventory)
    assert (wanted["kind"], wanted["url"], wanted["ref"], wanted["pullSecret"]) == (kind, url, ref, "pull")
    assert patches(inventory, "flux-system")[4:] == patched
    found = manifests(inventory)
    assert not any("/gitea/" in path or "git-repository" in path or "git-webhook" in path for path in found)
    assert {spec["sourceRef"]["kind"] for spec in flux_kustomizations(inventory).values()} == {kind}


def test_the_domain_of_the_cluster_reaches_flux_and_gitea(make):
    inventory = make({"cluster": {"domain": "k8s.example.org"}})
    instance = one(inventory, "bootstrap/flux-instance/app/fluxinstance.yaml")
    assert instance["spec"]["cluster"]["domain"] == "k8s.example.org"
    found = release_values(inventory, "gitea")
    assert found["clusterDomain"] == "k8s.example.org"
    assert found["gitea"]["config"]["server"]["ROOT_URL"] == "http://gitea-http.gitea.svc.k8s.example.org:3000/"


@pytest.mark.parametrize("kind", ["gitea", "forgejo"])
def test_the_git_server_and_its_volume_agree(make, kind):
    inventory = make({"stages": {"gitServer": {"kind": kind, "size": "20Gi"}}})
    name = apps.GIT_SERVERS[kind]
    volume = one(inventory, f"bootstrap/{name}/app/persistentvolume.yaml")
    claim = release_values(inventory, name)["persistence"]
    assert claim["volumeName"] == volume["metadata"]["name"]
    assert claim["storageClass"] == volume["spec"]["storageClassName"]
    assert claim["size"] == volume["spec"]["capacity"]["storage"] == "20Gi"
    wanted = claim.get("claimName", "gitea-shared-storage")
    assert volume["spec"]["claimRef"] == {"namespace": name, "name": wanted}


def test_the_volume_of_the_git_server_is_made_and_never_changed(make):
    volume = one(make(), "bootstrap/gitea/app/persistentvolume.yaml")
    assert volume["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/ssa"] == "IfNotPresent"


@pytest.mark.parametrize("kind", ["gitea", "forgejo"])
def test_the_git_server_may_call_flux_and_nobody_else_inside(make, kind):
    found = release_values(make({"stages": {"gitServer": {"kind": kind}}}), apps.GIT_SERVERS[kind])["gitea"]["config"]
    receiver = "webhook-receiver.flux-system.svc.cluster.local"
    assert found["webhook"] == found["security"] == {"ALLOWED_HOST_LIST": receiver}


def test_gitea_has_room_and_is_asked_whether_it_works(make):
    found = release_values(make(), "gitea")
    assert found["resources"]["requests"] == {"cpu": "100m", "memory": "256Mi"}
    assert found["gitea"]["readinessProbe"]["httpGet"]["path"] == "/api/healthz"


def test_the_git_server_lives_where_the_inventory_says_else_on_the_first_machine_that_takes_any_pod(make):
    second = {"w2": {"address": "10.0.0.22", "role": "worker"}}
    assert values.git_node(make()) == "w1"
    assert values.git_node(make({"hosts": {"w1": {"taints": ["a=b:NoSchedule"]}, **second}})) == "w2"
    assert values.git_node(make({"hosts": second, "stages": {"gitServer": {"node": "w2"}}})) == "w2"


def test_without_a_machine_for_pods_there_is_no_first_git_server(make):
    alone = {"hosts": {"w1": {"taints": ["a=b:NoSchedule"]}}}
    with pytest.raises(InvalidInput, match="no host without taints runs pods"):
        gitops.render(make(alone))
    assert gitops.render(make({**alone, "stages": {"source": {"kind": "git", "url": "https://git.example.org/a"}}}))


def test_another_content_is_another_job(make):
    """What a Job runs cannot be changed."""

    def job(changes: Any) -> str:
        return str(one(make(changes), "bootstrap/git-repository/app/job.yaml")["metadata"]["name"])

    assert job({}) == job({})
    assert job({}) != job({"stages": {"gitServer": {"organization": "others"}}})


@pytest.mark.parametrize("text", ['a"b', "a'b", "a: b", "#{ x }#", "{{ x }}", "${x}", "a\\b", "- x", "ä <&> ☸"])
def test_free_text_arrives_as_it_was_written(make, text):
    inventory = make({"mirrors": {"images": {"ghcr.io/fluxcd": text}}})
    instance = one(inventory, "bootstrap/flux-instance/app/fluxinstance.yaml")
    assert instance["spec"]["distribution"]["registry"] == text


# --- what people keep beside -----------------------------------------------------------------------------------------


def test_an_overlay_is_included_where_there_is_one(make):
    around = Beside(overlays=frozenset({"bootstrap/gitea"}))
    build = manifests(make(), around)["gitops/bootstrap/gitea/app/kustomization.yaml"][0]
    assert build["components"][-1] == "../../../../overlays/bootstrap/gitea"
    other = manifests(make(), around)["gitops/bootstrap/flux-instance/app/kustomization.yaml"][0]
    assert "components" not in other


def test_encrypted_secrets_beside_an_app_are_included(make):
    around = Beside(secrets=("cluster-base-apps/openbao/app/openbao-seal.sops.yaml",))
    build = manifests(make(), around)["gitops/cluster-base-apps/openbao/app/kustomization.yaml"][0]
    assert "openbao-seal.sops.yaml" in build["resources"]


def test_apps_that_people_wrote_are_listed_and_those_they_took_over_not_made(make):
    around = Beside(own=("cluster-apps/shop", "cluster-apps/sample"))
    found = manifests(make(), around)
    (stage,) = found["gitops/cluster-apps/kustomization.yaml"]
    assert {"shop/ks.yaml", "sample/ks.yaml"} == set(stage["resources"])
    assert not any(path.startswith("gitops/cluster-apps/sample/") for path in found)
