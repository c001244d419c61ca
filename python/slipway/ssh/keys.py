"""Host keys: the pinned ones in the repository's `known_hosts`, and those that machines show.

One list of accepted keys per machine is made of the file, by the rules of OpenSSH (known_hosts.py). Our own connections
are held to it, and `nix copy`, which starts OpenSSH, gets a file that holds this list and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import PKey as PKey
from paramiko.pkey import UnknownKeyType

from slipway.errors import InvalidInput, Unreachable
from slipway.secret import Secret
from slipway.ssh import certificate
from slipway.ssh.known_hosts import AUTHORITY, REVOKED, Damaged, PinnedKey, fingerprint_of, keys_in, lines_of, read

KNOWN_HOSTS = "known_hosts"
"""Name of the file beside inventory.yaml."""


LOOK = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
"""What one types at a machine itself, to compare its fingerprint with the one that was shown."""


class HostKeyRefused(Unreachable):
    """The machine that answers is not the one we know, or we know none."""


def known_name(address: str, port: int) -> str:
    """How OpenSSH names a machine in known_hosts: `[address]:port` unless the port is 22."""
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"


@dataclass
class KnownHosts:
    """The pinned keys of a repository. A file that is not there pins nothing."""

    path: Path
    keys: tuple[PinnedKey, ...] = ()
    _literal: dict[str, list[PinnedKey]] = field(default_factory=dict, repr=False)
    _others: list[PinnedKey] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def load(cls, path: Path) -> KnownHosts:
        """Raises InvalidInput with file and line for a line that is none of OpenSSH's."""
        return cls.parse(path, _content(path))

    @classmethod
    def parse(cls, path: Path, content: bytes) -> KnownHosts:
        """The same from what was read already; `path` is for messages."""
        known = cls(path)
        known._take(content)
        return known

    def _take(self, content: bytes) -> None:
        try:
            self.keys = tuple(keys_in(content))
        except Damaged as damaged:
            number, why = damaged.args
            raise InvalidInput(f"{self.path}:{number}: not a line of known_hosts: {why}") from None
        self._literal, self._others = {}, []
        for key in self.keys:
            for name in key.names.lower().split(",") if key.is_literal else ():
                self._literal.setdefault(name, []).append(key)
            if not key.is_literal:
                self._others.append(key)

    def _all_of(self, address: str, port: int) -> list[PinnedKey]:
        name = known_name(address, port)
        found = [key for key in self._literal.get(name, ()) if key.is_for(name)]
        return found + [key for key in self._others if key.is_for(name)]

    def about(self, address: str, port: int) -> set[int]:
        """The numbers of the lines that say anything of this machine."""
        lines = [*self._all_of(address, port), *self.authorities(address, port)]
        return {key.line for key in lines}

    def of(self, address: str, port: int) -> list[PinnedKey]:
        """The keys that this machine may show; several if it has several types. Revoked ones are none of them."""
        lines = self._all_of(address, port)
        revoked = {key.blob for key in lines if key.marker == REVOKED}
        return [key for key in lines if not key.marker and key.blob not in revoked]

    def authorities(self, address: str, port: int) -> list[PinnedKey]:
        """The keys whose certificates this machine may show. Patterns are of its name, with its port or without."""
        lines = [*self._all_of(address, port), *(self._all_of(address, 22) if port != 22 else ())]
        revoked = {key.blob for key in lines if key.marker == REVOKED}
        found = [key for key in lines if key.marker == AUTHORITY and key.type in certificate.AUTHORITIES]
        return [key for key in found if key.blob not in revoked]

    def is_revoked(self, address: str, port: int, key: PKey) -> bool:
        """Also where the authority of its certificate is."""
        revoked = {one.blob for one in self._all_of(address, port) if one.marker == REVOKED}
        return bool(revoked) and not revoked.isdisjoint(_blobs(key))

    def _fault_of_certificate(self, address: str, port: int, shown: PKey) -> str | None:
        """None where an authority vouches for the machine; empty where no certificate of one was shown."""
        try:
            found = certificate.of(shown)
        except certificate.Damaged as error:
            return str(error)
        if found is None:
            return ""
        known = {key.blob for key in self.authorities(address, port)}
        if base64.b64encode(found.authority).decode() not in known:
            return ""
        fault = found.fault(address, time.time())
        return f"its certificate {found.id!r} does not count: {fault}" if fault else None

    @contextmanager
    def only(self, *places: tuple[str, int]) -> Iterator[Path]:
        """A known_hosts file, there while the block lasts, with exactly what these machines (address and port) may
        show, for OpenSSH.

        It lies in memory, where nobody else writes.
        """
        with Secret("".join(self._lines(address, port) for address, port in places)).as_file() as path:
            yield Path(path)

    def _lines(self, address: str, port: int) -> str:
        name = known_name(address, port)
        revoked = [key for key in self._all_of(address, port) if key.marker == REVOKED]
        keys = [
            *((f"{REVOKED} ", key) for key in revoked),
            *((f"{AUTHORITY} ", key) for key in self.authorities(address, port)),
            *(("", key) for key in self.of(address, port)),
        ]
        return "".join(f"{marker}{name} {key.type} {key.blob}\n" for marker, key in keys)

    def check(self, node: str, address: str, port: int, shown: PKey) -> None:
        """Raises HostKeyRefused, with both fingerprints, unless `shown` is pinned for this machine."""
        pinned = self.of(address, port)
        place = f"{node} ({known_name(address, port)})"
        if self.is_revoked(address, port, shown):
            raise HostKeyRefused(f"{place}: the machine shows a key that {self.path} revokes: {describe(shown)}")
        fault = self._fault_of_certificate(address, port, shown)
        if fault is None or shown.get_base64() in {key.blob for key in pinned}:
            return
        if not pinned:
            why = fault or f"the machine shows {describe(shown)}"
            raise HostKeyRefused(
                f"{place}: no host key is pinned in {self.path}; {why}",
                hint=f"slipway trust {node}",
            )
        ours = ", ".join(f"{key.type} {key.fingerprint} (line {key.line})" for key in pinned)
        raise HostKeyRefused(
            f"{place}: the machine shows another host key than the pinned one\n"
            f"  shown:  {describe(shown)}\n  pinned: {ours} in {self.path}\n"
            "Either it was installed anew, or something else answers at this address.",
            hint=f"if it was installed anew: slipway trust {node} --replace",
        )

    def pin(self, address: str, port: int, key: PKey) -> None:
        """Write `key` as the only one of this machine: see `pin_all`."""
        self.pin_all([(address, port, key)])

    def pin_all(self, keys: Sequence[tuple[str, int, PKey]], authorities: Sequence[PinnedKey] = ()) -> None:
        """Write each key as the only one of its machine (address and port), and lines of authorities as they are; all
        other bytes of the file stay, and it is written as a whole or not at all.

        Raises InvalidInput where a line of many machines (a pattern) is for one of these too, or revokes a key: it is
        for people to say what that line shall mean now.
        """
        names = {known_name(address, port) for address, port, _ in keys}
        with self._lock, _alone(self.path.parent):
            content = _content(self.path)
            kept = [
                _without(line, names, self._place(number)) for number, line in enumerate(lines_of(content), start=1)
            ]
            for address, port, key in keys:
                if self.is_revoked(address, port, key):
                    raise InvalidInput(f"{self.path} revokes the key {describe(key)}: it is not pinned")
            lines = [line for line in kept if line is not None]
            lines += [f"{AUTHORITY} {one.names} {one.type} {one.blob}" for one in authorities]
            lines += [f"{known_name(address, port)} {key.get_name()} {key.get_base64()}" for address, port, key in keys]
            written = "".join(f"{line}\n" for line in lines).encode("latin-1")
            _replace(self.path, written)
            self._take(written)

    def _place(self, number: int) -> str:
        return f"{self.path}:{number}"


def from_line(public: str) -> PKey:
    """The key of a line of a .pub file. Raises ValueError."""
    kind, blob, *_ = [*public.split(), "", ""]
    try:
        return PKey.from_type_string(kind, base64.b64decode(blob, validate=True))
    except UnknownKeyType:
        raise ValueError(f"{kind!r} is no type of key") from None


def describe(key: PKey) -> str:
    return f"{key.get_name()} {fingerprint_of(key.asbytes())}"


def _blobs(key: PKey) -> set[str]:
    """The key, and the one of the authority that signed its certificate, as known_hosts has them."""
    found = {key.get_base64()}
    with contextlib.suppress(certificate.Damaged):
        if (shown := certificate.of(key)) is not None:
            found.add(base64.b64encode(shown.authority).decode())
    return found


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Machines are installed side by side: each process would write the file as it read it, without the other's key."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _without(line: str, names: Collection[str], place: str) -> str | None:
    """`line` without these machines; None if it was for no other."""
    key = read(line)
    if key is None or key.marker:
        return line
    if key.is_literal:
        return _without_literal(line, key, names)
    meant = next((name for name in names if key.is_for(name)), None)
    if meant is None:
        return line
    if key.names.startswith("|"):
        return None
    raise InvalidInput(f"{place}: {key.names} is for {meant} too: mend that line by hand first")


def _without_literal(line: str, key: PinnedKey, names: Collection[str]) -> str | None:
    listed = key.names.split(",")
    others = [name for name in listed if name.lower() not in names or not key.is_for(name.lower())]
    if len(others) == len(listed):
        return line
    start, _, rest = line.partition(key.names)
    return f"{start}{','.join(others)}{rest}" if others else None


def _replace(path: Path, content: bytes) -> None:
    """As a whole, under a name that nobody can have laid out before."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
