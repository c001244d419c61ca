"""What the gate asks a node, all of it in one question: which system it runs, which boot it is in, of which commit it
says that it has the system, and, where we have no record of it ourselves, what its own copy tells (copies.py).

A question of its own beside facts.py: three hundred nodes are asked by somebody who waits, and most of what a small
question costs a node is the programs that answer it.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.node import note
from slipway.node.places import NIXOS
from slipway.ssh.host import Host
from slipway.verify import copies

ASK = f"""readlink -e {NIXOS.current} || echo
read -r BOOT </proc/sys/kernel/random/boot_id; echo "$BOOT"
NOTE=; [ ! -r {NIXOS.note} ] || IFS= read -r NOTE <{NIXOS.note}; printf '%.{note.LONGEST}s\\n' "$NOTE"
"""
"""Three lines, each there even where the thing is missing."""
BOUND = 30.0


@dataclass(frozen=True)
class Running:
    """`told` is empty where nobody asked for the copy, and where it says nothing; `commit` where the system was not
    deployed from one."""

    system: str
    boot_id: str
    told: str = ""
    commit: str = ""


def ask(node: Host, *, copy: bool) -> Running:
    """Raises Unreachable, CommandTimedOut, CommandFailed, or OddAnswer where fewer than three lines come."""
    result = node.run(["sh", "-c", ASK + (copies.show() if copy else "")], timeout=BOUND)
    with result.read() as said:
        system, boot_id, noted, shown = said.split("\n", 3)
        return Running(system, boot_id, copies.told(shown), note.commit_of(noted, system) or "")
