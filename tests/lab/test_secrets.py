"""Known texts are planted as secrets, the chain runs, and then everything that it leaves is searched for them.

Each place that is searched has a control: what is planted there on purpose is found.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.lab.harness import Cluster, eventually
from tests.lab.observed import STORE, Arguments, Observed, store_paths

from slipway.ssh.host import Host, Local
from slipway.tools.run import run

pytestmark = pytest.mark.lab

ON_NODES = ("/etc", "/var/lib/slipway", "/var/log", "/tmp", "/root")
"""What a node keeps on its disk, besides its store and what belongs to Kubernetes (its own Secrets are in etcd)."""

COMMANDS = (
    ("check",), ("generate",), ("plan",), ("deploy", "--json"), ("verify", "--json"), ("verify",), ("handoff",),
    ("handoff", "--json"), ("status",),
)  # fmt: skip


@dataclass(frozen=True)
class Left:
    """What the chain of commands left, from an empty folder to the hand-off."""

    cluster: Cluster
    observed: Observed

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.cluster.inventory.hosts)

    def host(self, node: str) -> Host:
        return self.cluster.pool.host(node)


@pytest.fixture(scope="module")
def left(chain: Observed, cluster: Cluster) -> Left:
    """The commands of a user, whichever of them no test has run yet; then nobody needs to watch any more."""
    for words in COMMANDS:
        chain.repository.once(*words)
    chain.arguments.stop()
    return Left(cluster, chain)


def grep(host: Host | None, texts: Iterable[bytes], paths: Iterable[str]) -> list[str]:
    """Files below `paths` that hold any of the texts, which go in by standard input; here if there is no host."""
    options = ["--recursive", "--files-with-matches", "--text", "--fixed-strings", "--no-messages", "--devices=skip"]
    patterns = b"\n".join(texts) + b"\n"
    # 0: found; 1: not; 2: found or not, and some file could not be read, such as one that has gone meanwhile.
    result = (host or Local()).run(
        ["grep", *options, "--file=-", "--", *paths], input=patterns, timeout=300, expect=(0, 1, 2)
    )
    return [f"{result.host}:{line}" for line in result.stdout.splitlines()]


def in_store(left: Left, texts: Iterable[bytes]) -> list[str]:
    """What the run added to this machine's store, sources of flakes among it, and all that the systems consist of."""
    added = {str(STORE / name) for name in store_paths() - left.observed.store_before}
    systems = list(left.observed.repository.systems().values())
    closure = set(run(["nix-store", "--query", "--requisites", *systems]).stdout.split())
    return grep(None, texts, sorted(added | closure))


def in_stores_of_nodes(left: Left, texts: Iterable[bytes]) -> list[str]:
    return on_nodes(left, texts, [str(STORE)])


def in_repository(left: Left, texts: Iterable[bytes]) -> list[str]:
    """Generated trees, secrets as they lie in Git, run folders, records."""
    return grep(None, texts, [str(left.cluster.root)])


def in_reports(left: Left, texts: Iterable[bytes]) -> list[str]:
    return grep(None, texts, [str(left.observed.repository.home.reports)])


def in_temporary_files(left: Left, texts: Iterable[bytes]) -> list[str]:
    return grep(None, texts, [str(left.observed.repository.home.temporary)])


def in_arguments(left: Left, texts: Iterable[bytes]) -> list[str]:
    return [
        line.decode(errors="replace") for line in left.observed.arguments.seen if any(text in line for text in texts)
    ]


def in_journals(left: Left, texts: Iterable[bytes]) -> list[str]:
    found = []
    for node in left.nodes:
        left.host(node).run(["journalctl", "--sync"])  # what was logged a moment ago is on its way
        argv = ["journalctl", "--no-pager", "--output=export", "--all", "--since=-1h"]
        said = left.host(node).run(argv, timeout=120).stdout.encode()
        found += [f"journal of {node}" for text in texts if text in said]
    return found


def in_files_of_nodes(left: Left, texts: Iterable[bytes]) -> list[str]:
    return on_nodes(left, texts, ON_NODES)


def on_nodes(left: Left, texts: Iterable[bytes], paths: Iterable[str]) -> list[str]:
    wanted, where = tuple(texts), tuple(paths)
    return [line for node in left.nodes for line in grep(left.host(node), wanted, where)]


PLACES = {
    place.__name__: place
    for place in (
        in_store, in_stores_of_nodes, in_repository, in_reports, in_temporary_files, in_arguments, in_journals,
        in_files_of_nodes,
    )
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_left(left, place):
    assert PLACES[place](left, left.observed.poison) == []


@pytest.mark.parametrize("place", PLACES)
def test_control_a_planted_text_is_found(left, place, tmp_path):
    text = f"planted-{secrets.token_hex(12)}".encode()
    with planted(left, place, text, tmp_path):
        assert PLACES[place](left, [b"nothing like it", text]) != []


@contextmanager
def planted(left: Left, place: str, text: bytes, folder: Path) -> Iterator[None]:
    """The text in that place, for as long as the block lasts."""
    node = left.host(left.nodes[-1])
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

                def seen() -> bool:
                    run(["sh", "-c", "sleep 0.3", text.decode()])
                    return any(text in line for line in arguments.seen)

                eventually(seen, "the sampler to come to it")
            left.observed.arguments.seen.update(arguments.seen)
            yield
        case "in_journals":
            node.run(["logger", "--tag=test"], input=text)
            yield
        case "in_files_of_nodes":
            node.put("/etc/planted", text)
            yield
            node.run(["rm", "/etc/planted"])
        case _:
            home = left.observed.repository.home
            folders = {"in_repository": left.cluster.root / ".slipway", "in_reports": home.reports}
            file = folders.get(place, home.temporary) / "planted"
            file.write_bytes(b"before " + text + b" after\n")
            yield
            file.unlink()


def test_the_planted_secrets_reached_the_cluster(left):
    """Else their absence everywhere would show nothing."""
    controller = left.host(left.cluster.inventory.controllers[0].name)
    for namespace, name in (("gitea", "gitea-admin"), ("flux-system", "sops-age")):
        argv = ["k0s", "kubectl", "get", "secret", name, f"--namespace={namespace}", "--output=json"]
        data = controller.run(argv).stdout.encode()
        assert any(text in data for text in left.observed.poison)


def test_the_run_was_watched(left):
    """The sampler saw the short-lived helpers that it is there for."""
    seen = b"\n".join(left.observed.arguments.seen)
    for program in (b"sops", b"kubectl", b"helm", b"slipway.cli"):
        assert program in seen
