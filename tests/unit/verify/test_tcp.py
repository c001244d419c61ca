"""Ports of other nodes, tried from one: here from this machine, at its own loopback addresses."""

import socket
import subprocess
from contextlib import closing

import pytest

from slipway.verify.backend import Answer, host_of
from slipway.verify.packs.network._tcp import State, Target, tried

PATIENCE = 60.0
"""Seconds; a free way answers at once, on a busy machine a while later."""


def here(command: str, timeout: float) -> Answer:
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=timeout, check=False)
    return Answer(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_a_port_is_open_or_refused_in_either_family(family, address):
    with closing(socket.create_server((address, 0), family=family)) as server, closing(socket.socket(family)) as mute:
        mute.bind((address, 0))  # taken, and nobody listens there
        there, shut = (Target("n2", address, each.getsockname()[1]) for each in (server, mute))
        assert tried(host_of("n1", here), [there, shut], wait=PATIENCE) == {there: State.OPEN, shut: State.REFUSED}


def test_an_address_of_ipv6_is_told_in_brackets():
    assert str(Target("cp1", "fd00::11", 6443)) == "cp1 [fd00::11]:6443"
    assert str(Target("cp1", "10.0.0.11", 6443)) == "cp1 10.0.0.11:6443"
