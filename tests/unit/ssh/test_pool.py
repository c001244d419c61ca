"""Many machines at once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import SlipwayError, Unreachable
from slipway.inventory import load
from slipway.ssh.keys import HostKeyRefused
from slipway.ssh.pool import Pool, Unforeseen, for_each, together


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
    end = time.monotonic() + 60
    while time.monotonic() < end:
        stat = Path(f"/proc/{shell}/stat")
        if not stat.exists() or " Z " in stat.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"shell {shell} still runs")


def test_errors_of_many_are_one_that_tells_each_once_and_what_lets_us_in():
    silent: dict[str, SlipwayError] = {f"w{number}": Unreachable(f"w{number}: silent") for number in range(3)}
    found = together(silent, "slipway status")
    assert (str(found), found.hint) == ("3 nodes (w0 w1 w2): silent", "slipway status")
    found = together({**silent, "w9": HostKeyRefused("w9: no host key is pinned")}, "slipway status")
    assert str(found).splitlines()[1] == "w9: no host key is pinned"
    assert found.hint == "slipway trust w9"


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


def test_nothing_that_happens_to_one_ends_the_others():
    """An odd answer of one node ended the run of all, with exit code 1 and no results."""
    results = for_each(lambda name: int(name), ["1", "odd", "2"])
    odd = results.pop("odd")
    assert results == {"1": 1, "2": 2}
    assert isinstance(odd, Unforeseen)
    assert str(odd).startswith("odd: ValueError in test_pool.py:")
    assert "invalid literal" in str(odd)


def test_an_interruption_is_nobody_s_result():
    def interrupt(_name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(interrupt, ["a", "b"])


def test_an_interruption_while_work_is_handed_out_is_one_too(monkeypatch):
    """It ended as an UnboundLocalError, and what had begun was waited for by nobody."""
    begun, submit = threading.Event(), ThreadPoolExecutor.submit

    def interrupted(executor, function, name):
        if name == "b":
            raise KeyboardInterrupt
        return submit(executor, function, name)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        for_each(lambda _name: begun.set(), ["a", "b", "c"])
    assert begun.is_set(), "what has begun may end"


FEW_DESCRIPTORS = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import KnownHosts
from slipway.ssh.pool import Pool

folder, port, user, hard = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
node = Endpoint("node", "127.0.0.1", port, user, folder / "client")
with Pool([replace(node, name=f"w{n}") for n in range(45)], KnownHosts.load(folder / "known_hosts")) as pool:
    answers = pool.map(lambda host: host.run(["true"]).ok, limit=4)
bad = [answer for answer in answers.values() if answer is not True]
print(len(bad), *sorted({f"{type(error).__name__}: {error.hint}" for error in bad}))
"""


def few_descriptors(sshd, hard: int) -> str:
    argv = [sys.executable, "-c", FEW_DESCRIPTORS, str(sshd.folder), str(sshd.port), sshd.endpoint.user, str(hard)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_many_machines_need_no_setting_of_the_user(sshd):
    assert few_descriptors(sshd, 4096) == "0\n"


def test_where_no_descriptor_is_left_that_is_said(sshd):
    number, _, told = few_descriptors(sshd, 40).partition(" ")
    assert 0 < int(number) < 45
    assert told == "PrerequisiteMissing: ulimit -n 4096, or fewer nodes\n"


def test_nothing_to_do_is_done():
    assert for_each(lambda name: name, []) == {}


INVENTORY = """
apiVersion: slipway/v1
cluster: {{name: test, k0s: {{version: 1.36.3+k0s.2}}}}
defaults:
  ssh: {{user: {user}, identity: {identity}}}
  network: {{interface: eth0, prefixLength: 24}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller, ssh: {{address: 127.0.0.1, port: {port}}}}}
"""


def test_a_machine_is_reached_where_its_inventory_says(sshd, tmp_path):
    """`ssh.address`: the node's own is one that nobody here can reach."""
    values = {"user": sshd.endpoint.user, "identity": sshd.folder / "client", "port": sshd.port}
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(**values))
    (tmp_path / "known_hosts").write_text((sshd.folder / "known_hosts").read_text())
    with Pool.of(load(tmp_path)) as pool:
        assert pool.host("cp1").run(["echo", "in"]).stdout == "in\n"
        with pool.openssh("cp1") as words:
            login = f"{sshd.endpoint.user}@cp1"
            said = subprocess.run(["ssh", *words, login, "echo in"], capture_output=True, text=True, check=False)
        assert said.stdout == "in\n", said.stderr
