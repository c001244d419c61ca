"""What the hand-off leaves in a real cluster, and how it mends what somebody broke since."""

from __future__ import annotations

import base64
import json
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from tests.lab.harness import Cluster, Ran, Repository, eventually, sooner_or_later
from tests.unit.report import chromium

from slipway.errors import Interrupted
from slipway.events import Event, Events
from slipway.generate import gitops
from slipway.lab import images
from slipway.lab.builds import FLUX
from slipway.outcome import Outcome
from slipway.secret import Secret
from slipway.secrets import store
from slipway.stages import handoff as handoffs
from slipway.stages import overview, proof, readiness, repository
from slipway.stages.model import as_list
from slipway.stages.reasons import OfCluster
from slipway.tools import git, helm, kubectl, sops
from slipway.verify.gate import GateResult
from slipway.wait import wait_until

pytestmark = pytest.mark.lab

PRUNE = "kustomize.toolkit.fluxcd.io/prune"
PORT = 13000
GITEA = "app.kubernetes.io/instance=gitea"
LONG = 900.0
"""Seconds for what a cluster does by itself, on a machine that has much else to do."""
WAITS = {"flux-operator", "flux", "git-server", "git-repository", "source", "bootstrap", "webhook"}
"""Steps that count as a change also where all that they did was to wait."""
API = f"http://127.0.0.1:{PORT}/api/v1"
TRIAL = {"name": "trial", "namespace": "flux-system"}
GROUP = "trial.slipway.example.org"


def handoff(cluster: Cluster) -> dict[str, str]:
    """Hand over again; each step and how it ended."""
    result = cluster.repository.slipway("handoff", "--json").ended(0).json
    return {step["step"]: step["state"] for step in result["steps"]}


def changed(states: dict[str, str]) -> set[str]:
    """The steps that changed something, and did not only wait."""
    return {name for name, state in states.items() if state != "unchanged"} - WAITS


def changes_nothing(cluster: Cluster) -> None:
    """What Flux and Kubernetes do by themselves meanwhile is nobody's change of ours."""

    def unlike() -> tuple[set[str], bool]:
        before = resources(cluster)
        return set(handoff(cluster).values()), resources(cluster) == before

    sooner_or_later(unlike, ({"unchanged"}, True), "a hand-off with nothing to do")


def refused_without_a_change(cluster: Cluster, do: Callable[[], Ran]) -> Ran:
    refused: list[Ran] = []

    def same() -> bool:
        before = resources(cluster)
        refused.append(do())
        return resources(cluster) == before

    sooner_or_later(same, True, "nothing is changed by what is refused")
    return refused[-1]


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
            if about["name"].startswith("sh.helm."):
                continue  # Flux writes one whenever it looks for drift
            found[f"{kind} {about.get('namespace', '')} {about['name']}"] = (
                str(about["generation"]) if kind == "deployments" else about["resourceVersion"]
            )
    return found


def test_the_controllers_of_flux_are_the_real_ones_and_ready(cluster):
    def running() -> dict[str, Any]:
        found = cluster.get("deployments", namespace="flux-system", selector="app.kubernetes.io/part-of=flux")["items"]
        return {item["metadata"]["name"]: item for item in found}

    assert set(running()) == set(FLUX)
    for name, item in running().items():
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["image"] == images.references()[name]
    # One that lost its lease on a busy machine starts again.
    eventually(lambda: not readiness.workloads(running().values()), "all of them ready", deadline=LONG)


def test_the_patches_of_the_instance_reached_the_controllers(cluster):
    found = cluster.get("deployments", "kustomize-controller", "flux-system")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert {"--requeue-dependency=2s", "--sops-age-secret=sops-age"} <= set(container["args"])
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
    changes_nothing(cluster)


def test_a_secret_that_somebody_deleted_comes_back(cluster):
    cluster.kubectl("delete", "secret", "sops-age", "--namespace=flux-system")
    assert changed(handoff(cluster)) == {"credentials"}
    assert secret(cluster, "flux-system", "sops-age") == repository_secret(cluster, store.AGE_KEY)


@pytest.mark.nightly
def test_a_chart_that_somebody_uninstalled_comes_back_with_its_data(cluster):
    helm.helm(cluster.kubeconfig, "uninstall", "gitea", "--namespace=gitea", "--wait", timeout=LONG)
    states = handoff(cluster)
    # It is Flux's release by now: Flux is asked to bring it back, and would not have looked for an hour.
    assert states["git-chart"] == "ok"
    assert states["git-server"] in ("ok", "unchanged")
    eventually(lambda: not readiness.workload(cluster.get("deployments", "gitea", "gitea")), "Gitea", deadline=LONG)
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
        release = wait_until(pending, deadline=LONG, describe="the release pending")
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

    def states() -> dict[str, str]:
        found = cluster.get("kustomizations.kustomize.toolkit.fluxcd.io", namespace="flux-system")["items"]
        return {each["metadata"]["name"]: readiness.condition(each) for each in found}

    apps = {"cilium", "flux-operator", "flux-instance", "secrets", "gitea", "git-repository", "git-webhook"}
    wanted = dict.fromkeys({"flux-system", "bootstrap", *apps}, "")
    eventually(lambda: states() == wanted, "each of them Ready", deadline=LONG)


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
    proof.measure(site)  # raises where it never is, or Flux was not called
    assert not repository.push(site), "the Git server has the checkout's commit again"


@pytest.mark.nightly
def test_a_git_server_that_is_killed_before_the_push_is_waited_for(cluster):
    """And so is the commit that Flux has to read from it."""
    (cluster.root / "notes").write_text("one commit more\n")
    cluster.kubectl("delete", "pod", "--namespace=gitea", f"--selector={GITEA}", "--force")
    assert handoff(cluster)["push"] == "ok"
    assert read_by_flux(cluster) == head(cluster)


@pytest.mark.nightly
def test_controllers_of_flux_that_are_killed_go_on_where_they_were(cluster):
    (cluster.root / "notes").write_text("and another one\n")
    names = "app in (source-controller, kustomize-controller)"
    cluster.kubectl("delete", "pod", "--namespace=flux-system", f"--selector={names}", "--force")
    assert handoff(cluster)["push"] == "ok"
    assert read_by_flux(cluster) == head(cluster)


def hand_over_here(cluster: Cluster, at: str = "", do: Callable[[], object] = str) -> set[str]:
    """The hand-off in this process: something is done when the step `at` has begun. Which steps changed anything."""
    cluster.repository.commit()

    def listen(event: Event) -> None:
        if (event.data.get("step"), event.state) == (at, "started"):
            do()

    result = handoffs.handoff(cluster.inventory, GateResult(()), cluster.kubeconfig, cluster.pool, Events(listen))
    return {step.name for step in result.steps if step.outcome is Outcome.OK}


def git_server(cluster: Cluster) -> dict[str, Any]:
    pods: list[dict[str, Any]] = cluster.get("pods", namespace="gitea", selector=GITEA)["items"]
    return next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])


@pytest.mark.nightly
def test_a_git_server_that_is_killed_during_the_push_is_pushed_to_again(cluster, monkeypatch):
    (cluster.root / "notes").write_text("a commit that is cut short\n")
    node, push, pushed = git_server(cluster)["spec"]["nodeName"], git.push, []

    def push_to_the_dead(*words: Any, **more: Any) -> None:
        pushed.append(words)
        if len(pushed) == 1:
            cluster.sh(node, "pkill --signal KILL --exact gitea")
        push(*words, **more)

    monkeypatch.setattr(git, "push", push_to_the_dead)
    assert "push" in hand_over_here(cluster)
    assert len(pushed) > 1, "control: the first push met a dead server"
    assert read_by_flux(cluster) == head(cluster)


def test_a_node_that_takes_no_pods_is_named_and_waited_for(cluster):
    """The Git server's folder is on that node alone."""
    pod = git_server(cluster)
    node = pod["spec"]["nodeName"]

    def lacking() -> str:
        found = handoffs.outlook(cluster.inventory, cluster.kubeconfig, cluster.pool, Events())
        return next(step.text for step in found if step.name == "git-server")

    cluster.kubectl("cordon", node)
    try:
        cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--namespace=gitea", "--force")
        eventually(lambda: "Unschedulable" in lacking(), "a word on the pod", deadline=LONG)
        hand_over_here(cluster, "git-server", lambda: cluster.kubectl("uncordon", node))
    finally:
        cluster.kubectl("uncordon", node)
    assert git_server(cluster)["spec"]["nodeName"] == node


@pytest.mark.nightly
def test_an_api_server_that_is_gone_for_half_a_minute_is_waited_for(cluster):
    (cluster.root / "notes").write_text("a commit without an API server\n")
    back = "systemd-run --on-active=30 --timer-property=AccuracySec=1s systemctl start k0s.service"
    stops = f"systemctl stop k0s.service && {back}"
    try:
        changed = hand_over_here(cluster, "namespaces", lambda: cluster.sh("cp1", stops))
    finally:
        cluster.sh("cp1", "systemctl start k0s.service")
    assert {"namespaces", "push"} <= changed, "control: that step met nobody, and does not know what it has done"
    assert read_by_flux(cluster) == head(cluster)


def test_a_bucket_that_nobody_serves_is_told(cluster):
    """S3 as a source, away; the real source-controller asks for it."""
    nobody = cluster.inventory.host("cp1").address
    about = {"name": "away", "namespace": "flux-system"}
    spec = {"interval": "1m", "timeout": "5s", "endpoint": f"{nobody}:9", "bucketName": "cluster", "insecure": True}
    bucket = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket", "metadata": about, "spec": spec}
    kubectl.apply(cluster.kubeconfig, as_list((bucket,)))

    def why() -> str:
        return next((item.why for item in overview.look(cluster.kubeconfig).failing if item.name == "away"), "")

    try:
        eventually(lambda: f"{nobody}:9" in why(), "a word on the bucket", deadline=LONG)
    finally:
        cluster.kubectl("delete", "buckets.source.toolkit.fluxcd.io", "away", "--namespace=flux-system")


def test_a_record_that_went_stale_shuts_the_gate_before_anything_is_applied(cluster, tmp_path):
    stale = cluster.repository.copy(tmp_path / "stale")
    record = stale.root / ".slipway" / "records" / "w1.json"
    record.write_text(re.sub('"bootId": "[^"]*"', '"bootId": "of-an-earlier-boot"', record.read_text()))
    refused = refused_without_a_change(cluster, lambda: stale.slipway("handoff").ended(9))
    assert "w1: its record does not count" in refused.err


def test_a_machine_without_the_clusters_key_is_told_before_anything_is_applied(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    refused = refused_without_a_change(cluster, lambda: cluster.repository.slipway("handoff").ended(12))
    assert "none of the age keys on this machine opens it" in refused.err


def test_an_older_checkout_is_refused_before_anything_is_applied(cluster, tmp_path):
    older = cluster.repository.copy(tmp_path / "older")
    older.git("reset", "--hard", "--quiet", "HEAD~1")
    older.git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--allow-empty", "-qm", "Another way")
    refused = refused_without_a_change(cluster, lambda: older.slipway("handoff").ended(6))
    assert "does not contain it" in refused.err
    assert "git pull" in refused.err


Api = Callable[..., Any]


@pytest.fixture(scope="module")
def gitea(cluster: Cluster) -> Iterator[Api]:
    """`gitea(method, path, body)`: Gitea's API as its first user, with the password of the repository's secret."""
    # Another repository may have handed over before: its password is taken over with the next start.
    cluster.kubectl("rollout", "restart", "deployment/gitea", "--namespace=gitea")
    cluster.kubectl("rollout", "status", "deployment/gitea", "--namespace=gitea", "--timeout=900s", timeout=LONG)
    admin = repository_secret(cluster, store.GITEA_ADMIN)
    basic = base64.b64encode(admin["username"] + b":" + admin["password"]).decode()
    with cluster.under_way("kubectl", "port-forward", "--namespace=gitea", "service/gitea-http", f"{PORT}:3000"):

        def call(method: str, path: str, body: Any = None) -> Any:
            headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(API + path, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")

        def ready() -> tuple[bool | None, str]:
            try:
                call("GET", "/version")
            except OSError as error:
                return None, str(error)
            return True, ""

        wait_until(ready, deadline=LONG, describe="Gitea through the port-forward")
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

    wait_until(there, deadline=LONG, describe="the Secret that Flux decrypts", interval=1.0)


def trial_source(cluster: Cluster) -> list[dict[str, Any]]:
    """Another repository that Flux reads, and as whom."""
    admin = repository_secret(cluster, store.GITEA_ADMIN)
    source = {
        "url": f"http://gitea-http.gitea.svc.{cluster.inventory.cluster.domain}:3000/{store.GITEA_USER}/trial.git",
        "interval": "1m",
        "ref": {"branch": "main"},
        "secretRef": {"name": "trial"},
    }
    return [
        json.loads(store.kubernetes_secret("flux-system", "trial", admin).reveal()),
        {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": TRIAL, "spec": source},
    ]


def trial_objects(cluster: Cluster, path: str = "./") -> Secret:
    sync = {
        "interval": "1m",
        "path": path,
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "trial"},
        # Without a secretRef: the key is the one that the controllers were given at the hand-off.
        "decryption": {"provider": "sops"},
    }
    kustomization = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": TRIAL, "spec": sync,
    }  # fmt: skip
    return Secret(as_list((*trial_source(cluster), kustomization)))


def test_the_page_of_the_git_server_is_there_in_a_browser(cluster, tmp_path):
    """Through `slipway open`, until Ctrl-C. What upstream makes with npm (styles, scripts) the lab's Gitea has not."""
    with cluster.repository.under_way("open", "gitea", "--for", "600") as opened:
        assert opened.stdout
        url = opened.stdout.readline().strip()
        with chromium.page(tmp_path) as page:
            page.visit(f"{url}/")
            assert page.ask("document.title") == "Gitea: Git with a cup of tea"
            assert "Sign In" in page.ask("document.body.innerText")
        opened.send_signal(signal.SIGINT)
        assert opened.wait(LONG) == Interrupted.exit_code
    thrown = [each for each in page.events if each["method"] == "Runtime.exceptionThrown"]
    said = [each["params"]["entry"] for each in page.events if each["method"] == "Log.entryAdded"]
    errors = {each["url"] for each in said if each["level"] == "error"}
    assert not thrown
    assert {each for each in errors if not re.search(r"/assets/(css|js)/[^/]+$", each)} == set()


def hooks(gitea: Api) -> list[str]:
    return [each["config"]["url"] for each in gitea("GET", "/repos/ops/lab/hooks")]


@pytest.mark.nightly
def test_another_token_reaches_both_sides_and_is_proven(cluster, gitea):
    receiver = ("receivers.notification.toolkit.fluxcd.io", "git-webhook", "flux-system")
    before = cluster.get(*receiver)["status"]["webhookPath"]
    cluster.repository.slipway("secrets", "rotate", "webhook").ended(0)
    assert handoff(cluster)["webhook"] == "ok"
    now = cluster.get(*receiver)["status"]["webhookPath"]
    assert now != before
    assert [url.endswith(now) for url in hooks(gitea)] == [True], "the webhook of the earlier token is gone"
    changes_nothing(cluster)


class TrialStages:
    """Two of the generated stages over another repository, each with one app: a ConfigMap with a version, and where it
    is broken a claim that nobody ever binds. What holds them together is as it was generated.
    """

    NAMES: ClassVar = {"bootstrap": "trial-one", "cluster-base-apps": "trial-two"}

    def __init__(self, cluster: Cluster, root: Path, server: git.Remote) -> None:
        self.cluster, self.root, self.server = cluster, root, server
        git.init(root)
        stages = cluster.inventory.stages.model_copy(update={"until": "cluster-base-apps"})
        inventory = replace(cluster.inventory, stages=stages)
        self.generated = {str(path): text for path, text in gitops.render(inventory).items()}
        for stage, name in self.NAMES.items():
            self.write(f"flux/{name}.yaml", self._stage(stage, name))
            self.write(f"stages/{name}/app.yaml", self.app_of(name, {"targetNamespace": "default"}))

    def _stage(self, stage: str, name: str) -> dict[str, Any]:
        found = yaml.safe_load(self.generated[f"gitops/flux/{stage}.yaml"])
        needs = [{"name": self.NAMES[each["name"]]} for each in found["spec"].get("dependsOn", ())]
        health = [{**found["spec"]["healthChecks"][0], "name": f"{name}-app"}]
        return self._moved(found, name, f"./stages/{name}", {"dependsOn": needs, "healthChecks": health})

    def app_of(self, name: str, more: dict[str, Any]) -> dict[str, Any]:
        """The Flux Kustomization of an app."""
        found = yaml.safe_load(self.generated["gitops/bootstrap/secrets/ks.yaml"])
        return self._moved(found, f"{name}-app", f"./apps/{name}", more)

    @staticmethod
    def _moved(found: dict[str, Any], name: str, path: str, more: dict[str, Any]) -> dict[str, Any]:
        source = {"kind": "GitRepository", "name": "trial"}
        spec = {**found["spec"], "path": path, "sourceRef": source, **more}
        return {**found, "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec}

    def write(self, path: str, *manifests: dict[str, Any]) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(yaml.safe_dump_all(manifests))

    def app(self, name: str, version: int, *, broken: bool) -> None:
        version_of = {"kind": "ConfigMap", "metadata": {"name": name}, "data": {"version": str(version)}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        never = {
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {**claim, "storageClassName": "no"},
        }
        manifests = [version_of, never] if broken else [version_of]
        self.write(f"apps/{name}/app.yaml", *({"apiVersion": "v1", **each} for each in manifests))

    def push(self) -> None:
        Repository(self.root, self.cluster.repository.home).commit()
        git.push(self.root, self.server, git.head(self.root), instead_of=git.tip(self.server))
        if self.cluster.get("gitrepositories.source.toolkit.fluxcd.io", "trial", "flux-system"):
            site = handoffs.site_of(self.cluster.inventory, self.cluster.kubeconfig, self.cluster.pool, Events())
            repository.ask(site, "gitrepositories.source.toolkit.fluxcd.io", "trial")

    def version(self, name: str) -> str:
        return str(self.cluster.get("configmaps", name, "default").get("data", {}).get("version", ""))

    def said(self, name: str) -> str:
        return readiness.condition(self.cluster.get(repository.KUSTOMIZATION, name, "flux-system"))

    def take_away(self) -> None:
        names = ["trial", *self.NAMES.values(), *(f"{name}-app" for name in self.NAMES.values())]
        self.cluster.kubectl("delete", repository.KUSTOMIZATION, *names, "-n=flux-system", "--ignore-not-found")
        for kind in ("configmaps", "persistentvolumeclaims"):
            self.cluster.kubectl("delete", kind, *self.NAMES.values(), "--ignore-not-found")


@pytest.fixture
def trial_stages(cluster: Cluster, gitea: Api, tmp_path: Path) -> Iterator[TrialStages]:
    gitea("POST", "/user/repos", {"name": "trial", "private": True, "default_branch": "main"})
    admin = repository_secret(cluster, store.GITEA_ADMIN)
    url = f"http://127.0.0.1:{PORT}/{store.GITEA_USER}/trial.git"
    server = git.Remote(url, "main", git.login(admin["username"], admin["password"]))
    stages = TrialStages(cluster, tmp_path, server)
    try:
        yield stages
    finally:
        stages.take_away()
        cluster.kubectl("delete", "--filename=-", "--ignore-not-found", input=trial_objects(cluster))
        gitea("DELETE", f"/repos/{store.GITEA_USER}/trial")


def test_a_later_stage_waits_for_the_earlier_one_and_never_keeps_a_fix_from_it(cluster, trial_stages):
    trial_stages.app("trial-one", 1, broken=True)
    trial_stages.app("trial-two", 1, broken=True)
    trial_stages.push()
    kubectl.apply(cluster.kubeconfig, trial_objects(cluster, "./flux"))
    eventually(lambda: trial_stages.version("trial-one") == "1", "the first stage's app", deadline=LONG)
    eventually(lambda: "trial-one" in trial_stages.said("trial-two"), "the second one that waits", deadline=LONG)
    assert not trial_stages.version("trial-two"), "nothing of it is applied while the first stage is not healthy"

    trial_stages.app("trial-one", 2, broken=False)
    trial_stages.push()
    eventually(lambda: trial_stages.version("trial-two") == "1", "the second stage's app", deadline=LONG)
    assert trial_stages.version("trial-one") == "2"
    assert trial_stages.said("trial-two-app"), "control: it is broken"

    trial_stages.app("trial-one", 3, broken=False)
    trial_stages.push()
    eventually(lambda: trial_stages.version("trial-one") == "3", "a fix of the first stage", deadline=LONG)
    assert trial_stages.said("trial-two-app"), "control: the later stage is broken all the time"


def definition(kind: str, version: str) -> dict[str, Any]:
    """A CRD, of objects that say nothing and are well."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": GROUP,
        "scope": "Cluster",
        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
    }
    of_crds = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**of_crds, "metadata": {"name": f"{plural}.{GROUP}"}, "spec": spec}


class LateKinds:
    """Apps that consist of one object each, of a kind of a group that grows while Flux runs."""

    APPS: ClassVar = {"early": ("Early", "v1alpha1"), "late": ("Late", "v1"), "control": ("Late", "v1")}

    def __init__(self, cluster: Cluster, stages: TrialStages) -> None:
        self.cluster, self.stages, self.asked = cluster, stages, OfCluster(cluster.kubeconfig)
        for name, (kind, version) in self.APPS.items():
            stages.write(f"apps/{name}/app.yaml", self._object(name, kind, version))
        stages.push()
        kubectl.apply(cluster.kubeconfig, Secret(as_list(tuple(trial_source(cluster)))))

    @staticmethod
    def _object(name: str, kind: str, version: str) -> dict[str, Any]:
        return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": {"name": name}}

    def define(self, kind: str, version: str) -> None:
        kubectl.apply(self.cluster.kubeconfig, as_list((definition(kind, version),)))
        name = f"{kind.lower()}s.{GROUP}"
        wait = ("wait", "--for=condition=established", f"crd/{name}", f"--timeout={LONG:.0f}s")
        self.cluster.kubectl(*wait, timeout=LONG + 30)
        eventually(lambda: self.asked.has_kind(kind, GROUP), f"the kind {kind} in the API's list", deadline=LONG)

    def apply(self, name: str, *without: str) -> None:
        """As an app is generated, but for these keys."""
        found = self.stages.app_of(name, {"timeout": "15s"})
        spec = {key: value for key, value in found["spec"].items() if key not in without}
        kubectl.apply(self.cluster.kubeconfig, as_list(({**found, "spec": spec},)))

    def take_away(self) -> None:
        names = [f"{name}-app" for name in self.APPS]
        self.cluster.kubectl("delete", repository.KUSTOMIZATION, *names, "-n=flux-system", "--ignore-not-found")
        kinds = [f"crd/{kind.lower()}s.{GROUP}" for kind in ("Early", "Late")]
        self.cluster.kubectl("delete", *kinds, "--ignore-not-found")


@pytest.fixture
def late_kinds(cluster: Cluster, trial_stages: TrialStages) -> Iterator[LateKinds]:
    kinds = LateKinds(cluster, trial_stages)
    try:
        yield kinds
    finally:
        kinds.take_away()


@pytest.mark.nightly
def test_an_app_whose_kind_came_after_its_group_was_seen_is_healthy(trial_stages, late_kinds):
    """As with External Secrets, which has kinds at v1alpha1 and at v1 in one group."""
    late_kinds.define("Early", "v1alpha1")
    late_kinds.apply("early", "serviceAccountName")
    eventually(lambda: not trial_stages.said("early-app"), "the group seen, with one version", deadline=LONG)
    late_kinds.define("Late", "v1")
    late_kinds.apply("control", "serviceAccountName")
    late_kinds.apply("late")
    eventually(lambda: not trial_stages.said("late-app"), "the app with the later kind", deadline=LONG)
    eventually(
        lambda: 'no matches for kind "Late" in group' in trial_stages.said("control-app"),
        "the control, an app that asks with the list of all",
        deadline=LONG,
    )
