"""Whose key the installer may show: a machine that nobody knows yet, and that is given a node's key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slipway.install import record
from slipway.ssh.connection import Endpoint, shown_key
from slipway.ssh.keys import HostKeyRefused, KnownHosts, PKey, describe


def keys(root: Path, node: str) -> KnownHosts:
    """The installer's own keys, kept apart from the repository's: at this address the node will show another one."""
    return KnownHosts.load(record.folder(root) / f"{node}.known_hosts")


def settle(
    endpoint: Endpoint, ours: KnownHosts, repositorys: KnownHosts, agree: Callable[[PKey], bool], timeout: float
) -> None:
    """Pin what the installer shows in `ours`: known from an earlier run, pinned by `slipway trust`, or agreed to.

    Raises Unreachable, and HostKeyRefused where nobody agrees.
    """
    shown = shown_key(endpoint, timeout)
    where = (endpoint.address, endpoint.port)
    if any(key.blob == shown.get_base64() for key in ours.of(*where)):
        return
    pinned = any(key.blob == shown.get_base64() for key in repositorys.of(*where))
    if not pinned and not agree(shown):
        raise HostKeyRefused(
            f"{endpoint.place}: shows {describe(shown)}, which is not agreed to",
            hint="compare it at the installer's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )
    ours.pin(*where, shown)


def at_port_22(ours: KnownHosts, endpoint: Endpoint) -> None:
    """What kexec starts keeps the machine's keys, and listens at port 22 whatever the port was."""
    if endpoint.port == 22:
        return
    shown = shown_key(endpoint)
    ours.pin(endpoint.address, 22, shown)
