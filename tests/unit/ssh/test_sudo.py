"""sudo that asks for a password. A stand-in for it asks as the real one does; it changes nobody."""

import getpass
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.secret import Secret
from slipway.ssh import openssh
from slipway.ssh import pool as module
from slipway.ssh.host import Remote
from slipway.ssh.pool import Pool, ask_password

PASSWORD = "correct horse 'battery'"

# As sudo -S does: the prompt on standard error, the password from standard input to the end of the line, three tries.
SUDO = """#!/bin/bash
echo "$@" >>{folder}/sudo.argv
[ "$1" = -S ] || {{ echo "sudo: a password is required" >&2; exit 1; }}
prompt=$3; shift 3
if [ ! -e {folder}/knows ]; then
  for try in 1 2 3; do
    printf %s "$prompt" >&2
    IFS= read -r said
    [ "$said" = "$(cat {folder}/password)" ] && break
    echo "Sorry, try again." >&2
    [ "$try" = 3 ] && exit 1
  done
fi
exec "$@"
"""


@pytest.fixture
def node(tmp_path, running_sshd, monkeypatch):
    folder = tmp_path / "sshd"
    folder.mkdir()
    with running_sshd(folder) as server:
        (folder / "password").write_text(PASSWORD)
        (folder / "bin" / "sudo").write_text(SUDO.format(folder=folder))
        # Whoever runs the tests may be root, of whom nobody asks anything.
        monkeypatch.setattr(Remote, "_sudo", True)
        yield server


def pool_of(node, password: str | None) -> Pool:
    endpoint = replace(node.endpoint, asks_password=True)
    return Pool([endpoint], node.known_hosts, password=Secret(password) if password else None)


def test_the_password_is_given_when_sudo_asks(node):
    with pool_of(node, PASSWORD) as pool:
        host = pool.host("node")
        assert host.run(["echo", "in"]).stdout == "in\n"
        assert host.run(["cat"], input=b"input").stdout == "input"
        with host.fresh() as fresh:
            assert fresh.run(["true"]).ok
    argv = (node.folder / "sudo.argv").read_text()
    assert argv.count("-S -p") == 2 and PASSWORD not in argv


def test_where_sudo_does_not_ask_the_shell_gets_no_password(node):
    (node.folder / "knows").touch()
    with pool_of(node, PASSWORD) as pool:
        said = pool.host("node").run(["sh", "-c", "echo in; echo err >&2"])
    assert (said.stdout, said.stderr) == ("in\n", "err\n")


def test_a_wrong_password_is_told_and_not_tried_again(node):
    with pool_of(node, "wrong") as pool, pytest.raises(PrerequisiteMissing, match="the password is not accepted") as no:
        pool.host("node").run(["true"])
    assert "wrong" not in str(no.value)


def test_without_a_password_the_way_is_said(node):
    with pool_of(node, None) as pool, pytest.raises(PrerequisiteMissing, match="a password is required") as no:
        pool.host("node").run(["true"])
    assert "ssh.sudoPassword" in str(no.value.hint)


def test_it_is_in_no_log_of_the_server(node):
    with pool_of(node, PASSWORD) as pool:
        pool.host("node").run(["true"])
    assert PASSWORD not in node.log.read_text()


def test_nix_goes_without_sudo_there(node):
    endpoint = replace(node.endpoint, user="me", asks_password=True)
    assert openssh.store(endpoint) == "ssh-ng://me@node"


def test_with_no_terminal_nobody_is_asked(node, tmp_path):
    program = (
        "from slipway.ssh.pool import ask_password; from slipway.ssh.connection import Endpoint\n"
        "from slipway.errors import PrerequisiteMissing\n"
        "try: ask_password([Endpoint('w1', '10.0.0.1', user='me')])\n"
        "except PrerequisiteMissing as error: print(error)"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, start_new_session=True, check=True, timeout=60)
    assert "sudo on w1 asks me for a password" in done.stdout


def test_it_is_asked_for_once_for_all_machines(node, monkeypatch):
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return PASSWORD

    monkeypatch.setattr(getpass, "getpass", ask)
    monkeypatch.setattr(module, "TERMINAL", os.devnull)
    endpoints = [replace(node.endpoint, name=name, user="me") for name in ("w1", "w2", "w3")]
    assert ask_password(endpoints) == Secret(PASSWORD)
    assert asked == ["password of me for sudo on w1 and 2 more: "]
