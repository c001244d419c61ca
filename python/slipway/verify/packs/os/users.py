"""Who may become whom.

awk -F: '$3 == 0' /etc/passwd
"""

from __future__ import annotations

from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed


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
