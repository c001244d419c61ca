"""One command on many nodes."""

from dataclasses import replace

import pytest

from slipway.errors import Interrupted
from slipway.events import Event, Events
from slipway.rollout.ask import Round
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


def test_the_connections_of_an_interrupted_pool_stay_shut(pool):
    pool.shut()
    with pytest.raises(Interrupted):
        pool.remote("w0").run(["true"])
    with pool.remote("w1").fresh(cut=True) as fresh, pytest.raises(Interrupted):
        fresh.run(["true"])
    with pool.remote("w1").fresh() as fresh:
        assert fresh.run(["true"]).ok, "what has to be cleared up still can be"
