"""Host certificates of OpenSSH (PROTOCOL.certkeys): what one says, and whether an authority vouches for a machine.

paramiko proves that the machine has the certificate's key, and leaves the certificate itself unread.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko

HOST = 2
"""Type of a certificate for hosts; 1 is for users."""
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512")
"""Of a machine's keys, asked for in this order: the first that it has is the one we pin."""
TYPES = tuple(f"{name}-cert-v01@openssh.com" for name in KEY_TYPES)
"""As they are asked for, before plain keys, where an authority is pinned."""
AUTHORITIES = tuple("ssh-rsa" if name == "rsa-sha2-512" else name for name in KEY_TYPES)
"""Types of an authority's key that can be checked here; OpenSSH is told of no other one."""
_FIELDS = {"ssh-ed25519": 1, "ssh-rsa": 2}
"""Fields of a public key within a certificate; of the ecdsa ones two."""


class Damaged(ValueError):
    """Not a certificate."""


@dataclass(frozen=True)
class Certificate:
    """`authority` is the public key that signed it, in plain bytes; times are seconds since 1970."""

    kind: int
    id: str
    principals: tuple[str, ...]
    after: int
    before: int
    critical: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    def fault(self, name: str, now: float) -> str:
        """What keeps it from vouching for the machine `name`; empty if nothing does."""
        if self.kind != HOST:
            return "it is a certificate for users"
        if not self.principals:
            return "it names no machine"
        if name.lower() not in self.principals:
            return f"it is for {', '.join(self.principals[:5])}, not for {name}"
        if not self.after <= now < self.before:
            return "it is not valid yet" if now < self.after else "it has expired"
        if self.critical:
            return "it has a condition that nobody here knows"
        return "" if self._is_signed() else "its signature is not its authority's"

    def _is_signed(self) -> bool:
        kind, _ = _text(self.authority)
        algorithm, _ = _text(self.signature)
        # SHA-1 counts for nothing (CASignatureAlgorithms).
        if algorithm == b"ssh-rsa":
            return False
        try:
            key = paramiko.PKey.from_type_string(kind.decode(), self.authority)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except (paramiko.SSHException, ValueError, KeyError, TypeError):
            return False


def of(key: paramiko.PKey) -> Certificate | None:
    """The certificate that came with a key, None for a plain one. Raises Damaged."""
    blob = getattr(key, "public_blob", None)
    return None if blob is None else read(blob.key_blob)


def read(blob: bytes) -> Certificate:
    """Raises Damaged."""
    try:
        return _read(blob)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise Damaged(f"a certificate that makes no sense: {error}") from None


def _read(blob: bytes) -> Certificate:
    kind, rest = _text(blob)
    _nonce, rest = _text(rest)
    plain = kind.decode().removesuffix("-cert-v01@openssh.com")
    for _ in range(_FIELDS.get(plain, 2)):
        _, rest = _text(rest)
    _serial, use = struct.unpack_from(">QI", rest)
    name, rest = _text(rest[12:])
    principals, rest = _text(rest)
    after, before = struct.unpack_from(">QQ", rest)
    critical, rest = _text(rest[16:])
    _extensions, rest = _text(rest)
    _reserved, rest = _text(rest)
    authority, rest = _text(rest)
    signed = blob[: len(blob) - len(rest)]
    signature, _ = _text(rest)
    named = tuple(each.decode() for each in _texts(principals))
    return Certificate(use, name.decode(), named, after, before, critical, authority, signed, signature)


def _texts(data: bytes) -> Iterator[bytes]:
    while data:
        each, data = _text(data)
        yield each


def _text(data: bytes) -> tuple[bytes, bytes]:
    """One field with its length before it, and what follows."""
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise struct.error("a field is longer than what holds it")
    return data[4 : 4 + length], data[4 + length :]
