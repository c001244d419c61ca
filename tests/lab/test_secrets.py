"""Known texts are planted as secrets, the chain runs, and then everything that it leaves is searched for them.

Each place that is searched has a control: what is planted there on purpose is found.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slipway.inventory import Inventory, load
from slipway.lab.settings import Lab
from slipway.secret import Secret
from slipway.secrets import keys, store
from slipway.ssh.host import Host, Local
from slipway.ssh.pool import Pool
from slipway.tools import age, sops
from slipway.tools.run import run

pytestmark = pytest.mark.lab

TIMEOUT = 600
SAMPLE_EVERY = 0.02
YOUNG = 1.0
"""Seconds for which a process may still become another program: its arguments are read again."""

STORE = Path("/nix/store")
ON_NODES = ("/etc", "/var/lib/slipway", "/var/log", "/tmp", "/root")
"""What a node keeps on its disk, besides its store and what belongs to Kubernetes (its own Secrets are in etcd)."""


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

    def __enter__(self) -> Arguments:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@dataclass(frozen=True)
class Chain:
    """One run of the chain: where it left something, and the texts that must be nowhere in it."""

    inventory: Inventory
    pool: Pool
    poison: tuple[bytes, ...]
    reports: Path
    temporary: Path
    store_before: frozenset[str]
    arguments: Arguments = field(default_factory=Arguments)

    @property
    def root(self) -> Path:
        return self.inventory.root


def forms(text: bytes) -> tuple[bytes, ...]:
    """A text as it is and as manifests of Secrets have it; the last letters of base64 depend on what follows."""
    return text, base64.b64encode(text).rstrip(b"=")[:-1]


@pytest.fixture(scope="module")
def chain(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The commands of a user from an empty folder to the hand-off, with planted secrets, under observation."""
    home = tmp_path_factory.mktemp("secrets")
    for name in ("reports", "temporary"):
        (home / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("TMPDIR", str(home / "temporary"))
        before = frozenset(os.listdir(STORE))  # noqa: PTH208 (names are what is wanted)
        arguments = Arguments()
        with arguments:
            poison = prepare(home, lab)
            for words in COMMANDS:
                slipway(home / "repository", home / "reports", *words)
        inventory = load(home / "repository")
        with Pool.of(inventory) as pool:
            yield Chain(inventory, pool, poison, home / "reports", home / "temporary", before, arguments)


COMMANDS = (
    ("check",), ("generate",), ("plan",), ("deploy", "--json"), ("verify", "--json"), ("verify",), ("handoff",),
    ("handoff", "--json"), ("status",),
)  # fmt: skip


def prepare(home: Path, lab: Lab) -> tuple[bytes, ...]:
    """A repository whose password of Gitea is a known text; return all that must not be found."""
    root = home / "repository"
    slipway(home, home / "reports", "lab", "init", str(root), "--lab", str(lab.number))
    password = f"poison-{secrets.token_hex(12)}".encode()
    plain = store.kubernetes_secret("gitea", "gitea-admin", {"username": b"gitea_admin", "password": password})
    (root / store.GITEA_ADMIN).write_bytes(sops.encrypt(plain, root, store.GITEA_ADMIN))
    (key,) = age.identities(Secret(keys.key_file().read_bytes()))
    return *forms(password), *forms(key.reveal())


def slipway(place: Path, reports: Path, *words: str) -> None:
    """Run a command; what it says goes into a file each, as a user or CI would keep it."""
    name = "-".join(word.strip("-").replace("/", "_") for word in words)[-80:]
    with (reports / f"{name}.out").open("wb") as out, (reports / f"{name}.err").open("wb") as err:
        done = subprocess.run(
            [sys.executable, "-m", "slipway.cli", *words],
            cwd=place, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    said = (reports / f"{name}.out").read_text() + (reports / f"{name}.err").read_text()
    assert done.returncode == 0, f"slipway {' '.join(words)}: exit code {done.returncode}\n{said}"


def grep(host: Host | None, texts: Iterable[bytes], paths: Iterable[str]) -> list[str]:
    """Files below `paths` that hold any of the texts, which go in by standard input; here if there is no host."""
    options = ["--recursive", "--files-with-matches", "--text", "--fixed-strings", "--no-messages", "--devices=skip"]
    patterns = b"\n".join(texts) + b"\n"
    # 0: found; 1: not; 2: found or not, and some file could not be read, such as one that has gone meanwhile.
    result = (host or Local()).run(
        ["grep", *options, "--file=-", "--", *paths], input=patterns, timeout=300, expect=(0, 1, 2)
    )
    return [f"{result.host}:{line}" for line in result.stdout.splitlines()]


def in_store(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    """What the run added to this machine's store, sources of flakes among it, and all that the systems consist of."""
    added = {str(STORE / name) for name in set(os.listdir(STORE)) - chain.store_before}  # noqa: PTH208
    systems = [running(chain, host.name) for host in chain.inventory.hosts]
    closure = set(run(["nix-store", "--query", "--requisites", *systems]).stdout.split())
    return grep(None, texts, sorted(added | closure))


def running(chain: Chain, node: str) -> str:
    return chain.pool.host(node).run(["readlink", "-f", "/run/current-system"]).stdout.strip()


def in_stores_of_nodes(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    return on_nodes(chain, texts, [str(STORE)])


def in_repository(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    """Generated trees, secrets as they lie in Git, run folders, records."""
    return grep(None, texts, [str(chain.root)])


def in_reports(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    return grep(None, texts, [str(chain.reports)])


def in_temporary_files(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    return grep(None, texts, [str(chain.temporary)])


def in_arguments(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    return [line.decode(errors="replace") for line in chain.arguments.seen if any(text in line for text in texts)]


def in_journals(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    found = []
    for host in chain.inventory.hosts:
        argv = ["journalctl", "--no-pager", "--output=export", "--all", "--since=-1h"]
        said = chain.pool.host(host.name).run(argv, timeout=120).stdout.encode()
        found += [f"journal of {host.name}" for text in texts if text in said]
    return found


def in_files_of_nodes(chain: Chain, texts: Iterable[bytes]) -> list[str]:
    return on_nodes(chain, texts, ON_NODES)


def on_nodes(chain: Chain, texts: Iterable[bytes], paths: Iterable[str]) -> list[str]:
    wanted, where = tuple(texts), tuple(paths)
    return [line for host in chain.inventory.hosts for line in grep(chain.pool.host(host.name), wanted, where)]


PLACES = {
    place.__name__: place
    for place in (
        in_store, in_stores_of_nodes, in_repository, in_reports, in_temporary_files, in_arguments, in_journals,
        in_files_of_nodes,
    )
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_left(chain, place):
    assert PLACES[place](chain, chain.poison) == []


@pytest.mark.parametrize("place", PLACES)
def test_control_a_planted_text_is_found(chain, place, tmp_path):
    text = f"planted-{secrets.token_hex(12)}".encode()
    with planted(chain, place, text, tmp_path):
        assert PLACES[place](chain, [b"nothing like it", text]) != []


@contextmanager
def planted(chain: Chain, place: str, text: bytes, folder: Path) -> Iterator[None]:
    """The text in that place, for as long as the block lasts."""
    node = chain.pool.host(chain.inventory.hosts[-1].name)
    match place:
        case "in_store":
            (folder / "planted").write_bytes(text)
            path = run(["nix-store", "--add", folder / "planted"]).stdout.strip()
            yield
            run(["nix-store", "--delete", path])
        case "in_stores_of_nodes":
            node.put("/tmp/planted", text)
            path = node.run(["nix-store", "--add", "/tmp/planted"]).stdout.strip()
            yield
            node.run(["nix-store", "--delete", path])
            node.run(["rm", "/tmp/planted"])
        case "in_arguments":
            with Arguments() as arguments:
                subprocess.run(["sh", "-c", "sleep 0.3", text], check=True)
            chain.arguments.seen.update(arguments.seen)
            yield
        case "in_journals":
            node.run(["logger", "--tag=test"], input=text)
            yield
        case "in_files_of_nodes":
            node.put("/etc/planted", text)
            yield
            node.run(["rm", "/etc/planted"])
        case _:
            folders = {"in_repository": chain.root / ".slipway", "in_reports": chain.reports}
            file = folders.get(place, chain.temporary) / "planted"
            file.write_bytes(b"before " + text + b" after\n")
            yield
            file.unlink()


def test_the_planted_secrets_reached_the_cluster(chain):
    """Else their absence everywhere would show nothing."""
    controller = chain.pool.host(chain.inventory.controllers[0].name)
    for namespace, name in (("gitea", "gitea-admin"), ("flux-system", "sops-age")):
        argv = ["k0s", "kubectl", "get", "secret", name, f"--namespace={namespace}", "--output=json"]
        data = controller.run(argv).stdout.encode()
        assert any(text in data for text in chain.poison)


def test_the_run_was_watched(chain):
    """The sampler saw the short-lived helpers that it is there for."""
    seen = b"\n".join(chain.arguments.seen)
    for program in (b"sops", b"kubectl", b"helm", b"slipway.cli"):
        assert program in seen
