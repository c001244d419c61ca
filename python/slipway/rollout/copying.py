"""How systems come to their nodes: from a binary cache that was filled once, or each from here.

A cache is a way and no condition: what it does not take or give is copied from here (docs/decisions/0022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from slipway.errors import Interrupted, SlipwayError
from slipway.events import Events
from slipway.inventory import Host as InventoryHost
from slipway.inventory import Inventory
from slipway.node.places import NIXOS
from slipway.outcome import outcome_of
from slipway.result import CommandFailed, CommandTimedOut
from slipway.ssh import openssh
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool
from slipway.tools import nix
from slipway.tools.nix import CacheKeys
from slipway.words import counted

ROOT = """mkdir -p "${1%/*}" && ln -sfn "$2" "$1" """


@dataclass(frozen=True)
class Copying:
    """`systems`: node to store path. `cache_keys`: for what is copied to `deploy.cache`; None: nothing is."""

    inventory: Inventory
    pool: Pool
    events: Events
    systems: Mapping[str, str]
    cache_keys: CacheKeys | None = None

    def run(self) -> dict[str, SlipwayError]:
        """Bring each node its system and keep it there; return what went wrong, by node."""
        limit = self.inventory.deploy.parallel
        has = self.pool.map(self._has, self.systems, limit=limit)
        failed = {name: answer for name, answer in has.items() if isinstance(answer, SlipwayError)}
        lacking = frozenset(name for name, answer in has.items() if answer is False)
        cached = self._upload(sorted({self.systems[name] for name in lacking}))
        going = [name for name in self.systems if name not in failed]
        done = self.pool.map(lambda host: self._bring(host, host.name in lacking, cached), going, limit=limit)
        return failed | {name: error for name, error in done.items() if isinstance(error, SlipwayError)}

    def _has(self, host: Host) -> bool:
        self.events.emit("copy", "started", host.name)
        with self._told(host.name):
            return host.run(["nix-store", "--check-validity", self.systems[host.name]], check=False).ok

    def _upload(self, paths: Sequence[str]) -> bool:
        """Fill the cache, if there is one; whether these paths can be fetched from it."""
        cache, keys = self.inventory.deploy.cache, self.cache_keys
        if not paths or cache is None or keys is None:
            return False
        what = f"{counted(len(paths), 'system')} to {cache}"
        self.events.emit("upload", "started", text=what)
        try:
            self._fill(cache, paths, keys)
        except Interrupted:
            raise
        except SlipwayError as error:
            self.events.emit("upload", "failed", text=f"{error}\nevery machine gets its system from here")
            return False
        self.events.emit("upload", "done", text=what)
        return True

    def _fill(self, cache: str, paths: Sequence[str], keys: CacheKeys) -> None:
        deploy = self.inventory.deploy
        nix.upload(
            paths,
            cache,
            keys,
            options=deploy.nix_options,
            timeout=deploy.timeouts.copy_,
            on_line=lambda line: self.events.emit("upload", "progress", text=line),
        )

    def _bring(self, host: Host, lacks: bool, cached: bool) -> None:
        system = self.systems[host.name]
        with self._told(host.name):
            if lacks and not (cached and self._fetched(host, system)):
                self._copy(host, system)
            host.run(["sh", "-c", ROOT, "root", NIXOS.root, system])
        self.events.emit("copy", "done", host.name)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except SlipwayError as error:
            self.events.emit("copy", outcome_of(error), name, reason=str(error))
            raise

    def _fetched(self, host: Host, system: str) -> bool:
        """Whether the machine got its system from its caches, which its own settings may not name yet."""
        settings, timeouts = self.inventory.host(host.name), self.inventory.deploy.timeouts
        if not settings.nix.substituters:
            return False
        self._progress(host.name)(f"fetches from {' '.join(settings.nix.substituters)}")
        words = ["nix-store", "--realise", "--quiet", system, *_fetching(settings, timeouts.connect)]
        try:
            host.run(words, timeout=timeouts.copy_)
        except (CommandFailed, CommandTimedOut) as error:
            why = str(error).strip().splitlines()[-1].strip()
            self.events.emit("fetch", "skipped", host.name, text=f"{why}; copied from here")
            return False
        return True

    def _copy(self, host: Host, system: str) -> None:
        """Raises Unreachable where the machine went away meanwhile, which is all that Nix does not tell apart."""
        try:
            self._copied(host, system)
        except (CommandFailed, CommandTimedOut):
            host.close()
            host.run(["true"], timeout=self.inventory.deploy.timeouts.connect)
            raise

    def _copied(self, host: Host, system: str) -> None:
        deploy = self.inventory.deploy
        with self.pool.openssh(host.name) as ssh:
            nix.copy(
                [system],
                openssh.store(self.pool.endpoints[host.name]),
                ssh=ssh,
                options=deploy.nix_options,
                timeout=deploy.timeouts.copy_,
                on_line=self._progress(host.name),
                substitute=self.inventory.host(host.name).deploy.substitute,
            )

    def _progress(self, name: str) -> Callable[[str], None]:
        return lambda line: self.events.emit("copy", "progress", name, text=line)


def _fetching(host: InventoryHost, connect: float) -> list[str]:
    """Options of Nix on a machine that fetches from the caches of the inventory; root's Nix takes keys by them."""
    options = {
        "extra-substituters" if host.deploy.substitute else "substituters": " ".join(host.nix.substituters),
        "extra-trusted-public-keys": " ".join(host.nix.trusted_public_keys),
        "connect-timeout": str(ceil(connect)),
    }
    return nix.as_options(options)
