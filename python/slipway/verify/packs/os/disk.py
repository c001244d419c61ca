"""Room on the disks that the node lives from.

df -B1 /var/lib/k0s /nix/store /boot
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import yaml

from slipway.generate import kubelet
from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed, workloads
from slipway.verify.packs._reads import Answers

MIB = 1 << 20
CONTROLLER, WORKER = 500 * MIB, 1300 * MIB
"""What `k0s sysinfo` asks to be free below k0s's data directory."""
STORE = 1024 * MIB
"""For the closure of one more generation."""
DATA = "/var/lib/k0s"
EVICTS = {"imagefs.available": "15%", "nodefs.available": "10%"}
"""Where kubelet evicts pods if its configuration names no `evictionHard` at all (its own defaults on Linux)."""
PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


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


@pytest.fixture
def evicts(kubelet_configuration: str, node: Host) -> float:
    """The percentage of free space below which this node's kubelet evicts pods."""
    if node.k0s.eviction_hard:  # flags, which go before the file
        return _highest(kubelet.eviction_hard(node))
    return eviction(kubelet_configuration)


def eviction(configuration: str) -> float:
    """The highest of the percentages for disks; amounts of bytes are left to `test_has_room`.

    >>> eviction("evictionHard: {nodefs.available: 5%}")
    5.0
    """
    named = (yaml.safe_load(configuration) or {}).get("evictionHard")
    return _highest(EVICTS if named is None else named)


def _highest(signals: Mapping[str, object]) -> float:
    matches = (PERCENT.fullmatch(str(signals.get(signal, ""))) for signal in EVICTS)
    return max((float(match[1]) for match in matches if match), default=0.0)


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
def test_is_not_near_full(found: Spaces, evicts: float) -> None:
    """The disk of the containers is not so full that kubelet evicts pods."""
    percent = found[DATA].percent
    expect(
        percent >= evicts,
        expected=f"{DATA}: {evicts:g} % free",
        found=f"{percent} %",
        fix=f"du -xh {DATA} | sort -h | tail; a larger disk for {DATA}",
        command=f"df -h {DATA}",
    )


INODES = 5
"""Per cent that must be free: kubelet evicts pods below (nodefs.inodesFree, its default on Linux)."""
BOOT = 100 * MIB
"""A kernel and an initrd of NixOS, with some reserve."""
GENERATIONS = 100
"""Each holds a closure in the store, and its boot entry a kernel."""


def test_has_inodes(answers: Answers) -> None:
    """The disks of k0s and of the Nix store have inodes left."""
    rows = [line.split() for line in answers["inodes"].said().splitlines()]
    free = {path: 100 * int(left) // int(total) for path, left, total in rows if total.isdigit() and int(total)}
    short = [f"{path}: {percent} %" for path, percent in free.items() if percent < INODES]
    if len(rows) != 2:
        raise CannotRun("df does not tell inodes")
    expect(
        not short,
        expected=f"{INODES} % of inodes free",
        found=listed(short),
        fix="many small files: du --inodes -x / | sort -n | tail; nix-collect-garbage",
        command="df -i /var/lib/k0s /nix/store",
    )


def test_boot_has_room(answers: Answers, node: Host) -> None:
    """The file system of boot entries has room for one more generation."""
    if answers["boot"].code == 3 and not (node.disks and node.boot.mode == "uefi"):
        pytest.skip("/boot is no file system of its own here")
    free = int(answers["boot"].said().strip() or 0)
    expect(
        free >= BOOT,
        expected=f"/boot: {BOOT // MIB} MiB free",
        found=f"{free // MIB} MiB",
        fix="nix-collect-garbage --delete-older-than 14d; /run/current-system/bin/switch-to-configuration boot",
        command="df -h /boot",
    )


def test_generations_are_few(answers: Answers) -> None:
    """Old systems are cleared away."""
    number = int(answers["generations"].said().strip() or 0)
    if not number:
        raise CannotRun("no generation at all, not even the one that runs")
    expect(
        number <= GENERATIONS,
        expected=f"at most {GENERATIONS} generations",
        found=str(number),
        fix="nix-env -p /nix/var/nix/profiles/system --delete-generations 30d; does nix-gc.timer run?",
        command="ls /nix/var/nix/profiles | grep -c system-",
    )
