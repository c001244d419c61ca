import subprocess
from pathlib import Path

import pytest

from slipway.ssh import openssh
from slipway.ssh.connection import Endpoint

HOST = Endpoint("cp1", "2001:db8::11", 2222, "root", Path("/keys/id"))


def test_nothing_of_the_user_s_configuration_counts():
    words = openssh.options(HOST, Path("/repo/known_hosts"), 10.0)
    assert words[:2] == ["-F", "/dev/null"]
    for expected in (
        "ControlMaster=no", "ControlPath=none", "BatchMode=yes", "StrictHostKeyChecking=yes", "HostName=2001:db8::11",
        "Port=2222", "UserKnownHostsFile=/repo/known_hosts", "IdentityFile=/keys/id", "IdentitiesOnly=yes",
    ):  # fmt: skip
        assert words[words.index(expected) - 1] == "-o"


def test_openssh_understands_them(sshd, tmp_path):
    """A real login by a real client, with a blank in the paths."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("known_hosts", "client"):
        (folder / name).write_bytes((sshd.folder / name).read_bytes())
        (folder / name).chmod(0o600)
    endpoint = Endpoint("node", "127.0.0.1", sshd.port, sshd.endpoint.user, folder / "client")
    words = openssh.options(endpoint, folder / "known_hosts", 5)
    login = f"{endpoint.user}@{endpoint.name}"
    said = subprocess.run(["ssh", *words, login, "echo in"], capture_output=True, text=True, check=False)
    assert (said.stdout, said.returncode) == ("in\n", 0), said.stderr


@pytest.mark.parametrize(
    ("user", "url"),
    [("root", "ssh-ng://root@cp1"), ("me", "ssh-ng://me@cp1?remote-program=sudo%20-n%20nix-daemon")],
)
def test_the_store_of_a_node(user, url):
    assert openssh.store(Endpoint("cp1", "10.0.0.1", user=user)) == url
