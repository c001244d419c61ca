"""What making the lab's programs and images needs of this machine; asked before anything long begins."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.errors import PrerequisiteMissing
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.lab import binaries, elf, images, stores
from slipway.lab.builds import K0s, needed
from slipway.paths import cache_dir
from slipway.tools.run import find_program

PACKAGES: Mapping[str, str] = {
    "bash": "bash",
    "git": "git",
    "ldd": "libc-bin",
    "nft": "nftables",
    "setpriv": "util-linux",
}
"""Programs that go into images, or that making them calls, and the Debian packages that have them."""
C_HEADER = Path("/usr/include/stdio.h")
GIGABYTE = 10**9
RESULTS = 0.9 * GIGABYTE
"""Measured: the programs of all builds, 0.7 GB, and what they need at run time."""
ARCHIVES = 0.9 * GIGABYTE
"""Measured: the archives of all images, 0.73 GB, and the one that is being made."""
PREPARED = 1.5 * GIGABYTE
"""Measured: the same images imported, as all machines have them, 1.4 GB."""


def missing() -> tuple[str, ...]:
    """The Debian packages to install before programs and images can be made, in alphabetical order."""
    packages = {package for name, package in PACKAGES.items() if find_program(name) is None}
    busybox = find_program("busybox")
    if busybox is None or not elf.is_static(busybox):
        packages.add("busybox-static")
    # Go and git ask for modules over https, and pods get the bundle too.
    if not images.CA_BUNDLE.exists():
        packages.add("ca-certificates")
    # Gitea's SQLite is C; nothing else is.
    if not binaries.ready("gitea"):
        packages |= {"gcc"} if find_program("gcc") is None else set()
        packages |= set() if C_HEADER.exists() else {"libc6-dev"}
    return tuple(sorted(packages))


def need_bytes(kind: K0s = K0s.STAND_IN, until: str = BOOTSTRAP) -> int:
    """Room on disk for what a lab with this k0s and these stages lacks yet: builds with Go's caches, images and their
    import."""
    caches = sum(build.megabytes * 10**6 for build in needed(kind, until) if not binaries.ready(build.name))
    made = any(images.images_dir().glob("*.tar"))
    imported = any(stores.home().glob("*/"))
    return int(caches + (RESULTS if caches else 0) + (0 if made else ARCHIVES) + (0 if imported else PREPARED))


def check(kind: K0s = K0s.STAND_IN, until: str = BOOTSTRAP) -> None:
    """Raises PrerequisiteMissing with what is missing, in one line."""
    packages = missing()
    if packages:
        raise PrerequisiteMissing(
            f"the lab's programs and images need these Debian packages: {' '.join(packages)}",
            hint=f"apt-get install -y --no-install-recommends {' '.join(packages)}",
        )
    place = next(folder for folder in (cache_dir(), *cache_dir().parents) if folder.exists())
    free, needed = shutil.disk_usage(place).free, need_bytes(kind, until)
    if free < needed:
        raise PrerequisiteMissing(
            f"the lab's programs and images need {needed / GIGABYTE:.1f} GB on the disk of {place}, once; "
            f"{free / GIGABYTE:.1f} GB are free",
            hint="make room, or set XDG_CACHE_HOME, GOCACHE and GOMODCACHE to folders on a larger disk",
        )
