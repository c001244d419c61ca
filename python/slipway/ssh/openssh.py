"""How the OpenSSH client, which `nix copy` starts, does as we do: same keys, same pins, no shared connection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from slipway.ssh.connection import DEAD_AFTER, Endpoint


def options(
    endpoint: Endpoint,
    known_hosts: Path,
    timeout: float,
    identity: Path | None = None,
    config: Path | None = None,
) -> list[str]:
    """Words for the command line. `known_hosts` is a file of the keys that the machine may show (KnownHosts.only).

    `identity` is the key that it takes, if that is known; else the endpoint's own, else OpenSSH tries what it finds.
    `config` is a file of what `jumps` gives. The words hold no blank as long as no path has one.

    The user's own configuration is left out: Nix hangs behind a shared connection.
    """
    given = _given(endpoint, known_hosts, timeout, identity)
    if endpoint.jump:
        given["ProxyJump"] = _alias(len(endpoint.jump))
    words = (word for name, value in given.items() for word in ("-o", f"{name}={value}"))
    return ["-F", str(config or "/dev/null"), *words]


def jumps(hosts: Sequence[Endpoint], known_hosts: Path, timeout: float, identities: Sequence[Path | None] = ()) -> str:
    """An ssh_config with a block for each jump host; empty where there is none.

    OpenSSH starts itself again for a jump, with the configuration file of the first and none of its other options.
    """
    blocks = []
    for number, host in enumerate(hosts, start=1):
        identity = identities[number - 1] if identities else None
        given = {"User": host.user, **_given(host, known_hosts, timeout, identity)}
        if number > 1:
            given["ProxyJump"] = _alias(number - 1)
        blocks.append("\n  ".join([f"Host {_alias(number)}", *(f"{name} {value}" for name, value in given.items())]))
    return "".join(f"{block}\n" for block in blocks)


def _alias(number: int) -> str:
    return f"slipway-jump-{number}"


def _given(endpoint: Endpoint, known_hosts: Path, timeout: float, identity: Path | None) -> dict[str, str]:
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
    return given


def attended(options: list[str]) -> list[str]:
    """The same for somebody at a terminal, who can be asked for a passphrase. OpenSSH takes the first of two values."""
    return ["-o", "BatchMode=no", *options]


def store(endpoint: Endpoint) -> str:
    """The node's Nix store as a URL. It holds the node's name, and HostName its address: IPv6 needs no brackets so."""
    # Where sudo asks, Nix itself has to trust the user: its daemon's words and the password would go the same way.
    as_it_is = endpoint.user == "root" or endpoint.asks_password
    program = "" if as_it_is else "?remote-program=" + quote("sudo -n nix-daemon")
    return f"ssh-ng://{endpoint.user}@{endpoint.name}{program}"


def _path(path: Path) -> str:
    """As ssh_config(5) reads it: % begins a token there, # a comment."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if re.search(r"[\s#']", text) else text
