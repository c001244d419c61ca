"""Which process does something, told so that it can be known later whether that very process still lives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def own() -> dict[str, Any]:
    """This process: number, start (the kernel's ticks), the computer's boot and the space that numbers are counted in.

    Without the start another process could have got its number, without the space a container's numbers look like
    ours.
    """
    return {"pid": os.getpid(), "since": _since(os.getpid()), "boot": _boot(), "space": _space()}


def lives(said: Mapping[str, Any]) -> bool:
    """Whether the process that said this of itself lives, on this computer."""
    pid, since = said.get("pid"), said.get("since")
    return isinstance(pid, int) and bool(since) and said.get("boot") == _boot() and _since(pid) == since


def is_gone(said: Mapping[str, Any]) -> bool:
    """Whether the process that said this of itself has provably ended: it was one of this boot of this computer, where
    we would see it. False where that is not known."""
    pid, since, boot, space = (said.get(key) for key in ("pid", "since", "boot", "space"))
    here = bool(boot) and boot == _boot() and bool(space) and space == _space()
    return here and isinstance(pid, int) and bool(since) and _since(pid) != since


def _since(pid: int) -> str:
    """When a process was started, in the kernel's ticks (proc(5), field 22); empty if there is none, or a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _space() -> str:
    """The namespace of process numbers (pid_namespaces(7)), such as pid:[4026531836]."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
