"""Waves in the cluster that lives: pods that may not go, and a worker that reboots without them."""

import json
from pathlib import Path

import pytest
from tests.lab.harness import Cluster, Repository, outcomes

pytestmark = pytest.mark.lab

# On w1 alone, with a budget that never lets it go.
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: w1}
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: docker.io/library/busybox:stable, command: [sleep, "6000"]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""
OTHER_KUBELET = '{ slipway.k0s.kubeletExtraArgs.max-pods = "99"; }\n'


@pytest.fixture(scope="module")
def web(cluster: Cluster):
    cluster.kubectl("apply", "--filename=-", input=WEB.encode())
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=90)
    yield
    cluster.kubectl("delete", "--filename=-", "--ignore-not-found", "--wait=false", input=WEB.encode())


@pytest.fixture(scope="module")
def changed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory):
    """A checkout in which w1 has another kubelet; afterwards it has its old one again."""
    other = cluster.repository.copy(tmp_path_factory.mktemp("waves") / "other-kubelet")
    inventory = other.root / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("\ndeploy:\n", "\ndeploy:\n  drain: {timeout: 12s}\n"))
    (other.root / "hosts").mkdir(exist_ok=True)
    (other.root / "hosts" / "w1.nix").write_text(OTHER_KUBELET)
    other.git("add", "-A")
    yield other
    cluster.repository.slipway("deploy", "w1").ended(0)


def test_pods_that_may_not_go_keep_their_node_as_it_is(cluster: Cluster, changed: Repository, web: None):
    before = cluster.sh("w1", "readlink /run/current-system")
    ran = changed.slipway("deploy", "w1", "--json").ended(6)
    assert outcomes(ran) == {"w1": "blocked"}
    assert "default/web-" in ran.out and "PodDisruptionBudget web allows no disruption" in ran.out
    assert cluster.sh("w1", "readlink /run/current-system") == before
    assert not unschedulable(cluster, "w1")


def test_a_worker_reboots_without_its_pods_and_takes_new_ones_afterwards(
    cluster: Cluster, changed: Repository, web: None
):
    pod = web_pod(cluster)
    booted = cluster.sh("w1", "cat /proc/sys/kernel/random/boot_id")
    cluster.kubectl("delete", "poddisruptionbudget", "web")
    ran = changed.slipway("deploy", "w1", "--reboot", "always", "--json").ended(0)
    assert outcomes(ran) == {"w1": "ok"}
    assert ran.json["nodes"][0]["reason"].startswith("rebooted")
    assert cluster.sh("w1", "cat /proc/sys/kernel/random/boot_id") != booted
    assert phases(changed, ran.json["run"]) == ["drain", "confirm", "activate", "reboot", "uncordon"]
    assert not unschedulable(cluster, "w1")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s", timeout=90)
    assert web_pod(cluster) != pod


def unschedulable(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("node", name)["spec"].get("unschedulable"))


def web_pod(cluster: Cluster) -> str:
    (pod,) = (
        item["metadata"]["name"]
        for item in cluster.get("pods", namespace="default", selector="app=web")["items"]
        if not item["metadata"].get("deletionTimestamp")
    )
    return str(pod)


def phases(repository: Repository, run: str) -> list[str]:
    """What became of w1, in the order in which it ended, each once."""
    path = Path(repository.root) / ".slipway" / "runs" / run / "events.jsonl"
    events = map(json.loads, path.read_text().splitlines())
    ended = [e["phase"] for e in events if e["node"] == "w1" and e["state"] in ("ok", "done")]
    wanted = ("drain", "activate", "confirm", "reboot", "uncordon")
    return sorted({phase for phase in ended if phase in wanted}, key=ended.index)
