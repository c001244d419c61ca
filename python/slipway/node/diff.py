"""What a new system would change on a node. Both questions need its closure there, and neither changes anything."""

from __future__ import annotations

import re

from slipway.result import CommandResult
from slipway.ssh.host import Host

TIMEOUT = 120.0
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""Nix 2.8 colours sizes whether or not a terminal reads them."""


UNITS = re.compile(r"^would (?!reload)[^:\n]*\bunits: (.*)$", re.MULTILINE)
"""switch-to-configuration's lines of units that it stops, starts, restarts, or leaves to others to restart."""


def closures(host: Host, old: str, new: str) -> tuple[str, ...]:
    """One line per package that comes, goes or changes: `name: 1.0 → 1.1, +5.2 KiB`."""
    said = host.run(
        ["nix", "--extra-experimental-features", "nix-command", "store", "diff-closures", old, new], timeout=TIMEOUT
    )
    plain = COLOUR.sub("", said.stdout)
    return tuple(line.strip() for line in plain.splitlines() if line.strip())


def dry_activate(host: Host, system: str) -> CommandResult:
    """What `switch-to-configuration` says it would do, in its own words on standard error; exit code 1: it refuses."""
    return host.run([f"{system}/bin/switch-to-configuration", "dry-activate"], timeout=TIMEOUT, check=False)


def touched_units(said: CommandResult) -> frozenset[str]:
    """Units that run on something else once the system is active, by what dry_activate said; reloading does not count.

    One that is not restarted by itself (`restartIfChanged = false`) counts: whoever restarts it does so afterwards.
    """
    lines = UNITS.findall(said.stderr) + UNITS.findall(said.stdout)
    return frozenset(unit.strip() for line in lines for unit in line.split(",") if unit.strip())
