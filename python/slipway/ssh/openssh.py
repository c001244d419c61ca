"""How the OpenSSH client, which `nix copy` starts, does as we do: same keys, same pins, no shared connection."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from slipway.ssh.connection import DEAD_AFTER, Endpoint


def options(endpoint: Endpoint, known_hosts: Path, timeout: float, identity: Path | None = None) -> list[str]:
    """Words for the command line. `known_hosts` is a file of the keys that the machine may show (KnownHosts.only).

    `identity` is the key that it takes, if that is known; else the endpoint's own, else OpenSSH tries what it finds.

    The user's own configuration is left out: Nix hangs behind a shared connection.
    """
    given = {
        "HostName": endpoint.address,
        "Port": str(endpoint.port),
        "UserKnownHostsFile": _path(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ConnectTimeout": str(max(1, int(timeout))),
        "ServerAliveInterval": str(DEAD_AFTER // 3),
        "ServerAliveCountMax": "3",
    }
    chosen = identity or endpoint.identity
    if chosen is not None:
        given |= {"IdentityFile": _path(chosen), "IdentitiesOnly": "yes"}
    return ["-F", "/dev/null", *(word for name, value in given.items() for word in ("-o", f"{name}={value}"))]


def attended(options: list[str]) -> list[str]:
    """The same for somebody at a terminal, who can be asked for a passphrase. OpenSSH takes the first of two values."""
    return ["-o", "BatchMode=no", *options]


def store(endpoint: Endpoint) -> str:
    """The node's Nix store as a URL. It holds the node's name, and HostName its address: IPv6 needs no brackets so."""
    program = "" if endpoint.user == "root" else "?remote-program=" + quote("sudo -n nix-daemon")
    return f"ssh-ng://{endpoint.user}@{endpoint.name}{program}"


def _path(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)
