"""The kubelet, its node and its pods.

curl -s http://127.0.0.1:10248/healthz
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from slipway.generate.kubelet import reserves
from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed, workloads
from slipway.verify.packs._kubelet import SEE_FLAGS, KubeletApi
from slipway.verify.packs.k0s._status import COMMAND, K0sStatus
from slipway.wait import WaitedTooLong, wait_until

pytestmark = workloads

Object = dict[str, Any] | None

HEALTH = "curl -sS --max-time 10 http://127.0.0.1:10248/healthz"
STARTING = 60.0
"""Seconds for pods that have not failed yet: right after a deploy they start."""
SYSTEM = "kube-system"
"""The pods that the node itself depends on; those of other namespaces are their owners' business."""


class Pods:
    """The pods of kube-system on this node.

    >>> Pods(api, "w1").unready
    {'cilium-x7k2p': 'cilium-agent: CrashLoopBackOff'}
    """

    def __init__(self, api: KubeletApi, node: str) -> None:
        found = api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
        pods = found["items"] if found else []
        self.system = [pod for pod in pods if pod["metadata"]["namespace"] == SYSTEM]
        self.unready = {pod["metadata"]["name"]: why for pod in self.system if (why := _why_unready(pod))}
        restarts = [each["restartCount"] for pod in self.system for each in pod["status"].get("containerStatuses", ())]
        self.starting = bool(self.unready) and not any(restarts)


def _settled(api: KubeletApi, node: str) -> Pods:
    """The pods, once those that start for the first time have had their time."""
    seen: list[Pods] = []

    def look() -> tuple[Pods | None, str]:
        seen.append(Pods(api, node))
        return (None if seen[-1].starting else seen[-1]), listed(seen[-1].unready)

    with contextlib.suppress(WaitedTooLong):
        wait_until(look, deadline=STARTING, describe=f"pods of {SYSTEM}", interval=1.0)
    return seen[-1]


def _why_unready(pod: dict[str, Any]) -> str:
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded" or pod["metadata"].get("deletionTimestamp"):
        return ""
    containers = status.get("containerStatuses", [])
    waiting = [f"{each['name']}: {_state(each)}" for each in containers if not each["ready"]]
    return listed(waiting) if waiting else "" if containers else str(status.get("phase", "Pending"))


def _state(container: dict[str, Any]) -> str:
    states: dict[str, dict[str, Any]] = container.get("state") or {"unknown": {}}
    kind, detail = next(iter(states.items()))
    return str(detail.get("reason") or ("not ready" if kind == "running" else kind))


def test_is_healthy(host: NodeHost) -> None:
    """kubelet says that it is well."""
    # 7: nobody listens, 28: no answer in time.
    answer = host.run_expect([0, 7, 28], HEALTH)
    expect(
        answer.stdout.strip() == "ok",
        expected="ok",
        found=answer.stdout.strip() or answer.stderr.strip(),
        fix="journalctl -u k0s.service | grep kubelet",
    )


def test_keeps_its_reserves(kubelet_flags: dict[str, str], node: Host) -> None:
    """kubelet keeps from pods what the inventory says, and evicts them where it says."""
    wanted = reserves(node)
    if not wanted:
        pytest.skip("the inventory reserves nothing on this node")
    # None, where kubelet does not run, is the finding of another check.
    kept = {flag: frozenset(values.split(",")) for flag, values in kubelet_flags.items()}
    lost = [f"{flag} {part}" for flag, parts in wanted.items() for part in sorted(parts - kept.get(flag, frozenset()))]
    expect(
        not lost,
        expected=listed(f"{flag}={','.join(sorted(parts))}" for flag, parts in wanted.items()),
        found=f"without {listed(lost)}" if kubelet_flags else "no kubelet runs",
        fix=f"slipway deploy {node.name}, which restarts its k0s",
        command=SEE_FLAGS,
    )


def test_reaches_the_api(status: K0sStatus) -> None:
    """k0s reaches the API server with the kubelet's credentials."""
    expect(
        status.connected,
        expected="a connection to the API",
        found=status.connection_error or status.said or "no connection",
        fix="does the controller run, and is it the one in: grep server: /var/lib/k0s/kubelet.conf",
        command=COMMAND,
    )


def test_node_is_ready(known: Object, node: Host) -> None:
    """The node is Ready, as the API says."""
    conditions = {each["type"]: each for each in known["status"]["conditions"]} if known else {}
    ready = conditions.get("Ready", {})
    why = f"{ready.get('status')}: {ready.get('reason')}: {ready.get('message')}" if ready else "no condition Ready"
    expect(
        ready.get("status") == "True",
        expected="Ready",
        found=why if known else f"the API knows no node {node.name}",
        fix="NetworkPluginNotReady: does the pod network run on it? Else journalctl -u k0s.service",
        command=f"k0s kubectl describe node {node.name}  # on a controller",
    )


def test_node_is_schedulable(known: Object, node: Host) -> None:
    """The node takes pods."""
    cordoned = bool(known and known["spec"].get("unschedulable"))
    expect(
        known is not None and not cordoned,
        expected="not cordoned",
        found="cordoned" if known else f"the API knows no node {node.name}",
        fix=f"k0s kubectl uncordon {node.name}  # on a controller; a deploy that broke off leaves a node cordoned",
        command=f"k0s kubectl get node {node.name}  # on a controller",
    )


def test_node_has_its_address(known: Object, node: Host) -> None:
    """The node is known to the API by its address in the inventory."""
    addresses = (
        [each["address"] for each in known["status"]["addresses"] if each["type"] == "InternalIP"] if known else []
    )
    expect(
        node.address in addresses,
        expected=f"InternalIP {node.address}",
        found=listed(addresses),
        fix="--node-ip in kubelet's arguments; slipway generate sets it",
        command=f"k0s kubectl get node {node.name} -o wide  # on a controller",
    )


def test_system_pods_run(api: KubeletApi, node: Host) -> None:
    """The pods of kube-system on this node run and are ready."""
    pods = _settled(api, node.name)
    expect(
        bool(pods.system) and not pods.unready,
        expected="every container ready",
        found=listed(f"{name}: {why}" for name, why in pods.unready.items()) if pods.system else "no pod at all",
        fix="k0s kubectl -n kube-system describe pod NAME  # on a controller; logs --previous",
        command=f"k0s kubectl -n kube-system get pods --field-selector spec.nodeName={node.name}  # on a controller",
    )
