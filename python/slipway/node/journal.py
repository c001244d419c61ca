"""The journal of a node: its last entries, and those that come."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.errors import UsageError
from slipway.result import CommandFailed, CommandResult
from slipway.ssh.host import Host

MOST_LINES = 5000
"""Entries of one answer; who wants more has `slipway exec`."""
TIMEOUT = 60.0
LONGEST = 8192
"""Characters of one message that are kept."""
_CURSOR = re.compile(r"-- cursor: ([A-Za-z0-9=;_-]{1,300})")


@dataclass(frozen=True)
class Entry:
    """One entry: `time` ISO 8601 in UTC with microseconds, the unit or program that wrote it, and its words."""

    time: str
    unit: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"time": self.time, "unit": self.unit, "message": self.message}


@dataclass(frozen=True)
class Part:
    """Entries in the order of time, and where the next question begins; empty: the journal told no place."""

    entries: tuple[Entry, ...]
    cursor: str


def read(host: Host, units: Sequence[str], *, lines: int, since: str = "", after: str = "") -> Part:
    """The last `lines` entries of these units, all units without any; `since` in words of journalctl, `after` a cursor.

    Raises UsageError where journalctl does not know what `since` means.
    """
    wanted = [*(f"--unit={unit}" for unit in units), f"--lines={min(lines, MOST_LINES)}"]
    wanted += [f"--since={since}"] if since else []
    wanted += [f"--after-cursor={after}"] if after else []
    argv = ["journalctl", "--no-pager", "--quiet", "--output=json", "--show-cursor", *wanted]
    try:
        said = host.run(argv, timeout=TIMEOUT)
    except CommandFailed as failed:
        if since and "parse timestamp" in failed.result.stderr:
            raise UsageError(f"--since {since}: no time that journalctl knows", hint='--since "10 min ago"') from None
        raise
    return Part(tuple(_entries(said)), _cursor(said) or after)


def _entries(said: CommandResult) -> Iterator[Entry]:
    with said.read() as text:
        for line in text.splitlines():
            if line and not line.startswith("-- "):
                yield _entry(json.loads(line))


def _entry(found: dict[str, object]) -> Entry:
    since_epoch = int(str(found["__REALTIME_TIMESTAMP"]))
    time = datetime.fromtimestamp(since_epoch / 1e6, UTC).isoformat(timespec="microseconds")
    # Entries of a unit's processes have _SYSTEMD_UNIT; those that systemd writes about it have UNIT.
    unit = next((found[key] for key in ("UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER") if found.get(key)), "")
    return Entry(time, str(unit), _text(found.get("MESSAGE"))[:LONGEST])


def _text(value: object) -> str:
    """A message that is no UTF-8 comes as a list of bytes; one that is too long as null (systemd.journal-fields(7))."""
    if isinstance(value, list):
        return bytes(int(each) for each in value).decode(errors="replace")
    return "" if value is None else str(value)


def _cursor(said: CommandResult) -> str:
    found = _CURSOR.findall(said.stdout[-LONGEST:])
    return str(found[-1]) if found else ""
