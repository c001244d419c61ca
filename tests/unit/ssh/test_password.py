"""The one login by password, against an SSH server that knows no key."""

import os
import socket
import subprocess
import threading

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from slipway.errors import Unreachable
from slipway.secret import Secret
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import HostKeyRefused, KnownHosts, from_line
from slipway.ssh.password import let_in

KEYS = ("ssh-ed25519 AAAAfirst me@here", "ssh-ed25519 AAAAsecond other@there")


class FakeInstaller(paramiko.ServerInterface):
    """Fake: an sshd of an installer; runs what it is asked for in a home of the test's."""

    def __init__(self, home) -> None:
        self._home = home
        self.passwords: list[str] = []

    def get_allowed_auths(self, _username: str) -> str:
        return "password"

    def check_auth_password(self, _username: str, password: str) -> int:
        self.passwords.append(password)
        return AUTH_SUCCESSFUL if password == "open sesame" else AUTH_FAILED

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        said = channel.makefile("rb").read()
        environment = {**os.environ, "HOME": str(self._home)}
        done = subprocess.run(["sh", "-c", command], input=said, env=environment, capture_output=True, check=False)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def installer(home, tmp_path):
    """The fake's record, its endpoint, and known_hosts with its key."""
    fake, key = FakeInstaller(home), paramiko.ECDSAKey.generate()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def serve() -> None:
        connection, _ = listening.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.start_server(threading.Event(), fake)  # with an event it raises nothing when a client goes

    threading.Thread(target=serve, daemon=True).start()
    known = KnownHosts.load(tmp_path / "known_hosts")
    known.pin("127.0.0.1", port, from_line(f"{key.get_name()} {key.get_base64()}"))
    yield fake, Endpoint("w1", "127.0.0.1", port, "nixos"), known
    listening.close()


def test_it_lets_keys_in_and_keeps_those_that_are_there(installer, home):
    fake, endpoint, known = installer
    (home / ".ssh").mkdir(mode=0o700)
    (home / ".ssh" / "authorized_keys").write_text("ssh-ed25519 AAAAold\n")
    let_in(endpoint, known, Secret("open sesame"), KEYS, 5.0)
    assert (home / ".ssh" / "authorized_keys").read_text().splitlines() == ["ssh-ed25519 AAAAold", *KEYS]
    assert fake.passwords == ["open sesame"]


def test_a_wrong_password_is_told_without_it(installer, home):
    _, endpoint, known = installer
    with pytest.raises(Unreachable, match="the password is not accepted") as caught:
        let_in(endpoint, known, Secret("wrong horse"), KEYS, 5.0)
    assert "wrong horse" not in str(caught.value)
    assert "passwd" in str(caught.value.hint)
    assert not (home / ".ssh").exists()


def test_another_machine_is_not_told_the_password(installer, tmp_path):
    fake, endpoint, _ = installer
    with pytest.raises(HostKeyRefused):
        let_in(endpoint, KnownHosts.load(tmp_path / "empty"), Secret("open sesame"), KEYS, 5.0)
    assert fake.passwords == []


def test_a_home_that_cannot_be_written_is_told(installer, home):
    _, endpoint, known = installer
    (home / ".ssh").write_text("a file")
    with pytest.raises(Unreachable, match="authorized_keys cannot be written"):
        let_in(endpoint, known, Secret("open sesame"), KEYS, 5.0)
