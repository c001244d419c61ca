"""A real sshd on a free loopback port, with keys of its own, for whoever speaks SSH."""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slipway.ssh.connection import Endpoint
from slipway.ssh.host import Remote
from slipway.ssh.keys import KnownHosts

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
STARTS_WITHIN = 60.0

# SHLVL keeps bash from reading ~/.bashrc: the tests measure nobody's prompt.
CONFIG = """
ListenAddress 127.0.0.1:{port}
ListenAddress [::1]:{port}
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200
SetEnv PATH={folder}/bin:{path} SHLVL=1
{more}
"""


@dataclass(frozen=True)
class Sshd:
    """A running server. `pid` is the one that listens; each connection has a child of it."""

    pid: int
    port: int
    folder: Path
    log: Path
    command: str

    @property
    def endpoint(self) -> Endpoint:
        identity = self.folder / "client"
        return Endpoint("node", "127.0.0.1", self.port, getpass.getuser(), identity)

    @property
    def known_hosts(self) -> KnownHosts:
        return KnownHosts.load(self.folder / "known_hosts")

    def remote(self, known_hosts: KnownHosts | None = None, **changes: object) -> Remote:
        return Remote(replace(self.endpoint, **changes), known_hosts or self.known_hosts)  # type: ignore[arg-type]

    def connections(self) -> list[int]:
        """Processes of the server that serve a connection."""
        return children(self.pid)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.fail("sshd is not installed: apt-get install openssh-server (`make test` does it)")
    folder = tmp_path_factory.mktemp("sshd")
    with RunningSshd(folder) as server:
        yield server


class RunningSshd:
    """`with RunningSshd(folder) as sshd`: a server for as long as the block lasts; `more` is for its configuration,
    `prepare` is called when its keys are there."""

    def __init__(self, folder: Path, more: str = "", prepare: Callable[[Path], None] = lambda _folder: None) -> None:
        self._folder, self._more, self._prepare = folder, more, prepare

    def __enter__(self) -> Sshd:
        folder, port = self._folder, free_port()
        make_keys(folder)
        self._prepare(folder)
        write_config(folder, port, self._more)
        log = folder / "log"
        # sshd insists on its own absolute path and, as root, on the folder for its unprivileged child.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        assert SSHD
        command = [SSHD, "-D", "-E", str(log), "-f", str(folder / "config")]
        self._process = subprocess.Popen(command)
        pin = (folder / "host_ed25519.pub").read_text().split()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port},[::1]:{port} {pin[0]} {pin[1]}\n")
        server = Sshd(self._process.pid, port, folder, log, shlex.join(command))
        wait_for_port(server)
        return server

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(STARTS_WITHIN)


def make_keys(folder: Path) -> None:
    for name, kind in (("host_ed25519", "ed25519"), ("host_rsa", "rsa"), ("client", "ed25519")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    stand_in_for_sudo(folder)


def stand_in_for_sudo(folder: Path) -> None:
    """Users other than root reach root by sudo; here it is a stand-in that changes nobody."""
    (folder / "bin").mkdir()
    sudo = folder / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    sudo.chmod(0o755)


def write_config(folder: Path, port: int, more: str) -> None:
    text = CONFIG.format(port=port, folder=folder, path=os.environ["PATH"], more=more)
    config = folder / "config"
    config.write_text(text + "PerSourcePenalties no\n")
    assert SSHD
    # Newer servers shut out an address with failed logins, which is what some tests are about; older lack the option.
    if subprocess.run([SSHD, "-t", "-f", str(config)], capture_output=True, check=False).returncode != 0:
        config.write_text(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(server: Sshd) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not answer on port {server.port}; its log:\n{server.log.read_text()}")


@pytest.fixture
def running_sshd() -> type[RunningSshd]:
    """For tests that break their server."""
    return RunningSshd


@pytest.fixture
def remote(sshd: Sshd) -> Iterator[Remote]:
    host = sshd.remote()
    yield host
    host.close()
