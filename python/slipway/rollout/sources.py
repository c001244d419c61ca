"""What Nix builds from is what Git knows: files that nobody added are left out without a word, so we say it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from slipway.errors import InvalidInput
from slipway.tools import git

MOST_NAMED = 20
"""Files that are named one by one."""


def unseen(root: Path) -> dict[str, str]:
    """Each file that a build of the repository at `root` would not see, with what to say of it."""
    paths = git.unseen(root)
    ignored = git.ignores(root, paths)
    return {str(path): f"unknown to Git, so no build sees it: {_to_add(root, [path], ignored)}" for path in paths}


def require_seen(root: Path) -> None:
    """Raises InvalidInput where a build would leave files out: we would deploy something else than what lies there."""
    paths = git.unseen(root)
    if not paths:
        return
    named = paths[:MOST_NAMED]
    lines = [f"{path} is unknown to Git, so no build sees it" for path in named]
    lines += [f"... and {len(paths) - MOST_NAMED} more"] if len(paths) > MOST_NAMED else []
    raise InvalidInput("\n".join(lines), hint=_to_add(root, named, git.ignores(root, named)))


def _to_add(root: Path, paths: Sequence[Path], ignored: frozenset[Path]) -> str:
    """The command, as one types it here. Ignored files want a word more."""
    there = ["-C", str(root)] if root.resolve() != Path.cwd() else []
    force = [] if ignored.isdisjoint(paths) else ["--force"]
    return shlex.join(["git", *there, "add", *force, *map(str, paths)])
