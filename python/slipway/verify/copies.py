"""A node's own copy of its record, for whoever stands at the machine: `cat /var/lib/slipway/verification.json`.

It is written, and what a node says of it is told to people; the gate reads our own records alone (record.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from slipway.errors import SlipwayError
from slipway.result import NO_SENSE
from slipway.ssh.host import Host
from slipway.ssh.pool import for_each
from slipway.verify.session import Connect
from slipway.words import line

FOLDER = "/var/lib/slipway"
COPY = f"{FOLDER}/verification.json"
BOUND = 30.0
"""Seconds for one step of it on a node."""
LONGEST = 1 << 20


def leave(records: Mapping[str, bytes], connect: Connect) -> dict[str, SlipwayError]:
    """Write each node's record on it; what went wrong, by node. Nothing depends on it."""
    outcomes = for_each(lambda name: _write(connect(name), records[name]), records)
    return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, SlipwayError)}


def show() -> str:
    """A script that prints the copy; nothing where there is none."""
    return f"[ ! -f {COPY} ] || head -c {LONGEST} {COPY} 2>/dev/null || true\n"


def told(copy: str) -> str:
    """What a copy tells of, in words; empty for none, or one that says nothing."""
    try:
        fields = json.loads(copy)
        time = datetime.fromisoformat(fields["time"]).isoformat(timespec="minutes")
        return f"{'green' if fields['green'] is True else 'red'} at {line(time)}"
    except NO_SENSE:
        return ""


def _write(node: Host, content: bytes) -> None:
    node.run(["mkdir", "-p", "-m", "0700", FOLDER], timeout=BOUND)
    node.put(COPY, content, mode=0o644)
