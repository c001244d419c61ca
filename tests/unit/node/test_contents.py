"""What a node runs, read by the script that runs there; systemctl and nix-store are fakes."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.node import contents
from slipway.node.places import NIXOS
from slipway.result import CommandResult, OddAnswer
from slipway.ssh.host import Local

SYSTEMCTL = """#!/bin/sh
echo {pid}
"""
NIX_STORE = """#!/bin/sh
case $1 in
  --query) echo "$3"; echo /nix/store/c-dependency ;;
  --check-validity) shift 2; for path; do case $path in *missing*) echo "$path" ;; esac; done; exit 1 ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A system, a booted one with another kernel, and a k0s that runs with two files in its environment."""
    current, booted = tmp_path / "current", tmp_path / "booted"
    for folder, kernel in ((current, "new"), (booted, "old")):
        folder.mkdir()
        (tmp_path / kernel).touch()
        (folder / "kernel").symlink_to(tmp_path / kernel)
    bin = tmp_path / "bin"
    bin.mkdir()
    for name, text in (("systemctl", SYSTEMCTL.format(pid=0)), ("nix-store", NIX_STORE)):
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:/usr/bin:/bin")
    return SimpleNamespace(places=replace(NIXOS, current=str(current), booted=str(booted)), bin=bin, folder=tmp_path)


def said(lines: str) -> Any:
    return SimpleNamespace(run=lambda argv, **_: CommandResult(tuple(argv), "w1", 0, lines, "", 0.0))


def test_the_script_tells_closure_missing_paths_and_booted_parts(machine, monkeypatch):
    monkeypatch.setattr(contents, "STORE", "/")
    found = contents.read(Local(), ["/nix/store/a-here", "/nix/store/b-missing"], machine.places)
    assert found.closure == {str(machine.folder / "current"), "/nix/store/c-dependency"}
    assert found.lacks == {"/nix/store/b-missing"}
    assert found.boot == {"kernel": str(machine.folder / "old")}
    assert found.k0s == {}


def test_the_script_tells_what_the_running_k0s_was_started_with(machine, monkeypatch):
    """The process whose environment is read is one of the test's own."""
    monkeypatch.setattr(contents, "STORE", "/")
    file = machine.folder / "k0s.yaml"
    file.write_text("a: é\n")
    environment = {"SLIPWAY_STARTED_WITH": f"{file}:/gone"}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
        (machine.bin / "systemctl").write_text(SYSTEMCTL.format(pid=process.pid))
        found = contents.read(Local(), [], machine.places)
        process.kill()
    assert found.k0s == {str(file): "a: é\n", "/gone": ""}


def test_a_machine_without_nixos_has_nothing(machine):
    Path(machine.places.current, "kernel").unlink()
    nowhere = replace(machine.places, current="/nowhere", booted="/nowhere")
    assert contents.read(Local(), [], nowhere) == contents.Contents()


@pytest.mark.parametrize(
    "odd", ["x", "boot", "boot /etc /x", "has /etc/passwd", "k0s /nix/store/a !", "k0s /nix/store/a /w=="]
)
def test_an_odd_answer_is_the_nodes(odd):
    with pytest.raises(OddAnswer, match="w1: contents"):
        contents.read(said(odd), [])
