"""A run of tests that was promised the lab is never green without it, and keeps its keys to itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.lab import needs, prerequisites
from slipway.secrets import keys

ROOT = Path(__file__).parents[2]
WITHOUT = "systemd-nspawn"


@pytest.fixture
def path_without_nspawn(tmp_path):
    """A PATH with all that the lab asks for on this machine, but for the program that runs its machines."""
    asked = {*prerequisites.PACKAGES, *needs.PACKAGES, "busybox", "gcc"} - {WITHOUT}
    for folder in os.environ["PATH"].split(os.pathsep):
        for name in asked:
            if (Path(folder) / name).exists() and not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(Path(folder) / name)
    return str(tmp_path)


def lab_tests(mode: str, path: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--lab={mode}", "tests/lab/test_chain.py"]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_promised_lab_that_cannot_start_is_red(path_without_nspawn):
    ended = lab_tests("required", path_without_nspawn)
    assert ended.returncode == 12
    # Who is not root hears of that first.
    assert ("systemd-container" if os.geteuid() == 0 else "needs root") in ended.stdout + ended.stderr


def test_elsewhere_its_tests_are_skipped_in_sight(path_without_nspawn):
    ended = lab_tests("auto", path_without_nspawn)
    assert ended.returncode == 0
    assert "passed" not in ended.stdout
    assert "SKIPPED" in ended.stdout


def test_keys_of_tests_stay_with_the_tests(tmp_path_factory):
    assert keys.key_file().is_relative_to(tmp_path_factory.getbasetemp())
