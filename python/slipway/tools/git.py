"""git, as far as slipway needs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway.tools.run import run


def init(root: Path) -> None:
    """Make `root` a repository whose first branch is main."""
    run(["git", "init", "--quiet", "--initial-branch=main", str(root)])


def is_inside_repository(root: Path) -> bool:
    """Whether a repository has, or could have, the files of `root`: one that ignores the folder never will."""
    if not run(["git", "-C", str(root), "rev-parse", "--git-dir"], check=False).ok:
        return False
    return not run(["git", "-C", str(root), "check-ignore", "--quiet", "."], check=False).ok


def untracked(root: Path) -> tuple[Path, ...]:
    """Files below `root` that Git neither tracks nor ignores, relative to it. Flakes do not see them."""
    listed = run(["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-standard"])
    return tuple(Path(name) for name in listed.stdout.split("\0") if name)


def intend_to_add(root: Path, paths: Sequence[Path]) -> None:
    """Let Git know `paths` (relative to `root`) without staging what is in them (`git add --intent-to-add`)."""
    listed = "".join(f"{path}\0" for path in paths).encode()
    options = ["--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"]
    run(["git", "-C", str(root), "--literal-pathspecs", "add", *options], input=listed)
