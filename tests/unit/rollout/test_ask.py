"""One command on many nodes."""

from dataclasses import replace

import pytest

from slipway.errors import Interrupted
from slipway.events import Event, Events
from slipway.rollout.ask import Answer, Round, groups
from slipway.ssh.pool import Pool


@pytest.fixture
def pool(sshd):
    endpoints = [replace(sshd.endpoint, name=f"w{number}") for number in range(3)]
    with Pool([*endpoints, replace(sshd.endpoint, name="dead", port=1)], sshd.known_hosts) as pool:
        yield pool


def test_each_node_answers_and_equal_answers_are_kept_once(pool):
    told: list[Event] = []
    asking = Round(pool, Events(told.append), ["echo", "hi"], 10)
    asking.ask(["w0", "w1", "w2", "dead"])
    assert asking.answers["w0"] is asking.answers["w2"]
    assert asking.answers["w0"].stdout == "hi\n"
    dead = asking.answers["dead"]
    assert (dead.unreachable, dead.error) == (True, "connection refused")
    assert {(event.node, event.state) for event in told} >= {("w0", "done"), ("dead", "failed")}


def test_errors_that_differ_in_the_key_alone_are_the_same_and_one_keeps_its_own():
    def refused(name: str) -> Answer:
        return Answer(error=f"no host key is pinned; it shows SHA256:{name}", unreachable=True, untrusted=True)

    answers = {name: refused(name) for name in ("w1", "w2")} | {"w3": Answer(0, "hi\n")}
    (both, told), (one, _) = groups(answers, ["w1", "w2", "w3"])
    assert (both, told.error, one) == (["w1", "w2"], "no host key is pinned; it shows SHA256:...", ["w3"])
    assert groups(answers, ["w1"]) == [(["w1"], refused("w1"))]


def test_the_connections_of_an_interrupted_pool_stay_shut(pool):
    pool.shut()
    with pytest.raises(Interrupted):
        pool.remote("w0").run(["true"])
    with pool.remote("w1").fresh(cut=True) as fresh, pytest.raises(Interrupted):
        fresh.run(["true"])
    with pool.remote("w1").fresh() as fresh:
        assert fresh.run(["true"]).ok, "what has to be cleared up still can be"
