"""From which commit a node got its system, and that no older checkout takes it back by mistake.

The note lies beside the system and not in it: equal systems stay equal, whatever commit they were built from. It names
its system, so that it counts for no other one (that somebody activated by hand, or that a rollback brought back).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slipway.errors import DeployFailed, SlipwayError
from slipway.node import note as note_of
from slipway.node.facts import Facts
from slipway.node.places import NIXOS
from slipway.ssh.host import Host
from slipway.tools import git
from slipway.words import first_of

WRITE = """umask 022; mkdir -p "${1%/*}" && printf '%s %s\\n' "$2" "$3" >"$1.new" && mv -f "$1.new" "$1"
"""
NAMED = 5


class Older(DeployFailed):
    """Nodes run what a later commit, or one of another branch, says."""


def require_newer(root: Path, nodes: Mapping[str, Facts]) -> None:
    """Raises Older unless what is checked out descends from every commit that the nodes run; outside of a repository
    nothing is known, and nothing is refused."""
    if not git.head(root):
        return
    by_commit: dict[str, list[str]] = {}
    for name, facts in nodes.items():
        if (commit := commit_of(facts)) is not None:
            by_commit.setdefault(commit, []).append(name)
    refused = {commit: names for commit, names in by_commit.items() if not git.contains(root, "HEAD", commit)}
    if refused:
        told = "; ".join(f"{first_of(names, NAMED, ' ')} of commit {commit[:12]}" for commit, names in refused.items())
        raise Older(
            f"nodes run what this checkout does not have in its history: {told}",
            hint="git pull, and deploy again; to take them back on purpose: slipway deploy --older",
        )


def commit_of(facts: Facts) -> str | None:
    """The commit that a node's note names, where it is of the system that runs."""
    return note_of.commit_of(facts.note, facts.current)


def note(host: Host, system: str, commit: str | None) -> None:
    """Have the node remember what its system was made from. A note that cannot be written is none."""
    if commit is not None:
        with suppress(SlipwayError):
            host.run(["sh", "-c", WRITE, "note the commit", NIXOS.note, system, commit])
