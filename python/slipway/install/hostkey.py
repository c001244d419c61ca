"""The SSH host key that a node is born with: made before the node, so that it can be pinned before it answers.

Its private half is never in a file here. It goes from our memory to the new system's disk by standard input; where an
installation was cut off after that, the half that lies there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slipway.secret import Secret
from slipway.ssh.host import Host

PLACE = "/etc/ssh/ssh_host_ed25519_key"
"""Where NixOS's sshd has its key (services.openssh.hostKeys), and makes one only if there is none."""
THERE = 'cat "$1$2.pub" 2>/dev/null; exit 0'


@dataclass(frozen=True)
class HostKey:
    """`private` in OpenSSH's own format; `public` as a line of a .pub file."""

    private: Secret
    public: str


def make(node: str) -> HostKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return HostKey(Secret(private), f"{public.decode()} root@{node}\n")


def put(host: Host, root: str, key: HostKey) -> None:
    """Lay the key into the system below `root`."""
    host.run(["mkdir", "-p", f"{root}/etc/ssh"])
    host.put(f"{root}{PLACE}", key.private, mode=0o600)
    host.put(f"{root}{PLACE}.pub", key.public.encode(), mode=0o644)


def there(host: Host, root: str) -> str:
    """The public line of the key that lies below `root` already; empty if none does."""
    return host.run(["sh", "-c", THERE, "look for a host key", root, PLACE]).stdout.strip()
