"""Many machines at once."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import Unreachable
from slipway.ssh.pool import Pool, for_each


@pytest.fixture
def pool(sshd):
    endpoints = [replace(sshd.endpoint, name=f"node{number}") for number in range(50)]
    endpoints.append(replace(sshd.endpoint, name="dead", port=1))
    with Pool(endpoints, sshd.known_hosts) as pool:
        yield pool


def test_each_machine_gives_its_result_or_its_error(pool):
    results = pool.map(lambda host: host.run(["echo", host.name]).stdout.strip())
    assert isinstance(results.pop("dead"), Unreachable)
    assert results == {f"node{number}": f"node{number}" for number in range(50)}
    assert list(results) == [f"node{number}" for number in range(50)]


def test_a_machine_s_connection_is_kept(pool):
    ask = lambda host: host.run(["sh", "-c", "echo $PPID"]).stdout  # noqa: E731
    assert pool.map(ask, ["node1", "node2"]) == pool.map(ask, ["node1", "node2"])


def test_closing_ends_the_connections(sshd):
    with Pool([sshd.endpoint], sshd.known_hosts) as pool:
        shell = pool.host("node").run(["sh", "-c", "echo $PPID"]).stdout.strip()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        stat = Path(f"/proc/{shell}/stat")
        if not stat.exists() or " Z " in stat.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"shell {shell} still runs")


def test_no_more_than_the_limit_at_a_time():
    lock, now, most = threading.Lock(), 0, 0

    def work(name):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    for_each(work, [str(number) for number in range(20)], limit=4)
    assert most == 4


def test_a_mistake_of_ours_is_not_a_result():
    with pytest.raises(ZeroDivisionError):
        for_each(lambda _name: 1 / 0, ["a", "b"])


def test_nothing_to_do_is_done():
    assert for_each(lambda name: name, []) == {}
