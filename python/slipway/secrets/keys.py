"""The user's age keys: the file that sops itself reads, outside every repository."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from slipway import words
from slipway.errors import InvalidInput
from slipway.secret import Secret
from slipway.tools import age
from slipway.tools.age import KeyPair


def key_file() -> Path:
    """Where sops looks for age identities: SOPS_AGE_KEY_FILE, else sops/age/keys.txt in the user's configuration."""
    named = os.environ.get("SOPS_AGE_KEY_FILE")
    if named:
        return Path(named)
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "sops" / "age" / "keys.txt"


def add(pair: KeyPair, label: str) -> Path:
    """Append `pair` to the key file, which is made for this user alone if it is new; what it holds stays."""
    path = key_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        os.fchmod(descriptor, 0o600)
        gap = b"" if stream.read()[-1:] in (b"", b"\n") else b"\n"
        # The label names a folder, whose own name may have more than one line.
        text = f"# {words.line(label)}\n# public key: {pair.public}\n".encode()
        stream.write(gap + text + pair.private.reveal() + b"\n")
        stream.flush()
        os.fsync(descriptor)
    return path


def find(recipients: Iterable[str]) -> KeyPair | None:
    """The first pair of the key file whose public key is among `recipients`. InvalidInput if others can read it."""
    path = key_file()
    if not path.exists():
        return None
    if path.stat().st_mode & 0o077:
        raise InvalidInput(f"{path}: others can read or write the age keys in it", hint=f"chmod 600 {path}")
    wanted = set(recipients)
    pairs = (KeyPair(age.public_key(each), each) for each in age.identities(Secret(path.read_bytes())))
    return next((pair for pair in pairs if pair.public in wanted), None)
