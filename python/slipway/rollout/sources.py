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
    return {str(path): f"unknown to Git, so no build sees it: {to_add(root, [path])}" for path in git.unseen(root)}


def require_seen(root: Path) -> None:
    """Raises InvalidInput where a build would leave files out: we would deploy something else than what lies there."""
    paths = git.unseen(root)
    if not paths:
        return
    lines = [f"{path} is unknown to Git, so no build sees it" for path in paths[:MOST_NAMED]]
    lines += [f"... and {len(paths) - MOST_NAMED} more"] if len(paths) > MOST_NAMED else []
    raise InvalidInput("\n".join(lines), hint=to_add(root, paths[:MOST_NAMED]))


def to_add(root: Path, paths: Sequence[Path]) -> str:
    """The command, as one types it here. Ignored files want a word more."""
    there = ["-C", str(root)] if root.resolve() != Path.cwd() else []
    return shlex.join(["git", *there, "add", *(["--force"] if git.ignores(root, paths) else []), *map(str, paths)])
