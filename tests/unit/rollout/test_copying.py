"""Systems on their way: the real Nix, a binary cache that is a folder behind HTTP, and a machine with a store of its
own behind a real sshd."""

import base64
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import NIX_SETTINGS
from tests.unit.rollout.conftest import INVENTORY

from slipway.errors import Unreachable
from slipway.events import Event, Events
from slipway.inventory import Inventory, load
from slipway.result import CommandFailed, CommandResult
from slipway.rollout.copying import Copying
from slipway.secret import Secret
from slipway.ssh.connection import Endpoint
from slipway.ssh.pool import Pool, for_each
from slipway.tools import nix
from slipway.tools.nix import CacheKeys
from slipway.tools.run import run

NAMES = ("w1", "w2")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> Path:
    """This computer's store, for every Nix that slipway starts."""
    folders = {f"NIX_{name}_DIR": str(tmp_path / name.lower()) for name in ("STORE", "STATE", "LOG")}
    for name, value in {**folders, "NIX_CONFIG": NIX_SETTINGS, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def machine(store, sshd) -> Iterator[Callable[..., bool]]:
    """A machine whose nix-store has a store of its own; `machine(path)`: whether that has the path."""
    kept = {name: os.environ[name] for name in ("NIX_STORE_DIR", "NIX_CONFIG")}
    kept |= {"NIX_STATE_DIR": str(store / "node-state"), "NIX_LOG_DIR": str(store / "node-log"), "HOME": str(store)}
    real = run(["sh", "-c", "command -v nix-store"]).stdout.strip()
    words = [f"{name}={value}" for name, value in kept.items()]
    program = sshd.folder / "bin" / "nix-store"
    program.write_text(f'#!/bin/sh\nexec env {shlex.join(words)} {real} --store {store}/node "$@"\n')
    program.chmod(0o755)
    yield lambda path: run([program, "--check-validity", path], check=False).ok
    program.unlink()


@pytest.fixture
def systems(store) -> dict[str, str]:
    def built(name: str) -> str:
        text = f'derivation {{ name = "system-{name}"; system = builtins.currentSystem; builder = "/bin/sh"; ' \
               f'args = [ "-c" "echo {name} >$out" ]; }}'  # fmt: skip
        drv = run(["nix-instantiate", "--expr", text]).stdout.strip()
        return run(["nix-store", "--realise", drv]).stdout.strip()

    return {name: built(name) for name in NAMES}


@pytest.fixture
def key(store) -> tuple[Secret, str]:
    run(["nix-store", "--generate-binary-cache-key", "test-1", store / "secret", store / "public"])
    return Secret((store / "secret").read_text().strip()), (store / "public").read_text().strip()


@pytest.fixture
def copied(monkeypatch) -> list[str]:
    """What was copied from here, node by node: the machine of the tests has no nix-daemon of its own store."""
    found: list[str] = []
    monkeypatch.setattr(nix, "copy", lambda paths, *_, **__: found.extend(paths))
    return found


@pytest.fixture
def copy(store, machine, systems, key, sshd):
    """`copy(upload, url, public)` copies both systems with such an inventory; what was said."""

    def copying(upload: str, url: str, public: str = key[1]) -> list[Event]:
        seen: list[Event] = []
        endpoints = [replace(sshd.endpoint, name=name) for name in NAMES]
        with Pool(endpoints, sshd.known_hosts) as pool:
            inventory = with_cache(store, upload, url, public)
            assert Copying(inventory, pool, Events(seen.append), systems, CacheKeys(key[0])).run() == {}
        return seen

    return copying


def with_cache(folder: Path, upload: str, url: str, public: str) -> Inventory:
    """One machine after the other: both are one here, whose Nix keeps one database of what caches have."""
    caches = f"  nix: {{substituters: ['{url}'], trustedPublicKeys: ['{public}']}}\n"
    text = INVENTORY.replace("deploy: {parallel: 2", f"{caches}deploy: {{cache: '{upload}', parallel: 1")
    (folder / "inventory.yaml").write_text(text)
    return load(folder / "inventory.yaml")


def said(seen: list[Event], phase: str, state: str) -> list[str]:
    return [event.words for event in seen if (event.phase, event.state) == (phase, state)]


def test_machines_fetch_what_was_uploaded_once(copy, store, machine, systems, copied):
    cache = store / "cache"
    cache.mkdir()
    assert not any(map(machine, systems.values()))
    with served(cache) as url:
        seen = copy(f"file://{cache}?compression=none", url)
    assert said(seen, "fetch", "skipped") == []
    assert all(map(machine, systems.values()))
    assert copied == []
    assert said(seen, "upload", "done") == [f"2 systems to file://{cache}?compression=none"]
    infos = list(cache.glob("*.narinfo"))
    assert len(infos) == 2
    assert all("Sig: test-1:" in info.read_text() for info in infos)


def test_what_nobody_trusts_is_not_fetched(copy, store, machine, systems, copied):
    """Signed by another key than the machines take: the same cache, and all comes from here."""
    other = f"test-1:{base64.b64encode(bytes(32)).decode()}"
    seen = copy(f"file://{store}/cache", f"file://{store}/cache", other)
    assert not any(map(machine, systems.values()))
    assert sorted(copied) == sorted(systems.values())
    assert len(said(seen, "fetch", "skipped")) == 2
    assert all(words.endswith("; copied from here") for words in said(seen, "fetch", "skipped"))


def test_a_cache_that_takes_nothing_holds_nobody_up(copy, systems, copied):
    seen = copy("file:///proc/nowhere", "file:///proc/nowhere")
    assert sorted(copied) == sorted(systems.values())
    assert said(seen, "upload", "failed")[0].endswith("every machine gets its system from here")
    assert said(seen, "fetch", "skipped") == []


def test_machines_that_have_their_systems_cost_the_cache_nothing(copy, store, copied):
    address = f"file://{store}/cache"
    copy(address, address)
    seen = copy(address, address)
    assert {event.phase for event in seen} == {"copy"}
    assert copied == []


@pytest.mark.parametrize("substitute", [True, False])
def test_a_machine_without_internet_asks_its_own_caches_alone(store, substitute):
    from slipway.rollout.copying import _fetching

    host = with_cache(store, "file:///c", "https://c.example", f"c:{'A' * 43}=").host("w1")
    host = host.model_copy(update={"deploy": host.deploy.model_copy(update={"substitute": substitute})})
    words = _fetching(host, 2.5)
    assert ("extra-substituters" in words) is substitute
    assert ("substituters" in words) is not substitute
    assert words[-1] == "3"


@pytest.mark.parametrize("away", [True, False])
def test_a_machine_that_goes_away_meanwhile_is_told_from_one_that_cannot_take_it(inventory, monkeypatch, away):
    """Nix says the same of both."""

    class FakeMachine:
        name, closed = "w1", False

        def run(self, argv, **_how):
            if self.closed and away:
                raise Unreachable("w1: no route to host")
            return CommandResult(tuple(argv), "w1", 0 if self.closed else 1, "", "", 0.1)

        def close(self):
            self.closed = True

    def fails(*_what, **_how):
        raise CommandFailed(CommandResult(("nix", "copy"), "localhost", 1, "", "error: broken pipe", 1.0))

    def each(function, names, **_how):
        return for_each(lambda _name: function(machine), names)

    machine = FakeMachine()
    pool: Any = SimpleNamespace(map=each, openssh=lambda _: nullcontext([]), endpoints={"w1": Endpoint("w1", "::1")})
    monkeypatch.setattr(nix, "copy", fails)
    error = Copying(inventory, pool, Events(), {"w1": "/nix/store/a"}).run()["w1"]
    assert isinstance(error, Unreachable if away else CommandFailed)
