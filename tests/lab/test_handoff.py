"""What the hand-off leaves in a real cluster, and how it mends what somebody broke since."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab.harness import Cluster

from slipway.events import Events
from slipway.lab import images
from slipway.lab.builds import FLUX
from slipway.secret import Secret
from slipway.secrets import store
from slipway.stages import handoff as handoffs
from slipway.stages import proof, readiness, repository
from slipway.stages.model import as_list
from slipway.tools import helm, kubectl, sops
from slipway.wait import wait_until

pytestmark = pytest.mark.lab

PRUNE = "kustomize.toolkit.fluxcd.io/prune"
PORT = 13000
API = f"http://127.0.0.1:{PORT}/api/v1"


def handoff(cluster: Cluster) -> dict[str, str]:
    """Hand over again; each step and how it ended."""
    result = cluster.repository.slipway("handoff", "--json").ended(0).json
    return {step["step"]: step["state"] for step in result["steps"]}


def secret(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes]:
    data = cluster.get("secrets", name, namespace)["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def repository_secret(cluster: Cluster, name: Path) -> dict[str, bytes]:
    data = yaml.safe_load(store.decrypt(cluster.root, name).reveal())["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def resources(cluster: Cluster) -> dict[str, str]:
    """What the hand-off is about, by name: the generation of what runs, the version of what does not."""
    found = {}
    for kind in ("deployments", "namespaces", "persistentvolumes", "secrets", "fluxinstances.fluxcd.controlplane.io"):
        words = ["get", kind, "--all-namespaces", "--output=json"]
        for item in json.loads(cluster.kubectl(*words))["items"]:
            about = item["metadata"]
            found[f"{kind} {about.get('namespace', '')} {about['name']}"] = (
                str(about["generation"]) if kind == "deployments" else about["resourceVersion"]
            )
    return found


def test_the_controllers_of_flux_are_the_real_ones_and_ready(cluster):
    found = cluster.get("deployments", namespace="flux-system", selector="app.kubernetes.io/part-of=flux")["items"]
    running = {item["metadata"]["name"]: item for item in found}
    assert set(running) == set(FLUX)
    for name, item in running.items():
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["image"] == images.references()[name]
        assert item["status"]["readyReplicas"] == 1


def test_the_patches_of_the_instance_reached_the_controllers(cluster):
    found = cluster.get("deployments", "kustomize-controller", "flux-system")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert {"--requeue-dependency=5s", "--sops-age-secret=sops-age"} <= set(container["args"])
    (container,) = cluster.get("deployments", "helm-controller", "flux-system")["spec"]["template"]["spec"][
        "containers"
    ]
    assert "--feature-gates=DisableChartDigestTracking=true" in container["args"]


def test_flux_looks_for_the_repository_in_the_git_server_from_the_start(cluster):
    """Source and root Kustomization, with what the FluxInstance's patches add to them."""
    source = cluster.get("gitrepositories.source.toolkit.fluxcd.io", "flux-system", "flux-system")["spec"]
    assert source["url"] == "http://gitea-http.gitea.svc.cluster.local:3000/ops/lab.git"
    assert source["secretRef"] == {"name": "git-reader"}
    root = cluster.get("kustomizations.kustomize.toolkit.fluxcd.io", "flux-system", "flux-system")["spec"]
    assert (root["path"], root["prune"], root["deletionPolicy"]) == ("gitops/flux", False, "Orphan")
    assert root["decryption"] == {"provider": "sops"}


def test_what_is_handed_over_belongs_to_the_controller_that_takes_it(cluster):
    """Under another name Flux would never remove what Git drops; and the operator's own annotation is left to it."""
    assert cluster.get("namespaces", "flux-system")["metadata"]["annotations"][PRUNE] == "Disabled"
    about = ["get", "namespace", "gitea", "--show-managed-fields", "--output=json"]
    fields = json.loads(cluster.kubectl(*about))["metadata"]["managedFields"]
    assert {each["manager"] for each in fields if PRUNE in json.dumps(each)} == {"kustomize-controller"}


def test_pods_of_charts_restart_with_another_version_of_the_chart(cluster):
    """As with upstream's charts, or the lab would prove nothing about the takeover."""
    labels = cluster.get("deployments", "gitea", "gitea")["spec"]["template"]["metadata"]["labels"]
    assert labels["helm.sh/chart"].startswith("gitea-")


def test_the_age_key_in_the_cluster_is_the_repositorys(cluster):
    assert secret(cluster, "flux-system", "sops-age") == repository_secret(cluster, store.AGE_KEY)
    about = ["get", "secret", "sops-age", "--namespace=flux-system", "--show-managed-fields"]
    managers = cluster.kubectl(*about, "--output=jsonpath={.metadata.managedFields[*].manager}")
    assert set(managers.split()) == {"slipway"}


def test_the_cluster_takes_the_manifests_of_all_stages(cluster, tmp_path):
    """Every kind that the lab's API server knows, Flux's own too: checked by it, strictly, and not kept."""
    whole = cluster.repository.copy(tmp_path / "whole")
    inventory = whole.root / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("until: bootstrap", "until: cluster-apps"))
    whole.slipway("generate").ended(0)
    served = {line.split()[-1] for line in cluster.kubectl("api-resources", "--no-headers").splitlines()}
    manifests = [each for each in of_stages(whole.root) if each["kind"] in served]
    for each in manifests:
        if each["metadata"].get("namespace"):
            each["metadata"]["namespace"] = "default"  # its own may come with a later stage
    assert {"Job", "CronJob", "HelmRelease", "Kustomization", "FluxInstance", "Receiver"} <= {
        each["kind"] for each in manifests
    }
    argv = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"]
    argv += ["--field-manager=test", "--filename=-"]
    assert len(cluster.kubectl(*argv, input=as_list(tuple(manifests))).splitlines()) == len(manifests)


def of_stages(root: Path) -> list[dict[str, Any]]:
    paths = [path for path in sorted((root / "gitops").rglob("*.yaml")) if "components" not in path.parts]
    found = [each for path in paths for each in yaml.safe_load_all(path.read_text())]
    return [
        each
        for each in found
        if not each["apiVersion"].startswith("kustomize.config") and each["metadata"]["name"] != "volume"
    ]


def test_a_second_hand_off_changes_nothing(cluster):
    before = resources(cluster)
    assert set(handoff(cluster).values()) == {"unchanged"}
    assert resources(cluster) == before


def test_a_secret_that_somebody_deleted_comes_back(cluster):
    cluster.kubectl("delete", "secret", "sops-age", "--namespace=flux-system")
    states = handoff(cluster)
    assert {name for name, state in states.items() if state != "unchanged"} == {"credentials"}
    assert secret(cluster, "flux-system", "sops-age") == repository_secret(cluster, store.AGE_KEY)


def test_a_chart_that_somebody_uninstalled_comes_back_with_its_data(cluster):
    helm.helm(cluster.kubeconfig, "uninstall", "gitea", "--namespace=gitea", "--wait")
    states = handoff(cluster)
    # It is Flux's release by now: Flux is asked to bring it back, and would not have looked for an hour.
    assert states["git-chart"] == "ok"
    assert states["git-server"] in ("ok", "unchanged")
    assert cluster.get("deployments", "gitea", "gitea")["status"]["readyReplicas"] == 1
    assert cluster.get("persistentvolumes", "gitea-bootstrap")["status"]["phase"] == "Bound"


BLOCKED_CHART = {
    "Chart.yaml": "{apiVersion: v2, name: blocked, version: 1.0.0}",
    "templates/hook.yaml": """
apiVersion: batch/v1
kind: Job
metadata:
  name: blocked
  annotations: {helm.sh/hook: pre-install}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: wait, image: docker.io/library/busybox:stable, command: [sleep, "600"]}]
""",
}


def test_a_release_whose_helm_was_killed_is_seen_and_taken_back(cluster, tmp_path):
    for name, text in BLOCKED_CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def pending() -> tuple[helm.Release | None, str]:
        found = helm.get(cluster.kubeconfig, "gitea", "blocked")
        return (found, "") if found and found.interrupted else (None, str(found))

    with cluster.under_way("helm", "install", "blocked", str(tmp_path), "--namespace=gitea"):
        release = wait_until(pending, deadline=60, describe="the release pending")
    with pytest.raises(helm.AtWork):
        helm.put_right(cluster.kubeconfig, "gitea", release)
    helm.put_right(cluster.kubeconfig, "gitea", replace(release, since=release.since - helm.LONGEST_WORK))
    cluster.kubectl("delete", "job", "blocked", "--namespace=gitea", "--ignore-not-found")
    assert helm.get(cluster.kubeconfig, "gitea", "blocked") is None


def head(cluster: Cluster) -> str:
    return cluster.repository.git("rev-parse", "HEAD").strip()


def read_by_flux(cluster: Cluster) -> str:
    return repository.revision_of(cluster.get(*repository.SOURCE, "flux-system"))


def test_flux_runs_the_stage_from_the_commit_of_the_checkout(cluster):
    assert read_by_flux(cluster) == head(cluster)
    found = cluster.get("kustomizations.kustomize.toolkit.fluxcd.io", namespace="flux-system")["items"]
    ready = {each["metadata"]["name"]: readiness.condition(each) for each in found}
    apps = {"cilium", "flux-operator", "flux-instance", "secrets", "gitea", "git-repository", "git-webhook"}
    assert ready == dict.fromkeys({"flux-system", "bootstrap", *apps}, "")


def test_cilium_is_fluxs_without_a_new_agent(cluster):
    """The release keeps its history, and no pod was started for the takeover."""
    history = json.loads(helm.helm(cluster.kubeconfig, "history", "cilium", "-n", "kube-system", "-o", "json").stdout)
    assert history[0]["revision"] == 1
    assert len(history) > 1
    agents = cluster.get("daemonsets", "cilium", "kube-system")
    assert "helm.toolkit.fluxcd.io/name" in agents["metadata"]["labels"]
    assert agents["metadata"]["generation"] == 1
    pods = cluster.get("pods", namespace="kube-system", selector="k8s-app=cilium")["items"]
    assert {pod["metadata"]["labels"]["pod-template-generation"] for pod in pods} == {"1"}


def test_a_commit_is_applied_because_flux_was_called(cluster, tmp_path):
    """As the last step of the hand-off does it, which has left word of it."""
    assert cluster.get("configmaps", "slipway-handoff", "flux-system")["data"]["word"]
    site = handoffs.site_of(cluster.inventory, cluster.kubeconfig, cluster.pool, Events())
    assert proof.measure(site) < proof.DEADLINE
    assert not repository.push(site), "the Git server has the checkout's commit again"


def test_a_git_server_that_is_killed_before_the_push_is_waited_for(cluster):
    """And so is the commit that Flux has to read from it."""
    (cluster.root / "notes").write_text("one commit more\n")
    cluster.kubectl("delete", "pod", "--namespace=gitea", "--selector=app.kubernetes.io/instance=gitea", "--force")
    states = handoff(cluster)
    assert (states["push"], states["bootstrap"]) == ("ok", "ok")
    assert read_by_flux(cluster) == head(cluster)


def test_controllers_of_flux_that_are_killed_go_on_where_they_were(cluster):
    (cluster.root / "notes").write_text("and another one\n")
    names = "app in (source-controller, kustomize-controller)"
    cluster.kubectl("delete", "pod", "--namespace=flux-system", f"--selector={names}", "--force")
    states = handoff(cluster)
    assert states["push"] == "ok"
    assert read_by_flux(cluster) == head(cluster)


def test_a_machine_without_the_clusters_key_is_told_before_anything_is_applied(cluster, tmp_path, monkeypatch):
    before = resources(cluster)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    refused = cluster.repository.slipway("handoff").ended(12)
    assert "none of the age keys on this machine opens it" in refused.err
    assert resources(cluster) == before


def test_an_older_checkout_is_refused_before_anything_is_applied(cluster, tmp_path):
    older = cluster.repository.copy(tmp_path / "older")
    older.git("reset", "--hard", "--quiet", "HEAD~1")
    older.git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--allow-empty", "-qm", "Another way")
    before = resources(cluster)
    refused = older.slipway("handoff").ended(6)
    assert "does not contain it" in refused.err
    assert "git pull" in refused.err
    assert resources(cluster) == before


Api = Callable[..., Any]


@pytest.fixture
def gitea(cluster: Cluster) -> Iterator[Api]:
    """`gitea(method, path, body)`: Gitea's API as its first user, with the password of the repository's secret."""
    # Another repository may have handed over before: its password is taken over with the next start.
    cluster.kubectl("rollout", "restart", "deployment/gitea", "--namespace=gitea")
    cluster.kubectl("rollout", "status", "deployment/gitea", "--namespace=gitea", "--timeout=120s", timeout=130)
    admin = repository_secret(cluster, store.GITEA_ADMIN)
    basic = base64.b64encode(admin["username"] + b":" + admin["password"]).decode()
    with cluster.under_way("kubectl", "port-forward", "--namespace=gitea", "service/gitea-http", f"{PORT}:3000"):

        def call(method: str, path: str, body: Any = None) -> Any:
            headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(API + path, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")

        def ready() -> tuple[bool | None, str]:
            try:
                call("GET", "/version")
            except OSError as error:
                return None, str(error)
            return True, ""

        wait_until(ready, deadline=60, describe="Gitea through the port-forward")
        yield call


def test_the_first_user_signs_in_with_the_password_of_the_repository(gitea):
    assert gitea("GET", "/user")["is_admin"] is True


def test_organisation_repository_and_reader_are_there(cluster, gitea):
    repository = gitea("GET", "/repos/ops/lab")
    assert (repository["private"], repository["empty"], repository["default_branch"]) == (True, False, "main")
    assert gitea("GET", "/repos/ops/lab/collaborators/flux/permission")["permission"] == "read"
    secret_of = {namespace: secret(cluster, namespace, "git-reader") for namespace in ("flux-system", "gitea")}
    assert secret_of["flux-system"] == secret_of["gitea"] == repository_secret(cluster, store.GIT_READER)


def test_flux_decrypts_with_the_key_of_the_hand_off(cluster, gitea):
    """The two halves together: a repository in Gitea, whose encrypted Secret Flux applies in the clear."""
    plain = store.kubernetes_secret("secrets", "trial", {"word": b"swordfish"})
    encrypted = sops.encrypt(plain, cluster.root, Path("gitops/trial.sops.yaml"))
    gitea("POST", "/user/repos", {"name": "trial", "private": True, "auto_init": True, "default_branch": "main"})
    try:
        content = base64.b64encode(encrypted).decode()
        body = {"content": content, "message": "Add a secret", "branch": "main"}
        gitea("POST", f"/repos/{store.GITEA_USER}/trial/contents/trial.sops.yaml", body)
        kubectl.apply(cluster.kubeconfig, trial_objects(cluster))
        wait_for_secret(cluster)
        assert secret(cluster, "secrets", "trial") == {"word": b"swordfish"}
    finally:
        cluster.kubectl("delete", "--filename=-", "--ignore-not-found", input=trial_objects(cluster))
        gitea("DELETE", f"/repos/{store.GITEA_USER}/trial")


def wait_for_secret(cluster: Cluster) -> None:
    def there() -> tuple[bool | None, str]:
        if cluster.get("secrets", "trial", "secrets"):
            return True, ""
        states = [
            cluster.get(kind, "trial", "flux-system").get("status") for kind in ("gitrepository", "kustomization")
        ]
        return None, json.dumps(states)

    wait_until(there, deadline=120, describe="the Secret that Flux decrypts", interval=1.0)


def trial_objects(cluster: Cluster) -> Secret:
    admin = repository_secret(cluster, store.GITEA_ADMIN)
    about = {"name": "trial", "namespace": "flux-system"}
    source = {
        "url": f"http://gitea-http.gitea.svc.{cluster.inventory.cluster.domain}:3000/{store.GITEA_USER}/trial.git",
        "interval": "1m",
        "ref": {"branch": "main"},
        "secretRef": {"name": "trial"},
    }
    sync = {
        "interval": "1m",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "trial"},
        # Without a secretRef: the key is the one that the controllers were given at the hand-off.
        "decryption": {"provider": "sops"},
    }
    items = [
        json.loads(store.kubernetes_secret("flux-system", "trial", admin).reveal()),
        {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": about, "spec": source},
        {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": about, "spec": sync},
    ]
    return Secret(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
