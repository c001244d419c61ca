"""When an object counts as ready, and what is said of one that is not."""

from typing import Any

import pytest

from slipway.stages import readiness


def deployment(
    *, generation: int = 1, observed: int = 1, replicas: int = 1, updated: int = 1, ready: int = 1
) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": observed, "updatedReplicas": updated, "readyReplicas": ready},
    }


@pytest.mark.parametrize(
    ("item", "lacks"),
    [
        (deployment(), ""),
        (deployment(replicas=0, updated=0, ready=0), "web scaled to 0"),
        (deployment(ready=0), "web 0/1"),
        (deployment(replicas=2, updated=1, ready=2), "web 1/2"),
        (deployment(generation=2), "web not yet seen by its controller"),
        (deployment(observed=0), "web not yet seen by its controller"),
    ],
)
def test_a_workload_is_ready_when_its_newest_version_is(item, lacks):
    assert readiness.workload(item) == lacks


def test_a_daemon_set_counts_nodes():
    status = {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 2}
    item = {"kind": "DaemonSet", "metadata": {"name": "net", "generation": 1}, "spec": {}, "status": status}
    assert readiness.workload(item) == "net 2/3"


def test_no_workload_at_all_is_not_ready():
    assert readiness.workloads([]) == "no workload yet"
    assert readiness.workloads([deployment(), deployment(ready=0)]) == "web 0/1"
    assert readiness.workloads([deployment()]) == ""


def flux(status: str = "True", observed: int = 2) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "reason": "R", "message": "M", "observedGeneration": observed}
    return {
        "metadata": {"generation": 2},
        "status": {"conditions": [{"type": "Other", "status": "False"}, ready]},
    }


@pytest.mark.parametrize(
    ("item", "lacks"),
    [(flux(), ""), (flux("False"), "R: M"), (flux(observed=1), "R: M"), ({}, "no condition Ready yet")],
)
def test_a_condition_counts_for_the_newest_generation_only(item, lacks):
    assert readiness.condition(item) == lacks


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": status}


def waiting(reason: str, message: str = "") -> list[dict[str, Any]]:
    return [{"state": {"waiting": {"reason": reason, "message": message}}}]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (pod(containerStatuses=waiting("ContainerCreating")), ""),
        (pod(containerStatuses=waiting("ImagePullBackOff", "no such image")), "pod p: ImagePullBackOff: no such image"),
        (pod(initContainerStatuses=waiting("CrashLoopBackOff")), "pod p: CrashLoopBackOff"),
        (
            pod(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
                ]
            ),
            "pod p: Unschedulable: no room",
        ),
        (pod(), ""),
    ],
)
def test_trouble_is_told_in_the_words_of_kubernetes(item, says):
    assert readiness.trouble([pod(), item]) == says
