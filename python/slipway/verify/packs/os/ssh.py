"""The way in: what sshd offers to somebody without a key.

ssh -o PreferredAuthentications=none root@NODE
"""

from __future__ import annotations

import re

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed
from slipway.verify.packs._reads import Answers

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


WANTED = {
    "passwordauthentication": ("no",),
    "kbdinteractiveauthentication": ("no",),
    "permitemptypasswords": ("no",),
    "x11forwarding": ("no",),
    "permitrootlogin": ("no", "without-password", "prohibit-password", "forced-commands-only"),
}
"""Settings of sshd, as `sshd -T` spells them, to what is safe."""


def test_settings_are_safe(answers: Answers, node: Host) -> None:
    """sshd is configured as the inventory and slipway's module say."""
    lines = (line.split(maxsplit=1) for line in answers["sshd"].said().splitlines())
    found = [(line[0].lower(), line[1]) for line in lines if len(line) == 2]
    if not found:
        raise CannotRun("sshd -T says nothing")
    known = dict(found)
    wrong = [f"{key} {known.get(key, 'unset')}" for key, safe in WANTED.items() if known.get(key) not in safe]
    if str(node.ssh.port) not in {value for key, value in found if key == "port"}:
        wrong.append(f"port {known.get('port')}")
    expect(
        not wrong,
        expected=f"port {node.ssh.port}, keys only, root by key at most",
        found=listed(wrong),
        fix="services.openssh.settings in hosts/NAME.nix or modules/; deploy",
        command="sshd -T",
    )


def test_keys_are_declared(answers: Answers, node: Host) -> None:
    """Whoever the inventory names can log in, and nobody whose key was put there by hand."""
    # 1: there is no file of keys that were put there by hand, which is usual.
    system, mark, by_hand = answers["keys"].said((0, 1)).partition("by hand\n")
    if not mark:
        raise CannotRun("the files of keys could not be read")
    declared = {" ".join(key.split()[:2]): key.split()[-1] for key in node.ssh.authorized_keys}
    if not declared:
        pytest.skip("the inventory names no key (ssh.authorizedKeys)")
    # What stands in the system's own file is declared, if not here then in a module of the user's.
    known, added = _keys(system), _keys(by_hand)
    missing = [f"missing: {name}" for body, name in declared.items() if body not in known | added]
    strange = [f"not declared: {name}" for body, name in added.items() if body not in declared | known]
    expect(
        not missing and not strange,
        expected=listed(declared.values()),
        found=listed(missing + strange),
        fix="take it out of ~/.ssh/authorized_keys, or write it into ssh.authorizedKeys of the inventory; deploy",
        command=f"cat /etc/ssh/authorized_keys.d/{node.ssh.user}; cat ~/.ssh/authorized_keys",
    )


def _keys(text: str) -> dict[str, str]:
    """Kind and body of each key to its comment."""
    words = (line.split() for line in text.splitlines() if line.startswith(("ssh-", "ecdsa-", "sk-")))
    return {" ".join(each[:2]): each[-1] for each in words}
