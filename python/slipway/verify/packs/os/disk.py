"""Room on the disks that the node lives from.

df -B1 /var/lib/k0s /nix/store /boot
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import expect, listed, workloads

MIB = 1 << 20
CONTROLLER, WORKER = 500 * MIB, 1300 * MIB
"""What `k0s sysinfo` asks to be free below k0s's data directory."""
STORE = 1024 * MIB
"""For the closure of one more generation."""
WORKER_PERCENT = 15
"""`k0s sysinfo`, and where kubelet begins to remove images (imagefs.available)."""
DATA = "/var/lib/k0s"


@dataclass(frozen=True)
class Space:
    """What is free at a path, in bytes and in percent.

    >>> space(host)["/nix/store"].percent
    72
    """

    free: int
    percent: int


Spaces = dict[str, Space]


@pytest.fixture(scope="session")
def found(host: NodeHost) -> Spaces:
    return space(host)


def space(host: NodeHost) -> Spaces:
    """Path to its space; the data directory is there once k0s ran, and else its disk is that of /var/lib."""
    found = host.check_output(
        "for path in /var/lib/k0s /nix/store; do"
        ' [ -e "$path" ] && at="$path" || at=$(dirname "$path");'
        ' df -B1 --output=avail,size "$at" | sed "1d; s,^,$path ,"; done'
    )
    lines = [line.split() for line in found.splitlines()]
    return {path: Space(int(free), 100 * int(free) // max(1, int(size))) for path, free, size in lines}


def test_has_room(found: Spaces, node: Host) -> None:
    """The disks of k0s and of the Nix store have room."""
    needed = {DATA: CONTROLLER * node.is_controller + WORKER * node.runs_workloads, "/nix/store": STORE}
    short = [path for path, least in needed.items() if found[path].free < least]
    expect(
        not short,
        expected=listed(f"{path}: {needed[path] // MIB} MiB free" for path in short),
        found=listed(f"{path}: {found[path].free // MIB} MiB" for path in short),
        fix="nix-collect-garbage --delete-older-than 14d; du -xh / | sort -h | tail",
        command=f"df -h {DATA} /nix/store",
    )


@workloads
def test_is_not_near_full(found: Spaces) -> None:
    """The disk of the containers is not so full that kubelet evicts pods."""
    percent = found[DATA].percent
    expect(
        percent >= WORKER_PERCENT,
        expected=f"{DATA}: {WORKER_PERCENT} % free",
        found=f"{percent} %",
        fix=f"du -xh {DATA} | sort -h | tail; a larger disk for {DATA}",
        command=f"df -h {DATA}",
    )
