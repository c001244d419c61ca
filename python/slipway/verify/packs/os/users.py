"""Who may become whom.

awk -F: '$3 == 0' /etc/passwd
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from slipway.inventory import Host
from slipway.inventory.model import User
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed
from slipway.verify.packs._reads import Answers


def test_only_root_is_root(host: NodeHost) -> None:
    """No other user has root's number."""
    names = host.check_output("awk -F: '$3 == 0 {print $1}' /etc/passwd").split()
    expect(
        names == ["root"],
        expected="root",
        found=listed(names),
        fix="remove the others from users.users and from /etc/passwd",
    )


def test_no_password_is_empty(host: NodeHost) -> None:
    """Nobody can log in with an empty password."""
    # The file itself stays on the node: it holds the hashes of the others.
    names = host.check_output("""awk -F: '$2 == "" {print $1}' /etc/shadow""").split()
    expect(
        not names,
        expected="a password, a key or a lock for every user",
        found=f"empty password: {listed(names)}",
        fix=f'passwd --lock {names[0] if names else "USER"}; users.users.NAME.hashedPassword = "!";',
    )


def test_accounts_are_declared(answers: Answers, node: Host) -> None:
    """Every account of the inventory is there, in its groups and with its keys and no others."""
    if not node.users:
        pytest.skip("the inventory names no account")
    _, *parts = re.split(r"(?m)^account (\S+) ?(.*)$", answers["accounts"].said())
    found = {name: (groups.split(), _bodies(keys)) for name, groups, keys in zip(*[iter(parts)] * 3, strict=True)}
    wrong = [text for name, user in node.users.items() for text in _amiss(name, user, *found.get(name, ([], set())))]
    expect(
        not wrong,
        expected=listed(f"{name}: {len(user.authorized_keys)} keys" for name, user in node.users.items()),
        found=listed(wrong),
        fix=f"slipway deploy {node.name}; keys of other modules for these accounts belong into users of the inventory",
        command="id NAME; cat /etc/ssh/authorized_keys.d/NAME",
    )


def _amiss(name: str, user: User, groups: list[str], keys: set[str]) -> Iterator[str]:
    if not groups:
        yield f"{name}: no such account"
        return
    yield from (f"{name} not in {group}" for group in user.extra_groups if group not in groups)
    declared = {" ".join(key.split()[:2]): key.split()[-1] for key in user.authorized_keys}
    yield from (f"{name} without the key {comment}" for body, comment in declared.items() if body not in keys)
    strange = len(keys - set(declared))
    if strange:
        yield f"{name}: {strange} keys that are not declared"


def _bodies(text: str) -> set[str]:
    words = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {" ".join(each[:2]) for each in words}
