"""Canaries: a fake controller whose API takes them, or does not."""

import json
from typing import Any

import pytest
from tests.unit.verify.fakes import Canned, FakeHost

from slipway.errors import SlipwayError
from slipway.result import CommandFailed, CommandResult
from slipway.verify import canary

LONGEST_NAME = 63
"""Characters of a Job's name, which becomes a label of its pods."""
PAUSE = [{"names": ["registry.example/pause@sha256:00", "registry.example/pause:3.10"]}]


class FakeApi(FakeHost):
    """A fake API that makes a pod of every Job, on nodes of those names."""

    def __init__(self, *nodes: str, images: Any = PAUSE, takes: bool = True) -> None:
        super().__init__("cp1", lambda _: Canned(""))
        self._nodes = [{"metadata": {"name": name}, "status": {"images": images}} for name in nodes]
        self._takes = takes
        self.jobs: list[Any] = []

    def run(self, argv: Any, *, input: Any = None, **_how: Any) -> CommandResult:
        words = argv[2].split()[2:]
        result = CommandResult(tuple(argv), "cp1", 0, "", "", 0.001)
        if words[0] == "create" and not self._takes:
            raise CommandFailed(CommandResult(tuple(argv), "cp1", 1, "", "denied by a webhook", 0.001))
        if words[0] == "create":
            self.jobs = self._taken(json.loads(input)["items"])
        if words[0] == "delete":
            self.jobs = []
        said = {"nodes": self._nodes, "pods": list(map(self._pod, self.jobs))}.get(words[1], [])
        return CommandResult(result.argv, "cp1", 0, json.dumps({"items": said}), "", 0.001)

    @staticmethod
    def _taken(jobs: list[Any]) -> list[Any]:
        names = [job["metadata"]["name"] for job in jobs]
        if not jobs or len(set(names)) < len(names) or any(len(name) > LONGEST_NAME for name in names):
            raise CommandFailed(CommandResult((), "cp1", 1, "", f"no objects, or not these: {names}", 0.001))
        return jobs

    def _pod(self, job: Any) -> Any:
        return {
            "metadata": job["spec"]["template"]["metadata"],
            "status": {"phase": "Running", "podIPs": [{"ip": "10.244.0.7"}]},
        }


def test_every_node_gets_one_and_none_is_left():
    api = FakeApi("w1", "w2")
    with canary.placed(api, ["w1", "w2", "w3"]) as found:
        assert {name: each.runs for name, each in found.items()} == {"w1": True, "w2": True, "w3": False}
        assert found["w3"].state == "the cluster has no such node"
        pods = [job["spec"]["template"]["spec"] for job in api.jobs]
        assert [pod["nodeName"] for pod in pods] == ["w1", "w2"]
        assert {each["image"] for pod in pods for each in pod["containers"]} == {"registry.example/pause:3.10"}
    assert api.jobs == []


class SlowApi(FakeApi):
    """Pods run from the fifth look on, on nodes of which this is said; `busy` tells whether they are Ready."""

    def __init__(self, *nodes: str, busy: bool) -> None:
        super().__init__(*nodes)
        self.looks = 0
        for node in self._nodes:
            node["status"] = {"images": PAUSE, "conditions": [{"type": "Ready", "status": str(busy)}]}

    def _pod(self, job: Any) -> Any:
        self.looks += 1
        return {**super()._pod(job), **({"status": {"phase": "Pending"}} if self.looks < 5 else {})}


@pytest.mark.parametrize("busy", [True, False])
def test_a_busy_node_has_longer_and_one_that_is_not_ready_keeps_nobody_waiting(monkeypatch, busy):
    monkeypatch.setattr(canary, "STARTING", 0.0)
    with canary.placed(SlowApi("w1", busy=busy), ["w1"]) as found:
        assert found["w1"].runs == busy


def test_nodes_whose_long_names_begin_alike_have_one_each():
    names = [f"{'long-name-of-a-node-' * 2}in-rack-{number}" for number in (1, 2)]
    with canary.placed(FakeApi(*names), names) as found:
        assert {name: each.runs for name, each in found.items()} == dict.fromkeys(names, True)


def test_where_the_cluster_knows_none_of_the_nodes_each_says_so():
    with canary.placed(FakeApi("w1"), ["w2"]) as found:
        assert found["w2"].state == "the cluster has no such node"


def test_kubernetes_takes_away_what_nobody_else_does():
    api = FakeApi("w1")
    with canary.placed(api, ["w1"]):
        (job,) = api.jobs
    assert job["spec"]["activeDeadlineSeconds"] > 0
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_it_lives_as_much_longer_as_a_burn_in_takes():
    api = FakeApi("w1")
    with canary.placed(api, ["w1"], burn_in=3600.5):
        (job,) = api.jobs
    assert job["spec"]["activeDeadlineSeconds"] == canary.DEADLINE + 3601


def test_none_is_left_where_the_verification_breaks_off():
    api = FakeApi("w1")
    with pytest.raises(KeyboardInterrupt), canary.placed(api, ["w1"]):
        assert api.jobs
        raise KeyboardInterrupt
    assert api.jobs == []


@pytest.mark.parametrize("api", [FakeApi("w1", takes=False), FakeApi("w1", images=[])])
def test_where_none_is_taken_the_reason_is_told(api):
    with pytest.raises(SlipwayError, match=r"webhook|pause"), canary.placed(api, ["w1"]):
        pass
