"""The names of the keys with which OpenBao seals itself: the present ones, and those that there ever were in Git."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from slipway.errors import InvalidInput, PrerequisiteMissing
from slipway.generate.gitops.secrets import BY_NAME
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.secrets import manifest
from slipway.tools import git, sops

SEAL = BY_NAME["openbao-seal"]
PAIRS = (("key-id", "key"), ("previous-key-id", "previous-key"))
MOST_STATES = 100
"""States of the file in Git that are looked at, newest first: each costs a call of sops."""


def names(root: Path) -> Mapping[str, frozenset[Secret]]:
    """Every name with the keys that it stood for, here and in Git, as far as a key of this machine opens them."""
    found: dict[str, frozenset[Secret]] = {}
    for plain in _plain(root):
        for name, key in _pairs(plain):
            found[name] = found.get(name, frozenset()) | {key}
    return found


def _plain(root: Path) -> Iterator[Secret]:
    def opened(open_it: Callable[[], Secret]) -> Iterator[Secret]:
        # An older state may belong to a key that nobody has any more; the present one is judged elsewhere.
        with suppress(PrerequisiteMissing, InvalidInput, CommandFailed):
            yield open_it()

    if (root / SEAL.file).exists():
        yield from opened(partial(sops.decrypt, root / SEAL.file))
    for state, text in git.contents(root, git.states(root, SEAL.file, MOST_STATES)).items():
        yield from opened(partial(sops.decrypt_bytes, text.encode(), f"{SEAL.file} at {state[:8]}"))


def _pairs(plain: Secret) -> Iterator[tuple[str, Secret]]:
    try:
        values = manifest.read(plain, SEAL.file).values
    except InvalidInput:
        return
    for name, key in PAIRS:
        if name in values and values[name].reveal():
            yield values[name].reveal().decode(errors="replace"), values.get(key, Secret(""))
