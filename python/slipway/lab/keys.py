"""The lab's SSH keys. They are kept in the cache, so that a lab made anew is the one that repositories have pinned."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from slipway.lab.settings import Lab, Machine, lab_cache
from slipway.tools.run import run


def ensure(lab: Lab, machines: Iterable[Machine]) -> None:
    """Make what is missing: the identity of the lab, a host key per machine, and the list of known hosts."""
    known = list(machines)
    kept = lab_cache() / "ssh" / lab.name
    for folder in (kept, lab.identity.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (lab.identity, *(host_key(machine)[0] for machine in known)):
        _ensure_pair(kept / path.name, path)
    lab.known_hosts.write_text("".join(known_hosts_line(machine) for machine in known))


def _ensure_pair(kept: Path, path: Path) -> None:
    if not kept.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"slipway lab {path.name}", "-f", kept], timeout=30)
    for source, target in ((kept, path), (_public(kept), _public(path))):
        shutil.copy(source, target)


def host_key(machine: Machine) -> tuple[Path, Path]:
    """The machine's private and public host key, on the host."""
    private = machine.lab.identity.parent / f"host-{machine.name}"
    return private, _public(private)


def known_hosts_line(machine: Machine) -> str:
    """What pins the machine's key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    kind, key, *_ = host_key(machine)[1].read_text().split()
    return f"{machine.address},{machine.name} {kind} {key}\n"


def _public(private: Path) -> Path:
    return private.with_name(f"{private.name}.pub")
