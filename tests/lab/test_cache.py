"""A binary cache beside the machines: what a deploy writes there once, every machine fetches, if it is signed.

The cache is a folder behind HTTP that takes PUT, at the lab's own address; all that speaks to it is the real Nix. The
tests run in order, on machines without a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from tests.lab.conftest import OWN, of_tests
from tests.lab.harness import Home, Ran, Repository, on_machine, outcomes

from slipway.events import Events
from slipway.lab import machines
from slipway.lab.settings import Lab, Machine
from slipway.lab.state import recorded
from slipway.tools.run import run

pytestmark = [pytest.mark.lab, pytest.mark.nightly]

KEY = "cache-1"
SIGNED_BY = "nix --extra-experimental-features nix-command path-info --sigs /run/current-system"


@dataclass
class Asked:
    """What the cache was asked: paths that were put there, and who got which."""

    folder: Path
    put: list[str] = field(default_factory=list)
    got: set[tuple[str, str]] = field(default_factory=set)
    unsigned: bool = False
    """Somebody has taken the signatures away."""

    def readers(self, path: str) -> set[str]:
        return {reader for reader, got in self.got if got == path}


class Cache(SimpleHTTPRequestHandler):
    """Nix asks whether something is there (HEAD), puts it there, and gets it."""

    protocol_version = "HTTP/1.1"

    def __init__(self, asked: Asked, *words: Any) -> None:
        self.asked = asked
        super().__init__(*words, directory=str(asked.folder))

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        file = Path(self.translate_path(self.path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.asked.put.append(self.path)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.got.add((self.client_address[0], self.path))
        file = Path(self.translate_path(self.path))
        if not (self.asked.unsigned and file.suffix == ".narinfo" and file.exists()):
            super().do_GET()
            return
        content = "".join(
            line for line in file.read_text().splitlines(keepends=True) if not line.startswith("Sig:")
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(address: str, asked: Asked) -> Iterator[str]:
    server = ThreadingHTTPServer((address, 0), partial(Cache, asked))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Site:
    """Three machines, their repository, and the cache that is the repository's and theirs."""

    repository: Repository
    machines: tuple[Machine, ...]
    asked: Asked

    @property
    def addresses(self) -> set[str]:
        return {machine.address for machine in self.machines}

    def signatures(self) -> list[str]:
        """Of what each machine runs: who signed it, as its own Nix wrote down when it came. What was copied from the
        machine that built it has none."""
        return [" ".join(on_machine(machine, SIGNED_BY).split()[1:]) for machine in self.machines]

    def change(self, word: str) -> None:
        """Give every machine another system."""
        text = f'{{ environment.etc."slipway-cache-test".text = "{word}"; }}\n'
        for machine in self.machines:
            file = self.repository.root / "hosts" / f"{machine.name}.nix"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        self.repository.git("add", "--all")

    def deploy(self) -> Ran:
        ran = self.repository.slipway("deploy", "--no-join", "--json").ended(0)
        assert outcomes(ran) == {machine.name: "ok" for machine in self.machines}
        return ran

    def running(self, word: str) -> bool:
        return all(on_machine(machine, "cat /etc/slipway-cache-test") == word for machine in self.machines)

    def events(self, ran: Ran, phase: str) -> list[tuple[str, str]]:
        """State and words of what happened in this phase, without how far it has come."""
        path = self.repository.root / ".slipway" / "runs" / ran.json["run"] / "events.jsonl"
        events = map(json.loads, path.read_text().splitlines())
        return [
            (each["state"], str(each["data"].get("text", ""))) for each in events
            if each["phase"] == phase and each["state"] != "progress"
        ]  # fmt: skip


@pytest.fixture(scope="module")
def lab(made: None) -> Iterator[Lab]:
    """Three machines that no cluster is on: no image is brought to them."""
    with of_tests(OWN) as chosen, pytest.MonkeyPatch.context() as patch:
        machines.up(chosen, Events(), controllers=1, workers=2)
        patch.setenv("SLIPWAY_LAB", str(chosen.number))
        yield chosen


@pytest.fixture(scope="module")
def site(lab: Lab, home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("cache")
    asked = Asked(folder / "served")
    asked.folder.mkdir()
    run(["nix-store", "--generate-binary-cache-key", KEY, folder / "secret", folder / "public"])
    with serving(str(lab.host_address), asked) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIX_SECRET_KEY", (folder / "secret").read_text().strip())
        repository = Repository(folder / "repository", home)
        repository.slipway("lab", "init", ".").ended(0)
        name_the_cache(repository.root / "inventory.yaml", url, (folder / "public").read_text().strip())
        repository.slipway("secrets", "init").ended(0)
        repository.slipway("generate").ended(0)
        yield Site(repository, tuple(recorded(lab)), asked)


def name_the_cache(inventory: Path, url: str, public: str) -> None:
    document = yaml.safe_load(inventory.read_text())
    document["defaults"]["nix"] = {"substituters": [url], "trustedPublicKeys": [public]}
    document.setdefault("deploy", {})["cache"] = f"{url}?compression=none"
    inventory.write_text(yaml.safe_dump(document, sort_keys=False))


def test_a_deploy_uploads_once_and_every_machine_fetches(site: Site):
    site.change("one")
    ran = site.deploy()
    assert site.running("one")
    assert [state for state, _ in site.events(ran, "upload")] == ["started", "done"]
    assert site.events(ran, "fetch") == [], "no machine was copied to from here instead"
    archives = [path for path in site.asked.put if path.startswith("/nar/")]
    assert archives and len(archives) == len(set(archives)), "no byte went up twice"
    assert site.addresses <= {reader for path in archives for reader in site.asked.readers(path)}
    assert all(name.startswith(f"{KEY}:") for name in site.signatures())


def test_a_plan_puts_nothing_there(site: Site):
    site.change("two")
    before = list(site.asked.put)
    site.repository.slipway("plan", "--json").ended(4)
    assert site.asked.put == before


def test_what_is_not_signed_is_refused_and_comes_from_here(site: Site):
    site.change("three")
    site.asked.unsigned = True
    ran = site.deploy()
    assert site.running("three")
    refused = site.events(ran, "fetch")
    assert [state for state, _ in refused] == ["skipped"] * len(site.machines)
    assert all(words.endswith("; copied from here") for _, words in refused)
    assert site.signatures() == [""] * len(site.machines)
    assert [state for state, _ in site.events(ran, "upload")] == ["started", "done"], "the cache itself is well"
