"""A plan as people read it."""

from typing import Any

import pytest

from slipway.cluster.comparison import Difference
from slipway.report.plan import render
from slipway.rollout.plan import NodePlan, Plan
from slipway.rollout.waves import Wave

OLD, NEW = "/nix/store/a-old", "/nix/store/b-new"


def worker(number: int, **more: Any) -> NodePlan:
    one = NodePlan(
        f"w{number}", "worker", "workers", OLD, NEW, True,
        packages=("k0s 1.35.3 -> 1.36.3",), k0s=("k0s --labels: disk=hdd -> disk=ssd",), asked="w1",
        activation=("would restart the following units: a.service",), slipway=("restarts k0s",), drain=True,
        reboot=("kernel", "initrd"), copy_paths=3, copy_bytes=5 << 20,
    )  # fmt: skip
    return NodePlan(**{**one.__dict__, **more})


FLEET = Plan(
    (
        *(NodePlan(f"cp{n}", "controller", "", NEW, NEW, False) for n in (1, 2, 3)),
        *(worker(n) for n in range(1, 298)),
        worker(298, packages=()),
    ),
    (Wave("canary w1", ("w1",)), Wave("workers", tuple(f"w{n}" for n in range(2, 299)))),
    ("upgrades the Helm release to cilium 1.20.1: chart cilium 1.19.0, wanted cilium 1.20.1",),
    (Difference("nodes", None, "x9", "none of that name", "kubectl delete node NAME", refused=False),),
)


def test_three_hundred_nodes_are_told_in_a_few_lines():
    assert list(render(FLEET, 100)) == [
        "3 controllers: unchanged",
        "  cp1 cp2 cp3",
        "297 workers: w1 w2 w3 w4 w5 w6 w7 w8 and 289 more",
        "  k0s 1.35.3 -> 1.36.3",
        "  k0s --labels: disk=hdd -> disk=ssd",
        "  would restart the following units: a.service, as w1 says",
        "  slipway restarts k0s",
        "  drained before it",
        "  a reboot is needed for: kernel, initrd (slipway deploy --reboot auto)",
        "  to copy: 1.5 GiB, 5.0 MiB at most a node",
        "1 worker: w298",
        "  k0s --labels: disk=hdd -> disk=ssd",
        "  would restart the following units: a.service",
        "  slipway restarts k0s",
        "  drained before it",
        "  a reboot is needed for: kernel, initrd (slipway deploy --reboot auto)",
        "  to copy: 5.0 MiB",
        "the cluster: slipway upgrades the Helm release to cilium 1.20.1: chart cilium 1.19.0, wanted cilium",
        "    1.20.1",
        "not as the inventory has it: nodes: the cluster has x9, the inventory none of that name; kubectl",
        "    delete node NAME",
        "in this order:",
        "  1. canary w1",
        "  2. workers (297 nodes)",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal(width):
    many = worker(1, rebuilt=tuple(f"package-{n}" for n in range(50)))
    lines = list(render(Plan((many, *FLEET.nodes), FLEET.waves, FLEET.cluster, FLEET.differences), width))
    assert max(map(len, lines)) <= width
    assert "package-7, and 42 more" in " ".join(" ".join(lines).split())


def test_what_nobody_could_be_asked_is_said():
    lines = list(render(Plan((worker(1, asked="", activation=()),), not_compared="cp1: no answer"), 100))
    assert "  units: only a node that has the system can say (slipway plan without --no-copy)" in lines
    assert "not compared with the living cluster: cp1: no answer" in lines


def test_a_node_that_restarts_nothing_says_so():
    assert "  units: none" in list(render(Plan((worker(1, activation=()),)), 100))


def test_units_that_have_failed_already_are_told_once_for_all_who_have_them():
    nodes = [worker(n, changed=False, slipway=(), failed_units=("a.service",)) for n in (1, 2)]
    nodes.append(worker(3, changed=False, slipway=(), failed_units=("b.service", "c.mount")))
    assert [line for line in render(Plan(tuple(nodes)), 100) if "failed" in line] == [
        "w1 w2: failed already: a.service; degraded (exit 7) until that is mended",
        "w3: failed already: b.service, c.mount; degraded (exit 7) until that is mended",
    ]
    assert [line for line in render(FLEET, 100) if "failed" in line] == []
