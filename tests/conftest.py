"""Options that all tests share."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from slipway.errors import PrerequisiteMissing
from slipway.lab import needs, prerequisites

# The same tree gives the same verdict: property tests draw the same examples each time, and `make fuzz` draws new ones.
settings.register_profile("repeatable", derandomize=True, max_examples=50)
settings.register_profile("fuzz", derandomize=False, max_examples=1000)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lab",
        choices=("auto", "required"),
        default="auto",
        help="tests on the lab's machines: skip them where the lab cannot run (auto), or fail then (required)",
    )
    parser.addoption(
        "--lab-part",
        choices=("cluster", "machines"),
        help="of the lab's tests only those on the cluster that all share, or the others: two runs side by side",
    )
    parser.addoption(
        "--share", metavar="N/M", help="of the files with tests only every M-th, from the N-th on: M runs side by side"
    )
    parser.addoption("--nixos-options", metavar="FULL.tsv", help="a list of all NixOS options, to take ours from")
    parser.addoption("--nixpkgs", metavar="PATH", help="a checkout of nixpkgs, to hold NixOS and the lab together")
    parser.addoption("--disko", metavar="PATH", help="a checkout of disko, for the same")
    parser.addoption("--nixpkgs-packages", metavar="FILE", help="function lib -> packages, if the checkout has none")
    parser.addoption("--update-golden", action="store_true", help="write the golden trees anew")


def pytest_configure(config: pytest.Config) -> None:
    """However the tests were started (nohup, a background job): the programs that were installed with this Python
    (sops) are there, and signals are as at a terminal."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those of this run's share. Where the lab cannot run: skipped in sight, or the end where the lab is promised."""
    _take_share(config, items)
    of_lab = [item for item in items if item.get_closest_marker("lab")]
    reason = why_no_lab() if of_lab else ""
    if reason and config.getoption("--lab") == "required":
        pytest.exit(reason, returncode=PrerequisiteMissing.exit_code)
    for item in of_lab if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


def _take_share(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    if share is None:
        return
    number, of = map(int, share.split("/"))
    mine = set(sorted({item.path for item in items})[number - 1 :: of])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in mine])
    items[:] = [item for item in items if item.path in mine]


def why_no_lab() -> str:
    """What the lab lacks on this machine; empty if nothing."""
    try:
        prerequisites.check_host(also=needs.missing())
    except PrerequisiteMissing as missing:
        return str(missing)
    return ""


@pytest.fixture(scope="session", autouse=True)
def _keys_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No key that a test makes lands among those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOPS_AGE_KEY_FILE", raising=False)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
