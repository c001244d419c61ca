"""git, as far as slipway needs it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from slipway.tools.run import run

HISTORY_TIMEOUT = 300.0

FLAKE_PATHS = ("flake.nix", "flake.lock", "generated", "hosts", "modules")
"""What `mkCluster` reads of a repository (nixos/lib/configurations.nix), and the flake itself."""


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


def unseen(root: Path) -> tuple[Path, ...]:
    """Files that a flake at `root` would be built from and that Git does not know, relative to `root`; none outside of
    a repository, where flakes see everything.

    Of what Git is told to ignore only Nix files count: nobody ignores those and still means them.
    """
    if not run(["git", "-C", str(root), "rev-parse", "--git-dir"], check=False).ok:
        return ()
    listed = run(["git", "-C", str(root), "ls-files", "-z", "--others", "--", *FLAKE_PATHS])
    found = [Path(name) for name in listed.stdout.split("\0") if name]
    ignored = ignores(root, found)
    return tuple(path for path in found if not _is_scratch(path) and (path not in ignored or path.suffix == ".nix"))


def ignores(root: Path, paths: Sequence[Path]) -> frozenset[Path]:
    """Those of `paths` that Git is told to ignore."""
    listed = "".join(f"{path}\0" for path in paths).encode()
    said = (
        run(["git", "-C", str(root), "check-ignore", "-z", "--stdin"], input=listed, expect=(0, 1)) if paths else None
    )
    return frozenset(Path(name) for name in said.stdout.split("\0") if name) if said else frozenset()


def _is_scratch(path: Path) -> bool:
    """What editors leave beside a file."""
    return path.name.startswith((".", "#")) or path.name.endswith(("~", ".swp", ".orig", ".rej"))


def intend_to_add(root: Path, paths: Sequence[Path]) -> None:
    """Let Git know `paths` (relative to `root`) without staging what is in them (`git add --intent-to-add`)."""
    listed = "".join(f"{path}\0" for path in paths).encode()
    options = ["--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"]
    run(["git", "-C", str(root), "--literal-pathspecs", "add", *options], input=listed)


def states(root: Path, path: Path, most: int) -> tuple[str, ...]:
    """The objects that the file `path` (relative to `root`) ever was, in any branch, newest first; at most `most`."""
    argv = ["git", "-C", str(root), "--literal-pathspecs", "log", "--all", "--format=", "--raw", "--no-abbrev"]
    listed = run([*argv, "--no-renames", f"--max-count={most}", "--", path], check=False)
    found = (line.split()[3] for line in listed.stdout.splitlines() if line.startswith(":"))
    return tuple(dict.fromkeys(name for name in found if set(name) != {"0"}))


def blob(root: Path, name: str) -> bytes:
    """The content of an object that is text."""
    return run(["git", "-C", str(root), "cat-file", "blob", name]).stdout.encode()


def files(root: Path) -> tuple[Path, ...]:
    """Files below `root` that Git tracks, or would if it were told to: all but what it ignores, relative to it."""
    argv = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    return tuple(dict.fromkeys(Path(name) for name in run(argv).stdout.split("\0") if name))


def history(root: Path, most: int) -> tuple[tuple[str, str], ...]:
    """Objects of every commit of every branch and tag with a path that each had, newest first; at most `most`."""
    listed = run(["git", "-C", str(root), "rev-list", "--objects", "--all"], check=False, timeout=HISTORY_TIMEOUT)
    pairs = (line.partition(" ") for line in listed.stdout.splitlines())
    return tuple((name, path) for name, _, path in pairs if path)[:most]


def sizes(root: Path, names: Sequence[str]) -> dict[str, int]:
    """Bytes of those of the objects that are files."""
    argv = ["git", "-C", str(root), "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"]
    listed = run(argv, input=_lines(names), timeout=HISTORY_TIMEOUT).stdout.splitlines()
    found = (line.split() for line in listed)
    return {words[0]: int(words[2]) for words in found if words[1:2] == ["blob"]}


def contents(root: Path, names: Sequence[str]) -> dict[str, str]:
    """The objects as text; bytes that are none are replaced. All of it is held in memory: ask for a few."""
    mark = secrets.token_hex(16)
    argv = ["git", "-C", str(root), "cat-file", f"--batch={mark} %(objectname)"]
    _, *parts = run(argv, input=_lines(names), timeout=HISTORY_TIMEOUT).stdout.split(f"{mark} ")
    return {part[: part.index("\n")]: part[part.index("\n") + 1 :] for part in parts}


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
