"""Taking the pods off a node, against a fake kubectl that keeps nodes, pods and budgets."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.cluster import drain
from slipway.events import Events
from slipway.inventory.model import Drain
from slipway.result import CommandFailed, CommandResult, OddAnswer
from slipway.tools import kubectl


def pod(name: str, *, owner: str = "ReplicaSet", namespace: str = "default", **more: Any) -> dict[str, Any]:
    owners = [{"kind": owner, "controller": True}] if owner else []
    about = {"name": name, "namespace": namespace, "labels": {"app": "web"}, "ownerReferences": owners}
    about |= {key: more.pop(key) for key in ("annotations", "deletionTimestamp") if key in more}
    return {"metadata": about, "status": {"phase": more.get("phase", "Running")}}


def budget(selector: dict[str, Any], allowed: int = 0, namespace: str = "default") -> dict[str, Any]:
    about = {"name": "web", "namespace": namespace}
    return {"metadata": about, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


class FakeKubectl:
    """`attempts`: how each call of `kubectl drain` ends, the last one again and again."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {"w1": {"metadata": {"name": "w1"}, "spec": {}}}
        self.pods: list[dict[str, Any]] = []
        self.budgets: list[dict[str, Any]] = []
        self.attempts = [""]
        self.drains: list[list[str]] = []

    def __call__(self, _kubeconfig, *words, **_how):
        match words:
            case ("patch", "node", name, "--type=merge", patch):
                self.patch(self.nodes[name], json.loads(patch.removeprefix("--patch=")))
                return self.done("")
            case ("get", "pods", "--all-namespaces", "--output=json", "--field-selector=spec.nodeName=w1"):
                return self.done(json.dumps({"items": self.pods}))
            case ("get", "poddisruptionbudgets", "--all-namespaces", "--output=json"):
                return self.done(json.dumps({"items": self.budgets}))
            case ("drain", *rest):
                self.drains.append(rest)
                trouble = self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]
                if trouble:
                    raise CommandFailed(CommandResult(("kubectl", *words), "localhost", 1, "", trouble, 1.0))
                return self.done("")
        raise AssertionError(f"nobody has taught the fake this: {words}")

    def get(self, _kubeconfig, kind, name=""):
        assert kind == "nodes"
        return self.nodes.get(name, {}) if name else {"items": list(self.nodes.values())}

    def patch(self, node: dict[str, Any], change: dict[str, Any]) -> None:
        for section, fields in (("spec", change["spec"]), ("annotations", change["metadata"]["annotations"])):
            target = node["spec"] if section == "spec" else node["metadata"].setdefault("annotations", {})
            for key, value in fields.items():
                target.pop(key, None)
                if value is not None:
                    target[key] = value

    def done(self, text: str) -> CommandResult:
        return CommandResult(("kubectl",), "localhost", 0, text, "", 0.1)


@pytest.fixture
def fake(monkeypatch):
    found = FakeKubectl()
    monkeypatch.setattr(kubectl, "kubectl", found)
    monkeypatch.setattr(kubectl, "get", found.get)
    monkeypatch.setattr(drain, "PAUSE", 0.0)
    return found


def go(said: list[str] | None = None, given_up: Callable[[], bool] = lambda: False, **settings: Any) -> None:
    drain.drain(KUBECONFIG, "w1", Drain(**settings), (said if said is not None else []).append, given_up)


def test_what_slipway_cordons_it_lets_back(fake):
    assert drain.cordon(KUBECONFIG, "w1")
    assert fake.nodes["w1"]["spec"] == {"unschedulable": True}
    assert drain.left_cordoned(KUBECONFIG, ["w1", "w9"]) == ("w1",)
    drain.uncordon(KUBECONFIG, "w1")
    assert fake.nodes["w1"]["spec"] == {}
    assert drain.left_cordoned(KUBECONFIG, ["w1"]) == ()


def test_what_an_earlier_run_has_cordoned_is_slipway_s_too(fake):
    drain.cordon(KUBECONFIG, "w1")
    assert drain.cordon(KUBECONFIG, "w1")


def test_what_somebody_else_has_cordoned_is_not(fake):
    fake.nodes["w1"]["spec"] = {"unschedulable": True}
    assert not drain.cordon(KUBECONFIG, "w1")
    assert drain.left_cordoned(KUBECONFIG, ["w1"]) == ()


def test_pods_have_the_grace_of_the_inventory_or_their_own(fake):
    go()
    go(grace="90s")
    assert not any("--grace-period" in word for word in fake.drains[0])
    assert "--grace-period=90" in fake.drains[1]
    assert not {"--force", "--disable-eviction"} & {word for words in fake.drains for word in words}


def test_a_budget_that_holds_it_up_is_named_until_it_gives_way(fake):
    fake.attempts = ["error when evicting pods", "error when evicting pods", ""]
    fake.pods, fake.budgets = [pod("web-0")], [budget({"matchLabels": {"app": "web"}})]
    said: list[str] = []
    go(said)
    assert said == ["drain waits for default/web-0: PodDisruptionBudget web allows no disruption"] * 2


def test_a_drain_that_does_not_come_to_its_end_names_the_pod(fake, monkeypatch):
    ticking(monkeypatch)
    fake.attempts = ["error: global timeout reached: 10s"]
    fake.pods, fake.budgets = [pod("web-0")], [budget({"matchLabels": {"app": "web"}})]
    with pytest.raises(drain.DrainStuck) as caught:
        go(timeout="30s")
    assert str(caught.value) == (
        "w1: drain waits for default/web-0: PodDisruptionBudget web allows no disruption; "
        "not drained after 30 s, nothing was changed"
    )
    assert caught.value.hint and "slipway deploy --no-drain w1" in caught.value.hint
    assert len(fake.drains) == 2


def test_who_removes_a_node_is_not_sent_to_a_deploy(fake, monkeypatch):
    ticking(monkeypatch)
    fake.attempts, fake.pods = ["error: global timeout reached: 10s"], [pod("web-0")]
    with pytest.raises(drain.DrainStuck) as caught:
        drain.empty(KUBECONFIG, "w1", Drain.model_validate({"timeout": "30s"}), Events(), command="slipway node remove")
    assert caught.value.hint and caught.value.hint.endswith("slipway node remove --no-drain w1")


def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is ten seconds after the one before."""
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))


def test_without_an_answer_about_pods_kubectl_s_own_words_are_told(fake, monkeypatch):
    ticking(monkeypatch)
    fake.attempts = ["error: no route to host"]
    with pytest.raises(drain.DrainStuck, match="drain waits for error: no route to host"):
        go(timeout="20s")


def test_whoever_gives_up_is_not_kept_waiting(fake):
    fake.attempts = ["error"]
    with pytest.raises(drain.Abandoned):
        go(given_up=lambda: bool(fake.drains))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (pod("a", owner=""), "default/a: has no controller that would start it elsewhere; delete it if it may go"),
        (pod("a", deletionTimestamp="2026-01-01T00:00:00Z"), "default/a: is still ending"),
        (pod("a"), "default/a: PodDisruptionBudget web allows no disruption"),
        (pod("a", namespace="other"), "other/a: is still there"),
        (pod("a", owner="DaemonSet"), None),
        (pod("a", owner="", annotations={drain.MIRROR: "x"}), None),
        (pod("a", phase="Succeeded"), None),
    ],
)
def test_each_pod_that_has_to_go_is_told_with_its_reason(fake, found, told):
    fake.pods, fake.budgets = [found], [budget({})]
    assert drain.blockers(KUBECONFIG, "w1") == ((told,) if told else ())


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        ({"key": "app", "operator": "In", "values": ["web", "api"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["web"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_selectors_are_read_as_kubernetes_reads_them(fake, rule, covers):
    fake.pods, fake.budgets = [pod("a")], [budget({"matchExpressions": [rule]})]
    (told,) = drain.blockers(KUBECONFIG, "w1")
    assert ("PodDisruptionBudget" in told) is covers


def test_a_budget_with_room_holds_nobody_up(fake):
    fake.pods, fake.budgets = [pod("a")], [budget({}, allowed=1)]
    assert drain.blockers(KUBECONFIG, "w1") == ("default/a: is still there",)


def test_of_many_pods_the_first_are_named_and_the_rest_counted(fake):
    fake.pods = [pod(f"p{n}") for n in range(8)]
    told = drain.blockers(KUBECONFIG, "w1")
    assert len(told) == 6 and told[-1] == "3 more"


def test_an_odd_answer_is_the_api_server_s_error(fake):
    fake.nodes["w1"] = {"metadata": {"name": "w1"}, "spec": None}
    with pytest.raises(OddAnswer):
        drain.cordon(KUBECONFIG, "w1")
