"""What a node notes beside its system: which commit it was made from (rollout/revision.py)."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of a note that are read."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def commit_of(note: str, running: str | None) -> str | None:
    """The commit that the note `SYSTEM COMMIT` names, where it is of the system that is `running`."""
    system, _, commit = note.partition(" ")
    return commit if system and system == running and _COMMIT.fullmatch(commit) else None
