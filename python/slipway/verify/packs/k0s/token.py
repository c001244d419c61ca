"""The join token, which is of no more use once the node has joined, and the leave to found a cluster.

stat -c '%a %U %s' /etc/k0s/k0stoken
"""

from __future__ import annotations

import pytest

from slipway.inventory import Host, Role
from slipway.verify.backend import NodeHost
from slipway.verify.check import controllers, expect

TOKEN = "/etc/k0s/k0stoken"  # noqa: S105 (a path)
STAT = f"stat -c '%a %U %s' {TOKEN}"
SENTINEL = "/var/lib/slipway/allow-bootstrap"


class TokenFile:
    """The file of the token: mode, owner and size, never what is in it.

    >>> TokenFile(host).size
    0
    """

    def __init__(self, host: NodeHost) -> None:
        # 1: no such file.
        answer = host.run_expect([0, 1], STAT)
        self.there = answer.rc == 0
        mode, owner, size = answer.stdout.split() if self.there else ("", "", "0")
        self.mode, self.owner, self.size = mode, owner, int(size)


@pytest.fixture(scope="session")
def file(host: NodeHost) -> TokenFile:
    return TokenFile(host)


def _joins(node: Host) -> bool:
    return node.role is not Role.SINGLE


def test_is_roots_alone(file: TokenFile, node: Host) -> None:
    """The token's file is there and only root can read it."""
    alone = (file.mode, file.owner) == ("600", "root")
    # Without the file a controller that lost its data would found a second cluster.
    expect(
        alone or not (file.there or _joins(node)),
        expected="600 root",
        found=f"{file.mode} {file.owner}" if file.there else "no such file",
        fix=f"install -m 0600 /dev/null {TOKEN}",
        command=STAT,
    )


def test_is_emptied(file: TokenFile, node: Host) -> None:
    """The token is gone from the node."""
    role = "controller" if node.is_controller else "worker"
    expect(
        file.size == 0,
        expected="an empty file",
        found=f"{file.size} bytes",
        fix=f"truncate -s 0 {TOKEN}; on a controller: k0s token list --role={role}, k0s token invalidate ID",
        command=STAT,
    )


@controllers
def test_leave_to_found_is_withdrawn(host: NodeHost) -> None:
    """This controller may not found another cluster."""
    # 1: no such file.
    answer = host.run_expect([0, 1], "test -e %s", SENTINEL)
    expect(
        answer.rc == 1,
        expected="no such file",
        found=f"{SENTINEL} is there",
        fix=f"rm {SENTINEL} (the first deploy broke off before it could)",
        command=f"ls {SENTINEL}",
    )
