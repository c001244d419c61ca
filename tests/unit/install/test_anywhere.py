"""nixos-anywhere's command line, as a fake of it gets it."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.install import anywhere
from slipway.result import CommandFailed
from slipway.ssh.connection import Endpoint

FAKE = """#!/bin/sh
# Fake of the tests: writes down its arguments, one a line, and talks.
printf '%s\\n' "$@" >{folder}/arguments
echo '### Switching system into kexec ###' >&2
exit {code}
"""
HERE = Endpoint("w1", "198.51.100.7", 2222, "admin", Path("/keys/id with blank"))


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """`fake(code)` puts it on PATH; returns the file with the arguments."""

    def fake(code=0):
        program = tmp_path / "nixos-anywhere"
        program.write_text(FAKE.format(folder=tmp_path, code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path / "arguments"

    return fake


def test_it_starts_the_installer_and_does_nothing_else(fake):
    arguments = fake()
    lines: list[str] = []
    anywhere.kexec(HERE, "/nix/store/f-disko", "/nix/store/s-system", lines.append)
    assert arguments.read_text().splitlines() == [
        *("--phases", "kexec"),
        *("--store-paths", "/nix/store/f-disko", "/nix/store/s-system"),
        *("--build-on", "local"),
        *("-i", "/keys/id with blank"),
        *("--ssh-port", "2222"),
        *("--target-host", "admin@198.51.100.7"),
    ]
    assert lines == ["### Switching system into kexec ###"]


def test_what_is_usual_is_not_said():
    assert anywhere.command(replace(HERE, port=22, identity=None), "f", "s")[-2:] == [
        "--target-host",
        "admin@198.51.100.7",
    ]
    assert not {"-i", "--ssh-port"} & set(anywhere.command(replace(HERE, port=22, identity=None), "f", "s"))


def test_a_failure_of_it_is_told(fake):
    fake(1)
    with pytest.raises(CommandFailed, match="Switching system into kexec"):
        anywhere.kexec(HERE, "f", "s", lambda _line: None)


def test_without_it_the_other_way_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteMissing) as caught:
        anywhere.require()
    assert "nix shell nixpkgs#nixos-anywhere" in str(caught.value.hint)
    assert "nix build .#installer" in str(caught.value.hint)
