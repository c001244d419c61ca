"""The public keys of whoever runs slipway: those that the agent holds, and those that lie in ~/.ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slipway.ssh.connection import _agent
from slipway.ssh.keys import from_line

TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
"""What a key may be of; those that begin with sk- need a touch of a hardware token."""


def public_keys() -> tuple[str, ...]:
    """Lines as in authorized_keys, each key once: the agent's first, then those of files."""
    found: dict[str, str] = {}
    for line in (*_of_the_agent(), *_of_files()):
        kind, blob = line.split()[:2]
        found.setdefault(f"{kind} {blob}", line)
    return tuple(found.values())


def _of_the_agent() -> Iterator[str]:
    """None where there is no agent, or none that answers."""
    with _agent([]) as held:
        for key in held:
            if key.get_name() in TYPES:
                yield " ".join(f"{key.get_name()} {key.get_base64()} {key.comment}".split())


def _of_files() -> Iterator[str]:
    """`id_*.pub`, whatever else such files hold: certificates and broken ones are left out."""
    for path in sorted((Path.home() / ".ssh").glob("id_*.pub")):
        line = " ".join(path.read_text(encoding="utf-8", errors="replace").split())
        if line.partition(" ")[0] in TYPES and _is_one(line):
            yield line


def _is_one(line: str) -> bool:
    """A hardware token's is taken by its name: nothing here needs to read it."""
    if line.startswith("sk-"):
        return len(line.split()) >= 2
    try:
        from_line(line)
    except ValueError:
        return False
    return True
