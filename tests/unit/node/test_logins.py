"""Passwords of registry mirrors on a machine: root's alone, changed as a whole, and told to nobody."""

import stat
import subprocess
from pathlib import Path

import pytest

from slipway.node import logins
from slipway.node.logins import Login
from slipway.secret import MASK, Secret

OFFICE = Login(Secret("ops"), Secret("geheim"))
UNIT = "slipway-registries.service"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(script, stdin)`: the script as it runs there, with a fake systemctl that knows our unit and records."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ -e {tmp_path}/unit ]\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def run(script: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        paths = [str(tmp_path / "lib" / "logins"), UNIT if script != logins.REMOVE else str(tmp_path / "composed")]
        return subprocess.run(["sh", "-c", script, "x", *paths], check=False, input=content, capture_output=True)

    return run


def asked(tmp_path: Path) -> list[str]:
    there = tmp_path / "asked"
    return there.read_text().splitlines() if there.exists() else []


def test_a_line_for_each_mirror_and_nothing_of_it_prints():
    other = Login(Secret("a"), Secret("b"))
    found = logins.content({"m.example.org:5000": OFFICE, "a.example.org": other})
    assert found.reveal() == b"a.example.org Basic YTpi\nm.example.org:5000 Basic b3BzOmdlaGVpbQ==\n"
    assert (str(found), str(OFFICE).count(MASK)) == (f"Secret({MASK})", 2)


def test_the_file_is_root_s_alone_and_containerd_s_are_made_anew_of_it(tmp_path, machine):
    (tmp_path / "unit").touch()
    assert machine(logins.PLACE, b"m Basic one\n").stdout == b"changed\n"
    file = tmp_path / "lib" / "logins"
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"m Basic one\n", 0o600)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert asked(tmp_path)[-1] == f"restart {UNIT}"
    assert [*file.parent.iterdir()] == [file]


def test_what_is_there_already_is_left_alone(tmp_path, machine):
    machine(logins.PLACE, b"m Basic one\n")
    (tmp_path / "asked").unlink()
    assert machine(logins.PLACE, b"m Basic one\n").stdout == b""
    assert asked(tmp_path) == []
    assert machine(logins.PLACE, b"m Basic two\n").stdout == b"changed\n"


def test_a_machine_whose_system_has_no_such_unit_yet_starts_none(tmp_path, machine):
    answer = machine(logins.PLACE, b"m Basic one\n")
    assert (answer.returncode, answer.stdout) == (0, b"changed\n")
    assert asked(tmp_path) == [f"cat {UNIT}"]


@pytest.mark.parametrize(("there", "lacks"), [(b"m Basic one\n", 0), (b"m Basic two\n", 1), (None, 1)])
def test_a_plan_compares_and_changes_nothing(tmp_path, machine, there, lacks):
    file = tmp_path / "lib" / "logins"
    if there is not None:
        file.parent.mkdir()
        file.write_bytes(there)
    assert machine(logins.LACKS, b"m Basic one\n").returncode == lacks
    assert (file.read_bytes() if file.exists() else None) == there
    assert asked(tmp_path) == []


def test_what_no_mirror_asks_for_any_more_goes(tmp_path, machine):
    machine(logins.PLACE, b"m Basic one\n")
    (tmp_path / "composed" / "docker.io").mkdir(parents=True)
    assert machine(logins.REMOVE).returncode == 0
    assert not (tmp_path / "lib" / "logins").exists()
    assert not (tmp_path / "composed").exists()


class FakeHost:
    def __init__(self, exit_code: int = 0, stdout: str = "") -> None:
        self.exit_code, self.stdout = exit_code, stdout
        self.called: list[tuple[list[str], object]] = []

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def run(self, argv, *, input=None, expect=(0,)):
        assert self.exit_code in expect
        self.called.append((list(argv), input))
        return self


def test_a_password_goes_by_standard_input_and_never_by_an_argument():
    host = FakeHost(stdout="changed\n")
    assert logins.place(host, {"m": OFFICE}) is True  # type: ignore[arg-type]
    assert logins.place(FakeHost(), {"m": OFFICE}) is False  # type: ignore[arg-type]
    assert logins.lacks(FakeHost(1), {"m": OFFICE}) is True  # type: ignore[arg-type]
    ((argv, given),) = host.called
    assert given == logins.content({"m": OFFICE})
    assert not any(word in " ".join(argv) for word in ("geheim", "ops", "Basic"))
