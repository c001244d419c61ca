"""From Flux's word down to a pod's last ones; the objects are as the API server of the lab gave them, cut short."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.result import CommandResult
from slipway.stages.reasons import OfCluster, Reasons, made_by, shortened
from slipway.tools import kubectl

COMMIT = "refs/heads/main@sha1:b05001d320d5262039a69bd22201f523fee3b4fd"


@dataclass
class FakeAsked:
    """Says the same of every pod, and keeps which were asked about."""

    last: str = ""
    warned: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    asked: list[str] = field(default_factory=list)

    def words(self, pod: Any) -> str:
        self.asked.append(f"words of {pod['metadata']['name']}")
        return self.last

    def warning(self, pod: Any) -> str:
        self.asked.append(f"warning of {pod['metadata']['name']}")
        return self.warned

    def has_kind(self, kind: str, group: str) -> bool:
        return (kind, group) in self.kinds


def app(*entries: str, status: str = "False", said: str = "timeout", **more: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": "HealthCheckFailed", "message": said}
    about = {"conditions": [ready, *more.get("conditions", ())], "inventory": {"entries": [{"id": e} for e in entries]}}
    return {"metadata": {"name": "shop"}, "status": about}


def pod(name: str, *containers: dict[str, Any], namespace: str = "shop", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"containerStatuses": containers, **status}}


CRASHES = {
    "name": "web",
    "restartCount": 4,
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 1m20s restarting failed container=web"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
}
NO_IMAGE = {
    "name": "web",
    "restartCount": 0,
    "ready": False,
    "state": {"waiting": {"reason": "ErrImagePull", "message": "web:9: not found"}},
    "lastState": {},
}
RUNS = {"name": "web", "restartCount": 0, "ready": False, "state": {"running": {}}, "lastState": {}}
WELL = {**RUNS, "ready": True}
NOT_READY = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "unready: [web]"}]
WEB = "shop_web_apps_Deployment"


def reasons(found: dict[str, Any], *pods: dict[str, Any], asked: FakeAsked | None = None) -> tuple[str, ...]:
    return Reasons((), pods, asked or FakeAsked()).of(found)


def test_a_pod_that_ends_again_and_again_is_told_with_how_it_ended_and_its_last_words():
    asked = FakeAsked(last="fatal: no database")
    assert reasons(app(WEB), pod("web-5d-x2", WELL), pod("web-5d-x1", CRASHES), asked=asked) == (
        "HealthCheckFailed: timeout",
        "pod web-5d-x1: CrashLoopBackOff: container web ended with exit code 3, and was started again 4 times",
        "pod web-5d-x1 said last: fatal: no database",
    )


def test_an_image_that_is_not_there_is_told_and_no_log_asked_for():
    asked = FakeAsked(last="of an earlier one")
    assert reasons(app(WEB), pod("web-5d-x1", NO_IMAGE), asked=asked)[1:] == (
        "pod web-5d-x1: ErrImagePull: web:9: not found",
    )
    assert asked.asked == []


def test_a_pod_that_runs_and_is_not_ready_is_told_with_the_newest_warning():
    asked = FakeAsked("listening on 8081", "Unhealthy: Readiness probe failed: connection refused")
    assert reasons(app(WEB), pod("web-5d-x1", RUNS, phase="Running", conditions=NOT_READY), asked=asked)[1:] == (
        "pod web-5d-x1: ContainersNotReady: unready: [web]",
        "pod web-5d-x1: Unhealthy: Readiness probe failed: connection refused",
        "pod web-5d-x1 said last: listening on 8081",
    )


def test_a_job_that_failed_is_told_with_its_last_words():
    ended = {"name": "seed", "ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    asked = FakeAsked(last="reading it all")
    found = reasons(app("shop_seed_batch_Job"), pod("seed-k2x", ended, phase="Failed"), asked=asked)
    assert found[1:] == (
        "pod seed-k2x: container seed ended with exit code 137 (OOMKilled)",
        "pod seed-k2x said last: reading it all",
    )


def test_pods_of_others_are_left_out_in_its_namespace_too():
    others = (pod("website-1", CRASHES), pod("web-1", CRASHES, namespace="other"), pod("db-0", CRASHES))
    assert reasons(app(WEB, "shop_db__Service"), *others) == ("HealthCheckFailed: timeout",)


def test_the_pods_of_a_release_are_those_of_its_namespace():
    """What a chart makes is in no list of the Kustomization's."""
    about = {"name": "gitea", "namespace": "gitea", "labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}
    ready = {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "context deadline exceeded"}
    release = {"metadata": about, "status": {"conditions": [ready]}}
    pods = (pod("elsewhere", CRASHES), pod("gitea-0", CRASHES, namespace="gitea"))
    assert Reasons((release,), pods, FakeAsked()).of(app()) == (
        "HealthCheckFailed: timeout",
        "HelmRelease gitea: InstallFailed: context deadline exceeded",
        "pod gitea-0: CrashLoopBackOff: container web ended with exit code 3, and was started again 4 times",
    )


def test_of_a_ready_app_nothing_is_told_or_asked():
    asked = FakeAsked(last="words")
    assert reasons(app(WEB, status="True"), pod("web-5d-x1", CRASHES), asked=asked) == ()
    assert asked.asked == []


def test_what_is_under_way_says_what_it_does():
    doing = {
        "type": "Reconciling",
        "status": "True",
        "reason": "Progressing",
        "message": f"Running health checks for revision {COMMIT} with a timeout of 1m0s",
    }
    found = app(status="Unknown", said="Reconciliation in progress", conditions=[doing])
    assert reasons(found) == ("Progressing: Running health checks for revision b05001d320d5 with a timeout of 1m0s",)
    failed = app(status="False", conditions=[doing])
    assert reasons(failed) == ("HealthCheckFailed: timeout",), "what went wrong last is worth more"


NO_KIND = (
    "failed after 30s: timeout waiting for: [SecretStore/shop/web status: 'Unknown': no matches for kind "
    '"SecretStore" in group "external-secrets.io"]'
)


def test_of_a_kind_that_flux_does_not_see_and_the_cluster_has_it_is_said_what_to_do():
    there = FakeAsked(kinds=(("SecretStore", "external-secrets.io"),))
    assert reasons(app(said=NO_KIND), asked=there)[1:] == (
        "the cluster has the kind SecretStore, and Flux's list is older: "
        "kubectl --namespace flux-system rollout restart deployment kustomize-controller",
    )


def test_of_a_kind_that_the_cluster_does_not_have_flux_is_right():
    elsewhere = FakeAsked(kinds=(("SecretStore", "example.org"), ("Store", "external-secrets.io")))
    assert reasons(app(said=NO_KIND), asked=elsewhere)[1:] == ()


def test_the_kinds_of_a_group_are_read_from_their_list(monkeypatch):
    listed = (
        "clustersecretstores   css       external-secrets.io/v1         false   ClusterSecretStore\n"
        "pushsecrets                     external-secrets.io/v1alpha1   true    PushSecret\n"
    )
    said = {"--api-group=external-secrets.io": listed, "--api-group=example.org": ""}

    def fake_kubectl(_config: Any, *words: str) -> CommandResult:
        return CommandResult(("kubectl", *words), "here", 0, said[words[1]], "", 0.0)

    monkeypatch.setattr(kubectl, "kubectl", fake_kubectl)
    asked = OfCluster(KUBECONFIG)
    assert asked.has_kind("ClusterSecretStore", "external-secrets.io")
    assert not asked.has_kind("SecretStore", "external-secrets.io")
    assert not asked.has_kind("ClusterSecretStore", "example.org")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("failed after 1m0.163878271s: timeout", "failed after 1m0s: timeout"),
        (f"at {COMMIT}", "at b05001d320d5"),
        ("version 1.5 of 10.0.0.1", "version 1.5 of 10.0.0.1"),
    ],
)
def test_what_nobody_reads_is_left_out(said, shown):
    assert shortened(said) == shown


def test_makers_of_pods_are_read_from_what_flux_keeps():
    entries = ("_shop__Namespace", "shop_page__ConfigMap", WEB, "shop_db_apps_StatefulSet", "odd", "_a__b_rbac_Role")
    assert made_by(app(*entries)) == {("shop", "web"), ("shop", "db")}
    assert made_by({"metadata": {}, "status": {}}) == frozenset()
