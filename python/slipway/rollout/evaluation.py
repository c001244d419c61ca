"""How many systems one Nix evaluates: it keeps all in memory until it ends, so that many come in several goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

PER_SYSTEM = 512 << 20
"""Bytes that one system of NixOS may take to evaluate; those that are evaluated together share what they have in common
of nixpkgs, and no more."""
UNKNOWN = 16
"""Systems at once where this computer does not say how much memory it has."""
MEMORY = Path("/proc/meminfo")


def at_once(wanted: int | None, memory: Path = MEMORY) -> int:
    """`deploy.evaluateAtOnce`, or as many as the memory takes that is available now; at least one."""
    return wanted or max(1, _available(memory) // PER_SYSTEM)


def _available(memory: Path) -> int:
    """Bytes (proc_meminfo(5): MemAvailable, in KiB)."""
    try:
        lines = memory.read_text(encoding="utf-8").splitlines()
        (found,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(found) << 10
    except (OSError, ValueError, IndexError):
        return UNKNOWN * PER_SYSTEM


def goes(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The names, at most `size` at a time."""
    for first in range(0, len(names), size):
        yield names[first : first + size]
