"""Temperatures and fans: what `sensors -j` of lm_sensors prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sensor:
    """`kind` is temp, fan, in and the like; `value` in degrees, turns a minute or volts. `alarm`: the chip says so."""

    name: str
    kind: str
    value: float
    critical: float | None
    alarm: bool


def sensors(text: str) -> tuple[Sensor, ...]:
    """Those that have a value now. Raises ValueError where it is not what sensors prints."""
    said: Any = json.loads(text or "{}")
    if not isinstance(said, dict):
        raise ValueError("not the JSON of sensors")
    return tuple(_all(said))


def _all(said: dict[str, Any]) -> Iterator[Sensor]:
    for chip, features in said.items():
        for label, values in features.items():
            if isinstance(values, dict):
                yield from _of(f"{chip} {label}", values)


def _of(name: str, values: dict[str, Any]) -> Iterator[Sensor]:
    for key, value in values.items():
        match = re.fullmatch(r"([a-z]+)[0-9]+_input", key)
        if match:
            prefix = key.removesuffix("_input")
            critical = values.get(f"{prefix}_crit")
            alarms = (values.get(f"{prefix}_{kind}", 0) for kind in ("alarm", "crit_alarm", "min_alarm", "fault"))
            yield Sensor(name, match[1], float(value), critical and float(critical), any(map(bool, alarms)))
