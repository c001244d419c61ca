"""`slipway hardware`, over a real sshd; nixos-generate-config is a fake."""

import io
import json
import shutil
import subprocess
import sys

import pytest
from tests.unit.hardware.test_configuration import GENERATED
from typer.testing import CliRunner

from slipway.cli.main import build
from slipway.errors import InvalidInput, PrerequisiteMissing, SlipwayError, UsageError
from slipway.tools import git

INVENTORY = """
apiVersion: slipway/v1
cluster: {name: test, k0s: {version: 1.36.3+k0s.2}}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]
    identity: IDENTITY
  network: {interface: eth0, prefixLength: 24}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker, disks: {system: {device: /dev/disk/by-id/nvme-A}}}
"""
FAKE = """#!/bin/sh
# Fake of the tests: writes down its arguments.
echo "$*" >{folder}/arguments
cat {folder}/said
"""


@pytest.fixture
def repository(tmp_path, sshd):
    (tmp_path / "inventory.yaml").write_text(INVENTORY.replace("IDENTITY", str(sshd.endpoint.identity)))
    shutil.copy(sshd.folder / "known_hosts", tmp_path / "known_hosts")
    git.init(tmp_path)
    return tmp_path


@pytest.fixture
def machine(sshd, tmp_path):
    """It says what the file `said` holds."""
    program = sshd.folder / "bin" / "nixos-generate-config"
    program.write_text(FAKE.format(folder=tmp_path))
    program.chmod(0o755)
    (tmp_path / "said").write_text(GENERATED)
    yield tmp_path
    program.unlink()


@pytest.fixture
def hardware(repository, sshd):
    """`hardware(words...)`: standard output and error, and the SlipwayError that it ended with."""

    def hardware(*words: str):
        result = CliRunner().invoke(build(["hardware"]), ["hardware", *words, "-i", str(repository / "inventory.yaml")])
        if result.exception and not isinstance(result.exception, SlipwayError | SystemExit):
            raise result.exception
        return result.stdout, result.stderr, result.exception

    return hardware


@pytest.fixture
def at(sshd):
    return ("--at", f"{sshd.endpoint.user}@127.0.0.1:{sshd.port}")


def test_what_the_machine_says_is_a_file_that_builds_see(hardware, repository, machine, at):
    _, err, error = hardware("w1", *at)
    assert error is None, error
    text = (repository / "hosts" / "w1.nix").read_text()
    assert 'boot.kernelModules = [ "kvm-intel" ];' in text
    assert "fileSystems" not in text, "disko makes them"
    assert (machine / "arguments").read_text() == "--show-hardware-config --no-filesystems\n"
    assert f"wrote    {repository}/hosts/w1.nix" in err
    assert git.unseen(repository) == ()


def test_a_machine_without_disks_in_the_inventory_keeps_its_file_systems(hardware, repository, machine, at):
    assert hardware("cp1", *at)[2] is None
    assert 'fileSystems."/"' in (repository / "hosts" / "cp1.nix").read_text()
    done = [sys.executable, "-m", "slipway.cli", "check"]
    said = subprocess.run(done, cwd=repository, capture_output=True, text=True, check=True).stderr
    assert "no disks and no hosts/cp1.nix" not in said


def test_a_file_that_is_there_stays(hardware, repository, machine, at):
    (repository / "hosts").mkdir()
    (repository / "hosts" / "w1.nix").write_text("mine")
    _, _, error = hardware("w1", *at)
    assert isinstance(error, UsageError)
    assert (repository / "hosts" / "w1.nix").read_text() == "mine"


def test_what_is_left_out_is_told(hardware, repository, machine, at):
    (machine / "said").write_text(GENERATED.replace("networking.useDHCP = ", "services.evil.enable = "))
    out, _, _ = hardware("w1", *at, "--json")
    assert json.loads(out)["leftOut"] == ["services.evil.enable"]
    assert "# left out: services.evil.enable" in (repository / "hosts" / "w1.nix").read_text()


def test_a_machine_without_the_program_is_told_with_the_other_way(hardware, at):
    _, _, error = hardware("w1", *at)
    assert isinstance(error, PrerequisiteMissing)
    assert error.hint == "run it there, and bring what it prints: slipway hardware w1 --from FILE"


def test_what_was_printed_before_is_taken(hardware, repository, monkeypatch, tmp_path):
    report = {"version": 1, "system": "x86_64-linux", "hardware": {}}
    (tmp_path / "facter.json").write_text(json.dumps(report))
    assert hardware("w1", "--from", str(tmp_path / "facter.json"))[2] is None
    assert json.loads((repository / "hosts" / "w1.facter.json").read_text()) == report
    assert git.unseen(repository) == ()
    monkeypatch.setattr("sys.stdin", io.StringIO(GENERATED))
    (tmp_path / "odd").write_text("hello")
    assert isinstance(hardware("cp1", "--from", str(tmp_path / "odd"))[2], InvalidInput)
    assert not (repository / "hosts" / "cp1.nix").exists()


def test_a_host_that_is_none_is_named(hardware):
    """With the words and the exit code of every other command."""
    for word, near in (("w9", ""), ("cp", "; did you mean 'cp1'?"), ("controller", "")):
        error = hardware(word)[2]
        assert (error.exit_code, str(error)) == (2, f"{word!r} names no host{near}")
