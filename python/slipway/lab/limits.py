"""Limits of the host's kernel that several machines share and that its defaults set for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from slipway.lab.settings import LABS, Lab

NEEDED: Mapping[str, int] = {"fs/inotify/max_user_instances": 8192, "fs/inotify/max_user_watches": 524288}
"""Every systemd, containerd and kubelet of every machine draws on these as the same user (default 128 instances)."""

_SYSCTLS = Path("/proc/sys")
_SAVED = Path("/run/slipway-lab-limits.json")
"""What they were; in /run because the settings themselves do not outlive a boot of the host either."""


def raise_limits() -> None:
    """Raise what is lower; remember what it was before the first lab."""
    found = {name: int((_SYSCTLS / name).read_text()) for name in NEEDED}
    low = {name: value for name, value in found.items() if value < NEEDED[name]}
    if low and not _SAVED.exists():
        _SAVED.write_text(json.dumps(low))
    for name in low:
        (_SYSCTLS / name).write_text(str(NEEDED[name]))


def restore_limits(lab: Lab) -> None:
    """Put back what `raise_limits` found, once the last lab is gone."""
    others = (Lab(number) for number in range(LABS) if number != lab.number)
    if any(other.state.exists() for other in others) or not _SAVED.exists():
        return
    for name, value in json.loads(_SAVED.read_text()).items():
        (_SYSCTLS / name).write_text(str(value))
    _SAVED.unlink()
