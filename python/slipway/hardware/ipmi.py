"""The management controller's own sensors: what `ipmitool sdr elist` prints, a sensor a line, parted by bars."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """One sensor of the controller; `state` is ipmitool's word of two letters."""

    name: str
    state: str
    value: str

    @property
    def is_bad(self) -> bool:
        return self.state in ("cr", "nr")


def readings(text: str) -> tuple[Reading, ...]:
    """`PSU1 Status | C8h | ok | 10.1 | Presence detected`; other lines say nothing."""
    rows = ([part.strip() for part in line.split("|")] for line in text.splitlines())
    return tuple(Reading(row[0], row[2], row[4]) for row in rows if len(row) >= 5)
