"""A card's cable: what `ethtool NAME` prints."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cable:
    """`speed` in Mbit/s, None where nobody knows; `full` whether it sends and receives at once, None likewise."""

    speed: int | None
    full: bool | None
    has_link: bool


def cable(text: str) -> Cable:
    """What cannot be read is None: virtual cards have neither speed nor duplex."""
    known = dict(re.findall(r"^\s+([A-Z][\w -]*): (.*)$", text, re.MULTILINE))
    speed = re.fullmatch(r"([0-9]{1,7})Mb/s", known.get("Speed", ""))
    duplex = {"Full": True, "Half": False}.get(known.get("Duplex", ""))
    return Cable(int(speed[1]) if speed else None, duplex, known.get("Link detected", "").startswith("yes"))
