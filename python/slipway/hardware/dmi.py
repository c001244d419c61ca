"""Memory as the firmware describes it: what `dmidecode -t memory` prints (SMBIOS types 16 and 17)."""

from __future__ import annotations

import re
from dataclasses import dataclass

NO_ECC = frozenset(("", "None", "Unknown", "Other", "Parity", "<OUT OF SPEC>"))
"""Error correction types that correct nothing (SMBIOS 7.17.3)."""
UNITS = {"kB": 1 << 10, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True)
class Module:
    """A slot with a memory module in it. `size` in bytes, `speed` as the firmware says it, such as `3200 MT/s`."""

    slot: str
    size: int
    speed: str


@dataclass(frozen=True)
class Memory:
    """`correction` is such as `Multi-bit ECC`, empty where nobody tells; `slots` counts empty ones."""

    correction: str
    slots: int
    modules: tuple[Module, ...]

    @property
    def has_ecc(self) -> bool:
        return self.correction not in NO_ECC


def memory(text: str) -> Memory | None:
    """None where the firmware describes no memory at all."""
    tables = [_table(block) for block in re.split(r"\n\s*\n", text)]
    arrays = [known for kind, known in tables if kind == "Physical Memory Array"]
    devices = [known for kind, known in tables if kind == "Memory Device"]
    if not arrays and not devices:
        return None
    system = [known for known in arrays if known.get("Use", "System Memory") == "System Memory"] or arrays
    corrections = [known.get("Error Correction Type", "") for known in system]
    modules = (Module(_slot(known), _size(known.get("Size", "")), known.get("Speed", "")) for known in devices)
    return Memory(next(iter(corrections), ""), len(devices), tuple(each for each in modules if each.size))


def _table(block: str) -> tuple[str, dict[str, str]]:
    """(title, key to value) of one table; a handle's line stands before the title."""
    lines = [line for line in block.splitlines() if line.strip() and not line.startswith(("#", "Handle"))]
    title = next((line.strip() for line in lines if not line[0].isspace()), "")
    pairs = (line.strip().split(": ", 1) for line in lines if line[0].isspace() and ": " in line)
    return title, {key: value.strip() for key, value in pairs}


def _slot(known: dict[str, str]) -> str:
    return known.get("Locator") or known.get("Bank Locator") or "a slot without a name"


def _size(text: str) -> int:
    """`No Module Installed` and `Unknown` are no size."""
    match = re.fullmatch(r"([0-9]{1,9}) ([kKMGT]B)", text)
    return int(match[1]) * UNITS[match[2]] if match else 0
