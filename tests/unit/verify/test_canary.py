"""Canaries: a fake controller whose API takes them, or does not."""

import json
from typing import Any

import pytest
from tests.unit.verify.fakes import Canned, FakeHost

from slipway.errors import SlipwayError
from slipway.result import CommandFailed, CommandResult
from slipway.verify import canary

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
            self.jobs = json.loads(input)["items"]
        if words[0] == "delete":
            self.jobs = []
        said = {"nodes": self._nodes, "pods": list(map(self._pod, self.jobs))}.get(words[1], [])
        return CommandResult(result.argv, "cp1", 0, json.dumps({"items": said}), "", 0.001)

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


def test_kubernetes_takes_away_what_nobody_else_does():
    api = FakeApi("w1")
    with canary.placed(api, ["w1"]):
        (job,) = api.jobs
    assert job["spec"]["activeDeadlineSeconds"] > 0
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


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
