"""Host keys: the pinned ones in the repository's `known_hosts`, and those that machines show.

The file is in OpenSSH's own format, since `nix copy` hands it to OpenSSH. Lines with hashed names are understood.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import PKey as PKey

from slipway.errors import InvalidInput, Unreachable

KNOWN_HOSTS = "known_hosts"
"""Name of the file beside inventory.yaml."""
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512")
"""Asked for in this order: the first that the machine has is the one we pin."""


class HostKeyRefused(Unreachable):
    """The machine that answers is not the one we know, or we know none."""


@dataclass(frozen=True)
class PinnedKey:
    """One line of known_hosts: whom it is for, and the key as OpenSSH writes it."""

    names: tuple[str, ...]
    type: str
    blob: str
    line: int

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(base64.b64decode(self.blob))

    def is_for(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self.names)


def known_name(address: str, port: int) -> str:
    """How OpenSSH names a machine in known_hosts: `[address]:port` unless the port is 22."""
    return address if port == 22 else f"[{address}]:{port}"


def fingerprint_of(blob: bytes) -> str:
    """`SHA256:...`, as ssh-keygen and sshd's log show it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _matches(pattern: str, name: str) -> bool:
    if not pattern.startswith("|1|"):
        return pattern == name
    _, _, salt, digest = pattern.split("|")
    made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(made, base64.b64decode(digest))


@dataclass
class KnownHosts:
    """The pinned keys of a repository. A file that is not there pins nothing."""

    path: Path
    keys: tuple[PinnedKey, ...] = ()
    _by_name: dict[str, list[PinnedKey]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def load(cls, path: Path) -> KnownHosts:
        """Raises InvalidInput with file and line for a line that is none of OpenSSH's."""
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        keys = tuple(_keys_in(path, text))
        plain: dict[str, list[PinnedKey]] = {}
        for key in keys:
            for name in key.names:
                plain.setdefault(name, []).append(key)
        return cls(path, keys, plain)

    def of(self, address: str, port: int) -> list[PinnedKey]:
        """The keys pinned for a machine; several if it has several types."""
        name = known_name(address, port)
        hashed = [key for key in self.keys if key.names[0].startswith("|1|") and key.is_for(name)]
        return self._by_name.get(name, []) + hashed

    def check(self, node: str, address: str, port: int, shown: PKey) -> None:
        """Raises HostKeyRefused, with both fingerprints, unless `shown` is pinned for this machine."""
        pinned = self.of(address, port)
        if any(key.blob == shown.get_base64() for key in pinned):
            return
        place = f"{node} ({known_name(address, port)})"
        if not pinned:
            raise HostKeyRefused(
                f"{place}: no host key is pinned in {self.path}; the machine shows {describe(shown)}",
                hint=f"slipway trust {node}",
            )
        ours = ", ".join(f"{key.type} {key.fingerprint} (line {key.line})" for key in pinned)
        raise HostKeyRefused(
            f"{place}: the machine shows another host key than the pinned one\n"
            f"  shown:  {describe(shown)}\n  pinned: {ours} in {self.path}\n"
            "Either it was installed anew, or something else answers at this address.",
            hint=f"if it was installed anew: slipway trust {node}",
        )

    def pin(self, address: str, port: int, key: PKey) -> None:
        """Write `key` as the only one of this machine; other machines' lines and comments stay as they are."""
        name = known_name(address, port)
        line = f"{name} {key.get_name()} {key.get_base64()}"
        with self._lock:
            old = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            kept = [text for text in old.splitlines() if not _is_line_for(text, name)]
            _replace(self.path, "\n".join([*kept, line]) + "\n")
            fresh = KnownHosts.load(self.path)
            self.keys, self._by_name = fresh.keys, fresh._by_name


def describe(key: PKey) -> str:
    return f"{key.get_name()} {fingerprint_of(key.asbytes())}"


def _keys_in(path: Path, text: str) -> Iterable[PinnedKey]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("@"):
            raise InvalidInput(f"{path}:{number}: {words[0]} lines are not supported; pin the machines' own keys")
        if len(words) < 3 or not _is_base64(words[2]):
            raise InvalidInput(f"{path}:{number}: not a line of known_hosts: `names type key` is expected")
        yield PinnedKey(tuple(words[0].split(",")), words[1], words[2], number)


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


def _is_line_for(line: str, name: str) -> bool:
    words = line.split()
    return bool(words) and any(_matches(pattern, name) for pattern in words[0].split(","))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
