"""What the lab's machines need of the one they run on: root, programs, room on disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.errors import PrerequisiteMissing
from slipway.tools.run import find_program, run

PACKAGES: Mapping[str, str] = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "nix": "nix-bin",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "ssh": "openssh-client",
    "tc": "iproute2",
    "git": "git",
    "age": "age",
}
"""Program of the host -> Debian package that has it."""

OLDEST_NIX = (2, 8)
GIGABYTE = 10**9
NODE_DISK = 2.0 * GIGABYTE
"""Measured: 0.6 GB for a controller, 0.4 GB for a worker with ten pods; 1.2 GB more where it imports the images itself,
as after a reset."""
ROOTFS_DISK = 1.0 * GIGABYTE


def missing_packages() -> list[str]:
    """Debian packages to install before machines can be made, sorted."""
    return sorted({package for program, package in PACKAGES.items() if find_program(program) is None})


def check_host(also: Sequence[str] = ()) -> None:
    """Raises PrerequisiteMissing with every package that is missing, `also` among them, in one line."""
    check_root()
    packages = sorted({*missing_packages(), *also})
    if packages:
        raise PrerequisiteMissing(
            f"the lab needs these Debian packages: {' '.join(packages)}",
            hint=f"apt-get install -y --no-install-recommends {' '.join(packages)}",
        )
    _check_nix()


def check_root() -> None:
    """Raises PrerequisiteMissing."""
    if os.geteuid() != 0:
        raise PrerequisiteMissing(
            "the lab needs root: it makes a network bridge, mounts and machines", hint="the same command as root"
        )


def _check_nix() -> None:
    version = parse_nix_version(run(["nix", "--version"], timeout=20).stdout)
    if version < OLDEST_NIX:
        found, wanted = (".".join(map(str, numbers)) for numbers in (version, OLDEST_NIX))
        raise PrerequisiteMissing(f"nix {found} is too old: {wanted} or newer is needed", hint="nix upgrade-nix")
    for folder in (Path("/nix/store"), Path("/nix"), Path("/")):
        if folder.exists():
            if not os.access(folder, os.W_OK):
                raise PrerequisiteMissing(f"{folder} is read-only: Nix cannot build here", hint=f"findmnt -T {folder}")
            return


def parse_nix_version(text: str) -> tuple[int, ...]:
    """The numbers of `nix (Nix) 2.8.0`; () if there are none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return tuple(int(number) for number in found.groups()) if found else ()


def check_room(state: Path, new_nodes: Sequence[str], *, rootfs_made: bool) -> None:
    """Raises PrerequisiteMissing where the disk under `state` cannot hold the nodes that are to be made."""
    needed = len(new_nodes) * NODE_DISK + (0 if rootfs_made else ROOTFS_DISK)
    place = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise PrerequisiteMissing(
            f"the lab needs {needed / GIGABYTE:.0f} GB on the disk of {place} for {', '.join(new_nodes)}; "
            f"{free / GIGABYTE:.1f} GB are free",
            hint="make room, or start with fewer machines: slipway lab up --workers 1",
        )
