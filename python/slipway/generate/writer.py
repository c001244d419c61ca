"""Puts generated files into the repository: writes what changed, removes what is generated no more, nothing else.

Which files are slipway's own is said twice: by the list generated/manifest and by the first line of each file. A file
that lacks either is a person's, and is left alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway import inside
from slipway.errors import InvalidInput
from slipway.generate.templates import MARK

MANIFEST = "generated/manifest"


@dataclass(frozen=True)
class Change:
    """One file whose bytes on disk differ from what they should be; None stands for no file."""

    path: str
    before: bytes | None
    after: bytes | None

    @property
    def verb(self) -> str:
        if self.before is None:
            return "new"
        return "removed" if self.after is None else "changed"

    def diff(self) -> str:
        """As a unified diff, from what is there to what should be."""
        old, new = (
            (text or b"").decode(errors="replace").splitlines(keepends=True) for text in (self.before, self.after)
        )
        old_name, new_name = ("/dev/null" if text is None else self.path for text in (self.before, self.after))
        return "".join(difflib.unified_diff(old, new, old_name, new_name))


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode(errors="replace").splitlines(keepends=True)


def changes(root: Path, files: Mapping[str, bytes]) -> tuple[Change, ...]:
    """What `write` would do to make the repository at `root` hold `files`, in the order of their paths.

    Raises InvalidInput where a person's file or a symlink stands in the way.
    """
    owned = _owned(root)
    wanted = {**files, MANIFEST: _manifest(files)}
    found = [_compare(root, path, content) for path, content in wanted.items()]
    stale = [_removal(root, path) for path in owned if path not in wanted]
    different = sorted((change for change in (*found, *stale) if change), key=lambda change: change.path)
    _refuse_foreign(root, different, owned)
    return tuple(different)


def write(root: Path, different: Iterable[Change]) -> None:
    """Make them so. Each file appears whole, under a temporary name first."""
    for change in different:
        if change.after is None:
            target = inside.place(root, change.path)
            target.unlink(missing_ok=True)
            _prune(target.parent, root)
        else:
            inside.write(root, change.path, change.after)


def _compare(root: Path, path: str, content: bytes) -> Change | None:
    before = _read(inside.place(root, path))
    return None if before == content else Change(path, before, content)


def _removal(root: Path, path: str) -> Change | None:
    """A file that an earlier run made and this one does not; if a person has taken it over, it is theirs."""
    before = _read(inside.place(root, path))
    return Change(path, before, None) if before is not None and _is_ours(before) else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _is_ours(content: bytes) -> bool:
    return MARK.encode() in content.partition(b"\n")[0]


def _manifest(files: Iterable[str]) -> bytes:
    return "".join(f"{path}\n" for path in sorted(files)).encode()


def _owned(root: Path) -> frozenset[str]:
    text = (_read(inside.place(root, MANIFEST)) or b"").decode()
    return frozenset(path for path in text.splitlines() if _stays_inside(path))


def _stays_inside(path: str) -> bool:
    """Whether a path of the manifest, which a merge may have mangled, lies in the repository."""
    pure = PurePosixPath(path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts


def _refuse_foreign(root: Path, different: Iterable[Change], owned: frozenset[str]) -> None:
    foreign = [c.path for c in different if c.before is not None and not (c.path in owned or _is_slipways(c))]
    if foreign:
        raise InvalidInput(
            f"{root}: slipway would overwrite files that it did not write: {', '.join(foreign)}",
            hint="move them away, then: slipway generate",
        )


def _is_slipways(change: Change) -> bool:
    return change.path == MANIFEST or _is_ours(change.before or b"")


def _prune(folder: Path, root: Path) -> None:
    """Folders that the last file has left, up to the root."""
    for parent in _parents_below(folder, root):
        if any(parent.iterdir()):
            return
        parent.rmdir()


def _parents_below(folder: Path, root: Path) -> Iterator[Path]:
    while folder != root:
        yield folder
        folder = folder.parent
