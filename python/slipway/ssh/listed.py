"""Keys that somebody else listed: a known_hosts file, what `ssh-keyscan` printed, a line of an authority; and what of
it is to be pinned for which machine. Nothing is asked of any machine, and nothing is written here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from slipway.ssh import certificate
from slipway.ssh.keys import KnownHosts, PKey
from slipway.ssh.known_hosts import AUTHORITY, REVOKED, PinnedKey

State = Literal["pinned", "unchanged", "refused", "not listed"]
TYPES = certificate.AUTHORITIES
"""Of several keys of a machine the first of these is pinned: the one that we ask it for."""


CONFLICT = "another key is pinned"


@dataclass(frozen=True)
class Machine:
    """Where a machine is logged in to, and what else a list may call it: another address, its name."""

    name: str
    address: str
    port: int
    also: tuple[str, ...] = ()

    @property
    def called(self) -> Iterable[str]:
        return dict.fromkeys((self.address, *self.also))


@dataclass(frozen=True)
class Finding:
    """What the list means for one machine. `pinned`: `key` is to be its only one; a refusal has a reason."""

    machine: Machine
    state: State
    key: PinnedKey | None = None
    reason: str = ""

    @property
    def line(self) -> int:
        """The number of the key's line; 0 without a key."""
        return self.key.line if self.key else 0

    @property
    def is_conflict(self) -> bool:
        """Whether only another key that is pinned stands against it."""
        return self.reason.startswith(CONFLICT)

    @property
    def to_pin(self) -> PKey:
        """Raises paramiko's UnknownKeyType and SSHException for bytes that are no key, which `find` refuses."""
        assert self.key is not None
        return _parsed(self.key)


def find(machine: Machine, listed: KnownHosts, known: KnownHosts, *, replace: bool) -> Finding:
    """Pure. A key that is pinned already is never a conflict; another one is, unless it is to be replaced."""
    keys = _keys(machine, listed)
    if not keys:
        return _without_keys(machine, listed)
    pinned = known.of(machine.address, machine.port)
    for key in keys:
        if any(one.blob == key.blob for one in pinned):
            return Finding(machine, "unchanged", key)
    best = next((key for kind in TYPES for key in keys if key.type == kind), None)
    if best is None:
        return Finding(machine, "refused", reason=f"{_lines(keys)}: {keys[0].type} is no type of key that is used here")
    why = _refusal(machine, best, keys, pinned, known, replace)
    return Finding(machine, "refused" if why else "pinned", best, why)


def _keys(machine: Machine, listed: KnownHosts) -> list[PinnedKey]:
    """Under the first name that the list has: its address comes before its name, which others may bear too."""
    return next((found for name in machine.called if (found := listed.of(name, machine.port))), [])


def _without_keys(machine: Machine, listed: KnownHosts) -> Finding:
    about = {number for name in machine.called for number in listed.about(name, machine.port)}
    revoked = [key for key in listed.keys if key.line in about and key.marker == REVOKED]
    if revoked:
        return Finding(machine, "refused", reason=f"{_lines(revoked)} revokes its key")
    return Finding(machine, "not listed")


def _refusal(
    machine: Machine, best: PinnedKey, keys: Sequence[PinnedKey], pinned: Sequence[PinnedKey], known: KnownHosts,
    replace: bool,
) -> str:  # fmt: skip
    same_type = [key for key in keys if key.type == best.type]
    if len({key.blob for key in same_type}) > 1:
        return f"{_lines(same_type)} name different keys of the type {best.type}"
    try:
        parsed = _parsed(best)
    except Exception as error:  # whatever the libraries raise for bytes that are none of a key
        return f"{_lines([best])}: no key of the type {best.type} ({error})"
    if known.is_revoked(machine.address, machine.port, parsed):
        return f"{known.path} revokes the key of {_lines([best])}"
    if pinned and not replace:
        return f"{CONFLICT}: {pinned[0].type} {pinned[0].fingerprint} (line {pinned[0].line})"
    return ""


def authorities(listed: KnownHosts, known: KnownHosts, machines: Sequence[Machine]) -> list[tuple[PinnedKey, bool]]:
    """Lines of authorities that are for any of these machines, and whether `known` lacks the line.

    A machine shows a certificate for the address where it is logged in to: no other name counts here.
    """
    held = {(key.names, key.blob) for key in known.keys if key.marker == AUTHORITY}
    found = {
        key.line: key for machine in machines for key in listed.authorities(machine.address, machine.port)
    }  # fmt: skip
    return [(key, (key.names, key.blob) not in held) for _, key in sorted(found.items())]


def about_nobody(listed: KnownHosts, machines: Iterable[Machine]) -> list[PinnedKey]:
    """Lines that say nothing of any of these machines."""
    about = {number for each in machines for name in each.called for number in listed.about(name, each.port)}
    return [key for key in listed.keys if key.line not in about]


def _parsed(key: PinnedKey) -> PKey:
    return PKey.from_type_string(key.type, base64.b64decode(key.blob))


def _lines(keys: Sequence[PinnedKey]) -> str:
    numbers = " and ".join(str(key.line) for key in keys)
    return f"line{'s' if len(keys) > 1 else ''} {numbers}"
