"""git, as far as slipway needs it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools.run import run

HISTORY_TIMEOUT = 300.0
CLONE_TIMEOUT = 600.0

FLAKE_PATHS = ("flake.nix", "flake.lock", "generated", "hosts", "modules")
"""What `mkCluster` reads of a repository (nixos/lib/configurations.nix), and the flake itself."""
ASK_TIMEOUT = 30.0
"""Seconds for a question to a remote."""
TRANSFER_TIMEOUT = 300.0
"""Seconds for a push or a fetch."""

_CUT_OFF = (
    "Empty reply from server",
    "Failed to connect",
    "Could not connect to server",
    "Couldn't connect to server",
    "Connection reset by peer",
    "Recv failure",
    "Send failure",
    "transfer closed with outstanding read data",
    "the remote end hung up",
    "unexpected disconnect",
    "returned error: 50",
)
NOBODY = ("-c", "user.name=slipway", "-c", "user.email=slipway@localhost", "-c", "commit.gpgSign=false")
"""Options for a commit that is nobody's in person."""
_WITH_LOGIN = (
    # The first one forgets those of the user's configuration.
    "-c", "credential.helper=",
    "-c", 'credential.helper=!f() { [ "$1" != get ] || cat "$SLIPWAY_LOGIN"; }; f',
    "-c", "http.proxy=",
)  # fmt: skip
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "NO_PROXY": "*", "no_proxy": "*"}


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


def head(root: Path) -> str:
    """The commit that the checkout at `root` has; "" where nothing was committed yet."""
    found = run(["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], check=False)
    return found.stdout.strip() if found.ok else ""


def top(root: Path) -> Path:
    """The folder at the top of the repository that `root` lies in."""
    return Path(run(["git", "-C", str(root), "rev-parse", "--show-toplevel"]).stdout.rstrip("\n"))


def uncommitted(root: Path, *paths: str) -> tuple[str, ...]:
    """Files below these paths of the checkout whose content the last commit does not have, or has in another way."""
    options = ["--porcelain", "-z", "--no-renames", "--untracked-files=all"]
    said = run(["git", "-C", str(root), "status", *options, "--", *paths]).stdout
    return tuple(entry[3:] for entry in said.split("\0") if entry)


def contains(root: Path, newer: str, older: str) -> bool:
    """Whether commit `older` is `newer` or one that it is built on; one that is not here at all is none of them."""
    asked = ["git", "-C", str(root), "merge-base", "--is-ancestor", older, newer]
    return run(asked, expect=(0, 1, 128)).ok


def beside(root: Path, parent: str, path: str, content: bytes, message: str) -> str:
    """A commit on top of `parent` with one file more, which no branch of the checkout has; its hash."""
    git = ["git", "-C", str(root)]
    blob = run([*git, "hash-object", "-w", "--stdin"], input=content).stdout.strip()
    with _index_of_its_own(root) as index:
        run([*git, "read-tree", parent], env=index)
        run([*git, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"], env=index)
        tree = run([*git, "write-tree"], env=index).stdout.strip()
    return run([*git, *NOBODY, "commit-tree", tree, "-p", parent, "-m", message]).stdout.strip()


@contextmanager
def _index_of_its_own(root: Path) -> Iterator[Mapping[str, str]]:
    """An index that is not the checkout's. Always the same file, so that what a killed run left goes with the next."""
    said = run(["git", "-C", str(root), "rev-parse", "--git-path", "slipway-index"]).stdout.strip()
    file = (root / said).resolve()
    mine = (file, file.with_name(f"{file.name}.lock"))

    def clear() -> None:
        for each in mine:
            each.unlink(missing_ok=True)

    clear()
    try:
        yield {"GIT_INDEX_FILE": str(file)}
    finally:
        clear()


@dataclass(frozen=True)
class Remote:
    """A branch of a repository that is reached over HTTP. `login` is what a credential helper says, line by line."""

    url: str
    branch: str
    login: Secret

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


def login(username: bytes, password: bytes) -> Secret:
    """What `Remote` takes for somebody who signs in with a password."""
    return Secret(b"username=" + username + b"\npassword=" + password + b"\n")


def tip(remote: Remote) -> str:
    """The commit that the remote's branch has; "" where there is no such branch."""
    said = _over_http(remote, "ls-remote", remote.url, remote.ref, timeout=ASK_TIMEOUT).stdout
    return said.split()[0] if said.strip() else ""


def cut_off(error: CommandFailed) -> bool:
    """Whether it was the connection that ended before the server's answer did, in the words of git and curl. One that
    was refused by the server itself (HTTP 4xx, a hook) was not cut off."""
    said = error.result.stderr
    return not re.search(r"(HTTP|error:) 4\d\d", said) and any(words in said for words in _CUT_OFF)


def fetch(root: Path, remote: Remote) -> None:
    """Bring the commits of the remote's branch here, under no name."""
    _over_http(
        remote, "-C", str(root), "fetch", "--quiet", "--no-write-fetch-head", "--no-tags", remote.url, remote.ref
    )


def push(root: Path, remote: Remote, commit: str, *, instead_of: str) -> None:
    """Let the remote's branch have `commit`, if it still has `instead_of` ("" for no branch at all).

    Raises CommandFailed where it has another one by now, or the server refuses. Hooks of the checkout are not run.
    """
    lease = f"--force-with-lease={remote.ref}:{instead_of}"
    words = ["push", "--quiet", "--no-verify", lease, remote.url, f"{commit}:{remote.ref}"]
    _over_http(remote, "-C", str(root), *words)


def _over_http(remote: Remote, *words: str, timeout: float = TRANSFER_TIMEOUT) -> CommandResult:
    """git with the remote's login, and no helper of the user's that would keep it somewhere."""
    with remote.login.as_file() as path:
        return run(["git", *_WITH_LOGIN, *words], env={**_UNATTENDED, "SLIPWAY_LOGIN": path}, timeout=timeout)


def below(root: Path, commit: str, path: str) -> str:
    """The commit that `commit` stands on, if all that it changes is that it adds the file `path`; else "", as for one
    that is not here."""
    git = ["git", "-C", str(root)]
    changes = run([*git, "diff-tree", "-r", "--root", "--no-commit-id", "--name-status", "-z", commit], expect=(0, 128))
    if not changes.ok or changes.stdout.split("\0")[:-1] != ["A", path]:
        return ""
    return run([*git, "rev-parse", "--verify", "--quiet", f"{commit}^"], check=False).stdout.strip()


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
    if not names:
        return {}
    mark = secrets.token_hex(16)
    argv = ["git", "-C", str(root), "cat-file", f"--batch={mark} %(objectname)"]
    _, *parts = run(argv, input=_lines(names), timeout=HISTORY_TIMEOUT).stdout.split(f"{mark} ")
    return {part[: part.index("\n")]: part[part.index("\n") + 1 :] for part in parts}


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def clone(source: str, target: Path) -> str:
    """Copy what Git has at `source` (a folder, an address, a bundle) to `target`; return the commit."""
    run(["git", "clone", "--quiet", "--", source, str(target)], timeout=CLONE_TIMEOUT)
    return run(["git", "-C", str(target), "rev-parse", "HEAD"]).stdout.strip()


def forget_origin(root: Path) -> None:
    """Let a clone not know where it is from: of a file that goes."""
    run(["git", "-C", str(root), "remote", "remove", "origin"])


def knows_who_commits(root: Path) -> bool:
    """Whether somebody has told git who commits here."""
    return run(["git", "-C", str(root), "config", "user.email"], check=False).ok


def bundle(root: Path, target: Path) -> None:
    """Write everything that is committed, in every branch, into one file, which can be cloned."""
    run(["git", "-C", str(root), "bundle", "create", "--quiet", str(target), "HEAD", "--all"], timeout=CLONE_TIMEOUT)
