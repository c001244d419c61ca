"""Who can open the encrypted files: the public keys in .sops.yaml, and whether each file follows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from slipway import inside
from slipway.errors import InvalidInput
from slipway.secrets import store
from slipway.secrets.store import CONFIG
from slipway.tools import sops

FOLDERS = ("secrets", "gitops")
"""Where encrypted files lie: what the rule of .sops.yaml covers."""
PUBLIC = re.compile(r"age1[02-9ac-hj-np-z]{58}")
"""A recipient: Bech32 of an X25519 key (age, "age and X25519")."""


def files(root: Path) -> tuple[Path, ...]:
    """Every encrypted file of the repository, by its name, relative to `root`."""
    return tuple(sorted(_files(root)))


def _files(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in (root / folder).rglob("*.sops.y*ml"):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root)


def out_of_step(root: Path) -> tuple[Path, ...]:
    """The files that are encrypted to others than .sops.yaml says."""
    named = set(store.recipients_of(root))
    return tuple(path for path in files(root) if set(sops.recipients((root / path).read_bytes())) != named)


def bring_in_step(root: Path) -> tuple[Path, ...]:
    """Encrypt those files anew, each with a data key of its own; return them. Can be run again at any time.

    What was encrypted to somebody stays readable for them in the history of Git: a value that they must not know any
    more has to be another one.
    """
    found = out_of_step(root)
    for path in found:
        store.rewritten(root, path, store.decrypt(root, path))
    return found


def add(root: Path, public: Iterable[str]) -> tuple[str, ...]:
    """Name more recipients in .sops.yaml; return those that were not there."""
    there = store.recipients_of(root)
    new = tuple(dict.fromkeys(key for key in public if key not in there))
    for key in new:
        if not PUBLIC.fullmatch(key):
            raise InvalidInput(f"{key}: not a public age key (age1..., 62 characters)", hint="age-keygen -y KEYFILE")
    if new:
        _write(root, _added(_text(root), there[0], new))
    return new


def remove(root: Path, public: str) -> None:
    """Take a recipient out of .sops.yaml. Raises InvalidInput where nobody would be left."""
    there = store.recipients_of(root)
    if set(there) == {public}:
        raise InvalidInput(f"{root / CONFIG}: {public} is the only recipient", hint="add another one first")
    if public in there:
        _write(root, _removed(_text(root), public))


def _text(root: Path) -> str:
    return (root / CONFIG).read_text()


def _write(root: Path, text: str) -> None:
    inside.write(root, CONFIG, text.encode())


def _added(text: str, beside: str, new: Iterable[str]) -> str:
    """The text, comments and all, with `new` beside a recipient that is there: as lines of a list, or after a comma."""
    line = re.compile(rf"^([ \t]*-[ \t]*[\"']?){beside}([\"']?[ \t]*)$", re.MULTILINE)
    if line.search(text):
        for key in new:
            text = line.sub(lambda found, key=key: f"{found[0]}\n{found[1]}{key}{found[2]}", text)  # type: ignore[misc]
        return text
    return text.replace(beside, ",".join((beside, *new)))


def _removed(text: str, public: str) -> str:
    text = re.sub(rf"^[ \t]*-[ \t]*[\"']?{public}[\"']?[ \t]*\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"{public}\s*,\s*|\s*,\s*{public}|{public}", "", text)
