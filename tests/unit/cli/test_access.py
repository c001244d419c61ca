"""`slipway open` over a real sshd, to a real port; the cluster is a fake."""

import shutil
import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli.two_hosts import INVENTORY
from typer.testing import CliRunner, Result

from slipway.cli import access
from slipway.cli.main import build
from slipway.cluster import kubeconfig
from slipway.errors import PrerequisiteMissing, UsageError
from slipway.inventory import load
from slipway.ssh import pool
from slipway.ssh.keys import KNOWN_HOSTS
from slipway.stages.repository import Backend


@pytest.fixture
def page():
    """A port that answers every caller with one line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    caller, _ = listener.accept()
                    with caller:
                        caller.sendall(b"the page\n")
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def repository(tmp_path, sshd, monkeypatch, page):
    monkeypatch.setattr(pool, "endpoint_of", lambda host: replace(sshd.endpoint, name=host.name))
    shutil.copy(sshd.folder / "known_hosts", tmp_path / KNOWN_HOSTS)
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(user=sshd.endpoint.user, port=sshd.port))
    monkeypatch.setattr(kubeconfig, "of", lambda *_: None)
    (name, *_) = [line.split(":")[0].strip() for line in INVENTORY.splitlines() if "address:" in line]

    def ready(_config, namespace, _service):
        return [Backend(name, "127.0.0.1", page)] if namespace in ("gitea", "forgejo-seed") else []

    monkeypatch.setattr(access, "ready_pods", ready)
    return tmp_path


def run(repository: Path, *words: str) -> str:
    return opened(repository, *words).stdout


def opened(repository: Path, *words: str) -> Result:
    result = CliRunner().invoke(build(["open"]), ["open", *words, "-i", str(repository / "inventory.yaml")])
    if result.exception:
        raise result.exception
    return result


def test_the_page_is_there_while_it_runs_and_its_address_is_all_of_the_output(repository, monkeypatch):
    seen: list[bytes] = []

    def look(seconds: float) -> None:
        assert seconds == 7
        with closing(socket.create_connection(("127.0.0.1", port), 10)) as here:
            seen.append(here.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(time, "sleep", look)
    assert run(repository, "gitea", "--port", str(port), "--for", "7") == f"http://127.0.0.1:{port}\n"
    assert seen == [b"the page\n"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)


def test_the_forgejo_that_flux_reads_counts_where_there_is_no_other(repository, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert run(repository, "forgejo").startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("what", "namespace", "user", "file"),
    [
        ("gitea", "gitea", "gitea_admin", "secrets/gitea-admin.sops.yaml"),
        ("forgejo", "forgejo-seed", "gitea_admin", "secrets/gitea-admin.sops.yaml"),
        ("forgejo", "forgejo", "forgejo_admin", "gitops/bootstrap/secrets/app/forgejo-admin.sops.yaml"),
        ("openbao", "openbao", "admin", "gitops/cluster-base-apps/openbao/app/openbao-admin.sops.yaml"),
    ],
)
def test_how_to_sign_in_is_told_for_the_one_that_answers(repository, page, monkeypatch, what, namespace, user, file):
    node = load(repository / "inventory.yaml").hosts[0].name
    monkeypatch.setattr(
        access, "ready_pods", lambda _config, there, _service: [Backend(node, "127.0.0.1", page)] * (there == namespace)
    )
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    said = opened(repository, what)
    assert f"user {user}; the password: sops decrypt --extract" in said.stderr
    assert f"{file} | base64 --decode" in said.stderr
    assert ("BAO_ADDR=" + said.stdout.strip() in said.stderr) is (what == "openbao")


def test_what_does_not_run_is_told_at_once(repository):
    with pytest.raises(PrerequisiteMissing, match="openbao: no ready pod"):
        run(repository, "openbao")


def test_a_port_that_is_taken_is_told(repository, page):
    with pytest.raises(UsageError, match=f"port {page} of this machine: Address already in use"):
        run(repository, "gitea", "--port", str(page))
