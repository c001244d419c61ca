"""Looks for secrets in plain sight: in the working tree, and in everything that Git ever had of it. Bounded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.result import NO_SENSE
from slipway.secret import Secret
from slipway.tools import git

LEAST = 12
"""Bytes below which a value is no secret that could be looked for: it would be found everywhere."""
MOST_FILE = 1 << 20
"""Bytes of one file. Secrets lie in small ones; what is larger is counted and left out."""
MOST_OBJECTS = 50_000
MOST_AT_ONCE = 16 << 20
"""Bytes of history that are held in memory at a time."""
MANIFESTS = ("gitops", "secrets", "overlays", "generated", "hosts")
"""Where a Secret of Kubernetes in plain text is one, and no example."""
IDENTITY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")
_KIND = re.compile(r"""kind["']?\s*:\s*["']?Secret\b""")
_PLACEHOLDER = re.compile(r"\$\{.*\}|\{\{.*\}\}|REPLACE.*|ENC\[.*\]", re.DOTALL)


@dataclass(frozen=True)
class Leak:
    """`what` lies in plain text in `path`: in the working tree, or as the object `object` of Git's history."""

    path: str
    what: str
    object: str = ""

    def __str__(self) -> str:
        where = f"{self.path} in Git's history ({self.object[:8]})" if self.object else self.path
        return f"{where}: {self.what} in plain text"


@dataclass(frozen=True)
class Looked:
    """What was found, in how many files and objects, and how many were left out for their size or number."""

    leaks: tuple[Leak, ...]
    files: int = 0
    objects: int = 0
    left_out: int = 0


Needles = Mapping[str, Sequence[str]]
"""What each secret is called, and the texts that give it away."""


def needles(values: Mapping[str, Secret]) -> Needles:
    """The texts for each value: as it is, and in base64, with and without a newline after it."""
    return {name: tuple(_texts(value.reveal())) for name, value in values.items() if len(value.reveal()) >= LEAST}


def _texts(value: bytes) -> Iterator[str]:
    plain = value.rstrip(b"\n")
    if plain.isascii() and b"\n" not in plain:
        yield plain.decode()
    for form in dict.fromkeys((value, plain, plain + b"\n")):
        yield base64.b64encode(form).decode()


def look(root: Path, wanted: Needles) -> Looked:
    """In the working tree and, where there is a repository, in all of Git's history."""
    in_git = git.is_inside_repository(root)
    paths = _paths(root, in_git)
    small = [path for path in paths if (root / path).stat().st_size <= MOST_FILE]
    leaks = [leak for path in small for leak in _in(str(path), (root / path).read_text(errors="replace"), wanted)]
    tree = Looked(tuple(leaks), len(small), 0, len(paths) - len(small))
    return _in_history(root, wanted, tree) if in_git else tree


def _paths(root: Path, in_git: bool) -> tuple[Path, ...]:
    """Files that Git has or could get, and those below secrets/ and gitops/ in any case."""
    known = git.files(root) if in_git else ()
    beside = [path.relative_to(root) for top in MANIFESTS for path in (root / top).rglob("*")]
    found = dict.fromkeys([*known, *beside])
    return tuple(path for path in found if (root / path).is_file() and not (root / path).is_symlink())


def _in_history(root: Path, wanted: Needles, tree: Looked) -> Looked:
    paths = dict(git.history(root, MOST_OBJECTS + 1))
    sizes = git.sizes(root, list(paths))
    small = {name: size for name, size in sizes.items() if size <= MOST_FILE}
    leaks = [
        Leak(leak.path, leak.what, name)
        for part in _parts(small)
        for name, text in git.contents(root, part).items()
        for leak in _in(paths[name], text, wanted)
    ]
    left_out = tree.left_out + len(sizes) - len(small) + (len(paths) > MOST_OBJECTS)
    return Looked(tree.leaks + tuple(leaks), tree.files, len(small), left_out)


def _parts(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    part: list[str] = []
    total = 0
    for name, size in sizes.items():
        if part and total + size > MOST_AT_ONCE:
            yield part
            part, total = [], 0
        part.append(name)
        total += size
    if part:
        yield part


def _in(path: str, text: str, wanted: Needles) -> Iterator[Leak]:
    if IDENTITY.search(text):
        yield Leak(path, "a private age key")
    for name, texts in wanted.items():
        if any(each in text for each in texts):
            yield Leak(path, name)
    if path.partition("/")[0] in MANIFESTS and _KIND.search(text):
        yield from (Leak(path, f"the Secret {name}") for name in _plain_secrets(text))


def _plain_secrets(text: str) -> Iterator[str]:
    """Secrets of Kubernetes of which some value is neither encrypted nor a placeholder."""
    try:
        found = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, *NO_SENSE):
        return
    for each in found:
        if isinstance(each, dict) and each.get("kind") == "Secret" and any(map(_is_plain, _values(each))):
            yield str((each.get("metadata") or {}).get("name", ""))


def _values(manifest: Mapping[str, object]) -> Iterable[object]:
    for key in ("data", "stringData"):
        values = manifest.get(key)
        yield from values.values() if isinstance(values, dict) else ()


def _is_plain(value: object) -> bool:
    return value not in (None, "") and not _PLACEHOLDER.fullmatch(str(value))
