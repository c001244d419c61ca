"""The way in: what sshd offers to somebody without a key.

ssh -o PreferredAuthentications=none root@NODE
"""

from __future__ import annotations

import re

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

PROBE = (
    "ssh -F /dev/null -p %s -o BatchMode=yes -o ConnectTimeout=10 -o PreferredAuthentications=none"
    " -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR %s true"
)


class Offers:
    """The ways to log in that the running sshd offers, asked on the node itself.

    >>> Offers(host, node).methods
    {'publickey'}
    """

    def __init__(self, host: NodeHost, node: Host) -> None:
        # 255: ssh itself, which could not log in. 0 would be a login without anything at all.
        answer = host.run_expect([0, 255], PROBE, str(node.ssh.port), f"{node.ssh.user}@{node.address}")
        self.open = answer.rc == 0
        refused = re.search(r"Permission denied \(([^)]*)\)", answer.stderr)
        if not self.open and refused is None:
            raise CannotRun(f"sshd did not answer the probe: {answer.stderr.strip()}")
        self.methods = {"none"} if refused is None else set(refused[1].split(","))


def test_takes_keys_only(host: NodeHost, node: Host) -> None:
    """sshd takes keys and no passwords."""
    methods = Offers(host, node).methods
    expect(
        methods == {"publickey"},
        expected="publickey",
        found=listed(sorted(methods)),
        fix="services.openssh.settings: PasswordAuthentication and KbdInteractiveAuthentication = false; deploy",
        command="sshd -T | grep -i authentication",
    )
