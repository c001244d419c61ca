"""A repository whose secrets are known texts, and what is watched while its commands run."""

from __future__ import annotations

import base64
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.harness import Home, Repository

from slipway.secret import Secret
from slipway.secrets import keys, store
from slipway.tools import age, sops

SAMPLE_EVERY = 0.02
YOUNG = 1.0
"""Seconds for which a process may still become another program: its arguments are read again."""

STORE = Path("/nix/store")


class Arguments(threading.Thread):
    """Reads the arguments of every process of this machine, the nodes' and their pods' among them, as they come."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._over = threading.Event()

    def run(self) -> None:
        age_of: dict[str, float] = {}
        while not self._over.wait(SAMPLE_EVERY):
            alive = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 (fifty times a second)
            age_of = {pid: age_of.get(pid, 0.0) + SAMPLE_EVERY for pid in alive}
            for pid in alive:
                if age_of[pid] <= YOUNG:
                    self._read(pid)

    def _read(self, pid: str) -> None:
        try:
            self.seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            return

    def stop(self) -> None:
        self._over.set()
        self.join()

    def __enter__(self) -> Arguments:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True)
class Observed:
    """A repository, the texts that must be nowhere in what its commands leave, and what was there before it."""

    repository: Repository
    poison: tuple[bytes, ...]
    store_before: frozenset[str]
    arguments: Arguments


@contextmanager
def observed(home: Home) -> Iterator[Observed]:
    """A new repository for the lab of $SLIPWAY_LAB; until the block ends, or somebody stops it, arguments are read."""
    before = store_paths()
    repository = Repository(home.folder / "repository", home)
    with Arguments() as arguments:
        repository.slipway("lab", "init", str(repository.root)).ended(0)
        yield Observed(repository, plant(repository.root), before, arguments)


def plant(root: Path) -> tuple[bytes, ...]:
    """Make the password of Gitea a known text; return all that must not be found: that, and the key that opens it."""
    password = f"poison-{secrets.token_hex(12)}".encode()
    plain = store.kubernetes_secret("gitea", "gitea-admin", {"username": b"gitea_admin", "password": password})
    (root / store.GITEA_ADMIN).write_bytes(sops.encrypt(plain, root, store.GITEA_ADMIN))
    (key,) = age.identities(Secret(keys.key_file().read_bytes()))
    return *forms(password), *forms(key.reveal())


def forms(text: bytes) -> tuple[bytes, ...]:
    """A text as it is and as manifests of Secrets have it; the last letters of base64 depend on what follows."""
    return text, base64.b64encode(text).rstrip(b"=")[:-1]


def store_paths() -> frozenset[str]:
    """Names in this machine's Nix store."""
    return frozenset(os.listdir(STORE))  # noqa: PTH208 (names are what is wanted)
