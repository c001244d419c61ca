"""`slipway discover`, and `slipway trust` before it, of a machine that nobody knows yet, against a real sshd."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.errors import SlipwayError, Unreachable, UsageError
from slipway.hardware import probe
from slipway.inventory import InvalidInventory, load
from slipway.ssh import pool
from slipway.ssh.connection import Endpoint
from slipway.ssh.keys import HostKeyRefused

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {version: 1.36.3+k0s.2}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]
  network: {interface: eth0, prefixLength: 24}
hosts:
  cp1: {address: 198.51.100.11, role: controller}
"""


@pytest.fixture
def folder(tmp_path, sshd):
    """A folder with the pinned keys of this machine, and nothing else."""
    (tmp_path / "known_hosts").write_bytes((sshd.folder / "known_hosts").read_bytes())
    return tmp_path


@pytest.fixture
def here(sshd):
    """This machine as one names a machine without a name."""
    return f"{sshd.endpoint.user}@127.0.0.1:{sshd.port}"


@pytest.fixture
def slipway(folder, sshd):
    """Run a command in the folder; return its standard output and error, and the SlipwayError that it ended with."""

    def slipway(*words: str):
        more = ["--identity", str(sshd.endpoint.identity)] if words[0] == "discover" else []
        result = CliRunner().invoke(build(words[:1]), [*words, *more, "-i", str(folder / "inventory.yaml")])
        if result.exception and not isinstance(result.exception, SlipwayError | SystemExit):
            raise result.exception
        return result.stdout, result.stderr, result.exception

    return slipway


def names_in(text: str) -> list[str]:
    return list(yaml.safe_load(text)["hosts"])


def test_a_machine_is_read_and_its_entry_printed(slipway, here):
    out, err, error = slipway("discover", here)
    assert error is None
    (entry,) = yaml.safe_load(out)["hosts"].values()
    assert entry["hardware"]["cores"] <= (os.cpu_count() or 1)
    assert "next: paste them below `hosts:`" in err


def test_an_installer_is_called_one_and_its_next_command_named(slipway, here, monkeypatch):
    read = probe.read
    monkeypatch.setattr(probe, "read", lambda host: replace(read(host), is_installer=True))
    out, err, error = slipway("discover", here)
    assert error is None
    assert "(installer), Linux" in out
    assert f"slipway install NODE --at {here.partition('@')[0]}@[127.0.0.1]:{here.rpartition(':')[2]}" in err


def test_what_is_printed_is_a_file_to_include(slipway, here, folder):
    """As it stands, where this machine has a network that can be read."""
    out, _, _ = slipway("discover", here)
    (folder / "inventory.yaml").write_text(INVENTORY + "include: [new.yaml]\n")
    (folder / "new.yaml").write_text(out)
    if "could not be read" not in out:
        assert len(load(folder).hosts) == 2


def test_json_tells_the_facts_alone(slipway, here):
    out, err, _ = slipway("discover", here, "--json")
    (told,) = json.loads(out)
    assert told["host"] == here
    assert told["hardware"]["hostname"] == Path("/proc/sys/kernel/hostname").read_text().strip()
    assert err == ""


def test_two_machines_of_one_name_get_two(slipway, here, sshd):
    out, _, error = slipway("discover", here, f"{sshd.endpoint.user}@[::1]:{sshd.port}")
    assert error is None
    one, two = names_in(out)
    assert two == f"{one}-2"


def test_what_cannot_be_reached_is_named_and_the_others_are_printed(slipway, here, sshd):
    away = f"{sshd.endpoint.user}@127.0.0.1:1"
    out, err, error = slipway("discover", away, here)
    assert len(names_in(out)) == 1
    assert isinstance(error, Unreachable)
    assert error.exit_code == 5
    assert f"{away}: connection refused" in str(error)
    assert "unreachable" in err
    told = json.loads(slipway("discover", away, here, "--json")[0])
    assert [(one["host"], "error" in one) for one in told] == [(away, True), (here, False)]


def test_several_that_cannot_be_reached_are_all_named(slipway):
    out, _, error = slipway("discover", "root@127.0.0.1:1", "root@127.0.0.1:2")
    assert out == ""
    assert str(error) == "2 nodes (root@127.0.0.1:1 root@127.0.0.1:2): connection refused"


def test_an_unknown_key_is_refused_with_the_way_to_pin_it(slipway, here, folder):
    (folder / "known_hosts").unlink()
    _, _, error = slipway("discover", here)
    assert isinstance(error, HostKeyRefused)
    assert error.hint == f"slipway trust {here}"
    assert slipway(*error.hint.split()[1:], "--yes")[2] is None
    assert slipway("discover", here)[2] is None


def test_a_host_of_the_inventory_keeps_its_name_and_role(slipway, folder, sshd, monkeypatch):
    (folder / "inventory.yaml").write_text(INVENTORY)
    reached = Endpoint("cp1", "127.0.0.1", sshd.port, sshd.endpoint.user, sshd.endpoint.identity)
    monkeypatch.setattr(pool, "endpoint_of", lambda host: reached)
    monkeypatch.setattr("slipway.cli.discover.own_address", lambda *_: ("198.51.100.11/24", None))
    out, _, error = slipway("discover", "cp1")
    assert error is None
    assert yaml.safe_load(out)["hosts"]["cp1"]["role"] == "controller"


def test_a_name_needs_an_inventory_that_is_right(slipway, folder, here):
    (folder / "inventory.yaml").write_text(INVENTORY + "wrong: 1\n")
    _, _, error = slipway("discover", "cp1")
    assert isinstance(error, InvalidInventory)
    assert "name the machine by its address" in str(error.hint)
    assert slipway("discover", here)[2] is None


def test_a_word_that_names_nothing_is_wrong_usage(slipway, folder):
    (folder / "inventory.yaml").write_text(INVENTORY)
    _, _, error = slipway("discover", "pc1")
    assert isinstance(error, UsageError)
    assert "did you mean 'cp1'?" in str(error)


def test_a_login_that_is_refused_names_the_option_for_the_key(folder, here, tmp_path, monkeypatch):
    """A machine that is in no inventory has no `ssh.identity` there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    result = CliRunner().invoke(build(["discover"]), ["discover", here, "-i", str(folder / "inventory.yaml")])
    assert isinstance(result.exception, Unreachable)
    assert "login refused" in str(result.exception)
    assert result.exception.hint == f"ssh-add, or the file of its key: slipway discover {here} --identity FILE"
