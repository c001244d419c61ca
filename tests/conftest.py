"""Options that all tests share."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab",
        choices=("auto", "required"),
        default="auto",
        help="tests on the lab's machines: skip them where the lab cannot run (auto), or fail then (required)",
    )
    parser.addoption("--nixos-options", metavar="FULL.tsv", help="a list of all NixOS options, to take ours from")
    parser.addoption("--nixpkgs", metavar="PATH", help="a checkout of nixpkgs, to hold NixOS and the lab together")
    parser.addoption("--disko", metavar="PATH", help="a checkout of disko, for the same")
    parser.addoption("--nixpkgs-packages", metavar="FILE", help="function lib -> packages, if the checkout has none")
    parser.addoption("--update-golden", action="store_true", help="write the golden trees anew")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without root there is no lab: skipped in sight, or an error where the lab is promised."""
    if os.geteuid() == 0:
        return
    if config.getoption("--lab") == "required" and any(item.get_closest_marker("lab") for item in items):
        pytest.exit("the lab needs root: sudo make test", returncode=12)
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason="the lab needs root"))


NIX_SETTINGS = "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false\nbuild-users-group =\n"
"""Nix without a network, a sandbox or users of its own, as in the lab."""


@pytest.fixture(scope="session")
def nix(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """`nix(words...)` runs a program of Nix, with a store of its own, and returns what it prints."""
    if shutil.which("nix") is None:
        pytest.fail("Nix is not installed: apt-get install nix-bin (`make test` does it)")
    base = tmp_path_factory.mktemp("nix")
    folders = {f"NIX_{name}_DIR": str(base / name.lower()) for name in ("STORE", "STATE", "LOG")}
    environment = {**os.environ, **folders, "NIX_CONFIG": NIX_SETTINGS, "HOME": str(base)}

    def run(*words: str | Path, cwd: Path | None = None) -> str:
        argv = [str(word) for word in words]
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, cwd=cwd, check=False)
        assert done.returncode == 0, f"{argv}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def nix_value(nix: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """`nix_value(expression)` is the value of a Nix expression, as plain data."""
    file = tmp_path_factory.mktemp("expression") / "expression.nix"

    def value(expression: str) -> Any:
        file.write_text(expression)
        return json.loads(nix("nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", file))

    return value
