"""A disk's health as it tells itself: what `smartctl --json -H -A -i` prints (smartmontools 7, its JSON names)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

REALLOCATED, PENDING, UNREADABLE = 5, 197, 198
"""Attributes of ATA disks that count sectors gone bad; their raw values are numbers of sectors with every maker."""


@dataclass(frozen=True)
class Smart:
    """`passed` is None where the disk gives no verdict. `wear` in per cent of its life, None where it does not tell."""

    passed: bool | None
    wear: int | None
    spare_short: bool
    """Whether an NVMe disk has fewer spare blocks than its own threshold."""
    critical: bool
    """Whether an NVMe disk raises any critical warning."""
    bad: int
    """Sectors that were reallocated, wait for it or cannot be read; media errors of NVMe."""
    error: str
    """Why smartctl could not ask it."""


def smart(text: str) -> Smart:
    """Raises ValueError where it is not what smartctl prints."""
    said: Any = json.loads(text)
    if not isinstance(said, dict) or "smartctl" not in said:
        raise ValueError("not the JSON of smartctl")
    log = said.get("nvme_smart_health_information_log") or {}
    table = (said.get("ata_smart_attributes") or {}).get("table") or []
    raw = {int(each["id"]): int(each["raw"]["value"]) for each in table}
    return Smart(
        passed=(said.get("smart_status") or {}).get("passed"),
        wear=_wear(said, log),
        spare_short=int(log.get("available_spare", 100)) < int(log.get("available_spare_threshold", 0)),
        critical=bool(int(log.get("critical_warning", 0))),
        bad=int(log.get("media_errors", 0)) + sum(raw.get(kind, 0) for kind in (REALLOCATED, PENDING, UNREADABLE)),
        error="; ".join(each["string"] for each in said["smartctl"].get("messages", ()) if each["severity"] == "error"),
    )


def _wear(said: dict[str, Any], log: dict[str, Any]) -> int | None:
    """NVMe's own count, or what smartctl takes from SATA's device statistics or SAS's log page."""
    for found in (
        log.get("percentage_used"),
        (said.get("endurance_used") or {}).get("current_percent"),
        said.get("scsi_percentage_used_endurance_indicator"),
    ):
        if found is not None:
            return int(found)
    return None
