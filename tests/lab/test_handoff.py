"""What the hand-off leaves in a real cluster, and how it mends what somebody broke since."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.cluster import kubeconfig as of_cluster
from slipway.inventory import Inventory, load
from slipway.lab import images
from slipway.lab.settings import Lab
from slipway.secret import Secret
from slipway.secrets import store
from slipway.ssh.pool import Pool
from slipway.stages.model import as_list
from slipway.tools import helm, kubectl, sops
from slipway.tools.run import find_program
from slipway.wait import wait_until

pytestmark = pytest.mark.lab

TIMEOUT = 600
CONTROLLERS = images.FLUX
PORT = 13000


@dataclass(frozen=True)
class Cluster:
    """A cluster that was handed over, and the repository that it was handed over from."""

    inventory: Inventory
    kubeconfig: Secret

    @property
    def root(self) -> Path:
        return self.inventory.root

    def get(self, kind: str, name: str = "", namespace: str = "", selector: str = "") -> Any:
        return kubectl.get(self.kubeconfig, kind, name, namespace=namespace, selector=selector)

    def handoff(self) -> dict[str, str]:
        """Hand over again; each step and how it ended."""
        result = json.loads(slipway(self.root, "handoff", "--json"))
        return {step["step"]: step["state"] for step in result["steps"]}

    def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        data = self.get("secrets", name, namespace)["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}

    def repository_secret(self, name: Path) -> dict[str, bytes]:
        data = yaml.safe_load(store.decrypt(self.root, name).reveal())["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}


def slipway(root: Path, *words: str) -> str:
    """Run a command as a user in the repository would; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "slipway.cli", *words], cwd=root, capture_output=True, text=True, timeout=TIMEOUT,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"slipway {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("handoff")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        root = home / "repository"
        slipway(home, "lab", "init", str(root), *lab_option(lab))
        for words in (("generate",), ("deploy",), ("verify",), ("lab", "build"), ("handoff",)):
            slipway(root, *words)
        inventory = load(root)
        with Pool.of(inventory) as pool:
            yield Cluster(inventory, of_cluster.of(inventory, pool))


def lab_option(lab: Lab) -> tuple[str, ...]:
    return ("--lab", str(lab.number))


def resources(cluster: Cluster) -> dict[str, str]:
    """What the hand-off is about, by name: the generation of what runs, the version of what does not."""
    found = {}
    for kind in ("deployments", "namespaces", "persistentvolumes", "secrets", "fluxinstances.fluxcd.controlplane.io"):
        words = ["get", kind, "--all-namespaces", "--output=json"]
        for item in json.loads(kubectl.kubectl(cluster.kubeconfig, *words).stdout)["items"]:
            about = item["metadata"]
            found[f"{kind} {about.get('namespace', '')} {about['name']}"] = (
                str(about["generation"]) if kind == "deployments" else about["resourceVersion"]
            )
    return found


def test_the_controllers_of_flux_are_the_real_ones_and_ready(cluster):
    found = cluster.get("deployments", namespace="flux-system", selector="app.kubernetes.io/part-of=flux")["items"]
    running = {item["metadata"]["name"]: item for item in found}
    assert set(running) == set(CONTROLLERS)
    for name, item in running.items():
        (container,) = item["spec"]["template"]["spec"]["containers"]
        assert container["image"] == images.references()[name]
        assert item["status"]["readyReplicas"] == 1


def test_the_patches_of_the_instance_reached_the_controllers(cluster):
    found = cluster.get("deployments", "kustomize-controller", "flux-system")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert {"--requeue-dependency=5s", "--sops-age-secret=sops-age"} <= set(container["args"])


def test_the_age_key_in_the_cluster_is_the_repositorys(cluster):
    assert cluster.secret("flux-system", "sops-age") == cluster.repository_secret(store.AGE_KEY)
    about = ["get", "secret", "sops-age", "--namespace=flux-system", "--show-managed-fields"]
    managers = kubectl.kubectl(cluster.kubeconfig, *about, "--output=jsonpath={.metadata.managedFields[*].manager}")
    assert set(managers.stdout.split()) == {"slipway"}


def test_the_cluster_takes_every_file_of_gitops(cluster):
    """Flux's own kinds too, which the hand-off leaves to Flux: checked by the server, strictly, and not kept."""
    files = sorted((cluster.root / "gitops").rglob("*.yaml"))
    manifests = as_list(tuple(yaml.safe_load(file.read_text()) for file in files))
    argv = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--field-manager=test", "--filename=-"]
    assert len(kubectl.kubectl(cluster.kubeconfig, *argv, input=manifests).stdout.splitlines()) == len(files)


def test_a_second_hand_off_changes_nothing(cluster):
    before = resources(cluster)
    assert set(cluster.handoff().values()) == {"unchanged"}
    assert resources(cluster) == before


def test_a_secret_that_somebody_deleted_comes_back(cluster):
    kubectl.kubectl(cluster.kubeconfig, "delete", "secret", "sops-age", "--namespace=flux-system")
    states = cluster.handoff()
    assert {name for name, state in states.items() if state != "unchanged"} == {"credentials"}
    assert cluster.secret("flux-system", "sops-age") == cluster.repository_secret(store.AGE_KEY)


def test_a_chart_that_somebody_uninstalled_comes_back_with_its_data(cluster):
    helm.helm(cluster.kubeconfig, "uninstall", "gitea", "--namespace=gitea", "--wait")
    states = cluster.handoff()
    assert (states["gitea-chart"], states["gitea"]) == ("ok", "ok")
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
    config = tmp_path / "kubeconfig"
    config.write_bytes(cluster.kubeconfig.reveal())
    argv = [str(find_program("helm")), "install", "blocked", str(tmp_path), "--namespace=gitea"]
    installing = subprocess.Popen(argv, env={**os.environ, "KUBECONFIG": str(config)}, stdout=subprocess.DEVNULL)

    def pending() -> tuple[helm.Release | None, str]:
        found = helm.get(cluster.kubeconfig, "gitea", "blocked")
        return (found, "") if found and found.interrupted else (None, str(found))

    try:
        release = wait_until(pending, deadline=60, describe="the release pending")
    finally:
        installing.kill()
        installing.wait(10)
    helm.put_right(cluster.kubeconfig, "gitea", release)
    kubectl.kubectl(cluster.kubeconfig, "delete", "job", "blocked", "--namespace=gitea", "--ignore-not-found")
    assert helm.get(cluster.kubeconfig, "gitea", "blocked") is None


@contextmanager
def forwarded(cluster: Cluster, folder: Path) -> Iterator[str]:
    """The address of Gitea, from here, for as long as the block lasts."""
    config = folder / "kubeconfig"
    config.write_bytes(cluster.kubeconfig.reveal())
    argv = ["port-forward", "--namespace=gitea", "service/gitea-http", f"{PORT}:3000"]
    forwarding = subprocess.Popen([str(find_program("kubectl")), f"--kubeconfig={config}", *argv])
    try:
        yield f"http://127.0.0.1:{PORT}/api/v1"
    finally:
        forwarding.terminate()
        forwarding.wait(10)


Api = Callable[..., Any]


@pytest.fixture
def gitea(cluster: Cluster, tmp_path: Path) -> Iterator[Api]:
    """`gitea(method, path, body)`: Gitea's API as its first user, with the password of the repository's secret."""
    # Another repository may have handed over before: its password is taken over with the next start.
    kubectl.kubectl(cluster.kubeconfig, "rollout", "restart", "deployment/gitea", "--namespace=gitea")
    kubectl.kubectl(
        cluster.kubeconfig, "rollout", "status", "deployment/gitea", "--namespace=gitea", "--timeout=120s", timeout=130
    )
    admin = cluster.repository_secret(store.GITEA_ADMIN)
    basic = base64.b64encode(admin["username"] + b":" + admin["password"]).decode()
    with forwarded(cluster, tmp_path) as address:

        def call(method: str, path: str, body: Any = None) -> Any:
            headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(address + path, data, headers, method=method)
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
        assert cluster.secret("secrets", "trial") == {"word": b"swordfish"}
    finally:
        kubectl.kubectl(
            cluster.kubeconfig, "delete", "--filename=-", "--ignore-not-found", input=trial_objects(cluster)
        )
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
    admin = cluster.repository_secret(store.GITEA_ADMIN)
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
