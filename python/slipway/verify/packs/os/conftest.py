"""What several checks of this pack ask once."""

from __future__ import annotations

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.packs._reads import Answers, Read
from slipway.verify.packs.os.mounts import FSTAB, MOUNTS
from slipway.verify.packs.os.storage import READ as STORAGE

ACCOUNT = 'echo "account $name $(id -nG "$name" 2>/dev/null)"; cat "/etc/ssh/authorized_keys.d/$name" 2>/dev/null'


@pytest.fixture(scope="session")
def answers(host: NodeHost, node: Host) -> Answers:
    home = f"$(getent passwd {node.ssh.user} | cut -d: -f6)"
    keys = f"cat /etc/ssh/authorized_keys.d/{node.ssh.user}; echo by hand; cat {home}/.ssh/authorized_keys"
    return Answers(
        host,
        (
            Read("links", "ip -j -d link show"),
            Read(
                "inodes",
                "for path in /var/lib/k0s /nix/store; do"
                ' [ -e "$path" ] && at="$path" || at=$(dirname "$path");'
                ' df --output=iavail,itotal "$at" | sed "1d; s,^,$path ,"; done',
            ),
            # 3: the kernel is not on a file system of its own.
            Read("boot", "grep -q ' /boot ' /proc/mounts || exit 3; df --block-size=1 --output=avail /boot | sed 1d"),
            Read("generations", "ls -d /nix/var/nix/profiles/system-*-link | wc -l"),
            Read("journal", "journalctl --boot --priority=crit --no-pager --quiet --output=short --lines=20", 30),
            Read("fstab", FSTAB),
            Read("mounts", MOUNTS),
            *((Read("storage", STORAGE),) if any(node.storage.model_dump().values()) else ()),
            Read("made of", "cat /etc/slipway/inventory"),
            Read("sshd", "sshd -T"),
            Read("keys", keys),
            Read("accounts", f"for name in {' '.join(node.users)}; do {ACCOUNT}; done; exit 0"),
        ),
    )
