"""What a node is asked before any check: what it runs, which boot it is in, which machine it is, what time it has."""

from __future__ import annotations

import re
import time

from slipway.ssh.host import Host
from slipway.verify.asked import Facts

ASK = """
for link in /run/current-system /nix/var/nix/profiles/system; do readlink -e "$link" || echo; done
cat /proc/sys/kernel/random/boot_id
cat /etc/machine-id 2>/dev/null || echo
cat /proc/sys/kernel/hostname
for file in /sys/class/net/*/address; do read -r mac <"$file" && printf '%s ' "$mac"; done; echo
ip -o address show scope global 2>/dev/null | while read -r _ _ _ address _; do printf '%s ' "${address%/*}"; done; echo
date +%s.%N
"""
"""Eight lines, each there even where the thing is missing; the clock last, nearest to the end of the question."""

FACTS_BOUND = 30.0


def gather(connection: Host) -> Facts:
    """Raises Unreachable, CommandTimedOut, CommandFailed, or OddAnswer where something else than eight lines comes."""
    before = time.time()
    result = connection.run(["sh", "-c", ASK], timeout=FACTS_BOUND)
    after = time.time()
    with result.read() as said:
        system, profile, boot_id, machine_id, hostname, macs, addresses, clock = said.removesuffix("\n").split("\n")
        if not re.fullmatch(r"[0-9]{1,12}\.[0-9]{1,9}", clock):
            raise ValueError(f"no time: {clock}")
        return Facts(
            system=system,
            profile=profile,
            boot_id=boot_id,
            machine_id=machine_id,
            hostname=hostname,
            macs=tuple(macs.split()),
            addresses=tuple(addresses.split()),
            clock_offset=float(clock) - (before + after) / 2,
            clock_error=(after - before) / 2,
        )
