"""Network, disk and memory under load. It takes most of the free memory: not for nodes at their work.

iperf3; fio --fdatasync=1 --bs=2300; stress-ng --vm 1 --verify
"""

from __future__ import annotations

import json
import shlex
import time

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.backend import COMMAND_BOUND, NodeHost
from slipway.verify.canary import Canaries
from slipway.verify.check import CannotRun, controllers, expect, listed, workloads
from slipway.verify.packs._pods import inside
from slipway.verify.packs._reads import understood

PORT = 5201
"""iperf3's own, in the network of a pod, where nobody else listens."""
SETTLE = 2.0
"""Seconds from the last canary that runs to the first turn, in which every node starts its server."""
TURN, LEAST_TURN, BREATH = 10.0, 4.0, 2.0
"""Seconds of one turn at most and at least, and of these how many nobody sends."""
LONGEST_WRITE = 60.0
"""Seconds of writing that say enough about a disk."""
MEMORY = 60
"""Per cent of the free memory that is tried."""

SERVE = 'setsid timeout "$0" "$@" </dev/null >/dev/null 2>&1 &'
WRITE = (
    "fio --name=slipway --directory=/var/lib/k0s --unlink=1 --rw=write --ioengine=sync --fdatasync=1 --bs=2300"
    " --size=22m --time_based --runtime=%s --output-format=json"
)
"""A write-ahead log as etcd writes it: small blocks, each brought to the disk (etcd's documentation on disks)."""
STRESS = (
    "free=$(sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo);"
    ' stress-ng --vm 1 --vm-bytes "$((free * %s / 100))K" --vm-keep --verify --timeout %s --quiet'
)


@workloads
def test_network_carries_enough(
    host: NodeHost, node: Host, inventory: Inventory, canaries: Canaries, burn_in: float
) -> None:
    """From a pod of this node as much goes to a pod of each other node as the inventory asks for."""
    ring = [each for each in inventory.hosts if each.name in canaries and canaries[each.name].addresses]
    within = inside(node, canaries)
    if len(ring) < 2:
        pytest.skip("no other node has a canary")
    peers, turn = turns(len(ring) - 1, burn_in)
    if peers < len(ring) - 1:
        host.note(f"each node sent to the next {peers} of {len(ring) - 1} other nodes, as many as fit in {burn_in:g} s")
    server = [*within, "iperf3", "--server", "--port", str(PORT)]
    bound = f"{SETTLE + (peers + 1) * turn + COMMAND_BOUND:.0f}"
    host.check_output(shlex.join(["sh", "-c", SERVE, bound, *server]))
    here, least = [each.name for each in ring].index(node.name), node.hardware.limits.throughput
    found: dict[str, int] = {}
    for number in range(1, peers + 1):
        # By the one clock of whoever verifies: in each turn every node sends to one other, and receives from one.
        time.sleep(max(0.0, canaries[node.name].since + SETTLE + (number - 1) * turn - time.time()))
        peer = ring[(here + number) % len(ring)]
        found[peer.name] = _sent(host, within, canaries[peer.name].addresses[0], turn - BREATH)
    slow = [f"{name}: {rate} Mbit/s" for name, rate in found.items() if rate < least]
    expect(
        not slow,
        expected=f"{least} Mbit/s to {listed(found)}",
        found=listed(slow),
        fix="ethtool: speed and errors of the cards on both ends; the switch between; what else used the network?",
        command="iperf3 --client ADDRESS  # in a pod",
    )


def turns(others: int, burn_in: float) -> tuple[int, float]:
    """To how many of the other nodes one sends, and the seconds of each turn.

    Where they do not all fit in, fewer are tried: iperf3 takes one client at a time, and turns without a pause overlap.
    """
    peers = min(others, max(1, int(burn_in // LEAST_TURN)))
    return peers, max(LEAST_TURN, min(TURN, burn_in / peers))


def _sent(host: NodeHost, within: tuple[str, ...], address: str, seconds: float) -> int:
    """Mbit/s that arrived."""
    words = [*within, "iperf3", "--client", address, "--port", str(PORT), "--time", f"{seconds:.0f}", "--json"]
    answer = host.run(shlex.join(words), timeout=seconds + COMMAND_BOUND)
    _installed("iperf3", answer.rc)

    def rate(text: str) -> float:
        said = json.loads(text)
        if "error" in said:
            raise CannotRun(f"iperf3 to {address}: {said['error']}")
        return float(said["end"]["sum_received"]["bits_per_second"])

    return round(understood("iperf3", rate, answer.stdout) / 1e6)


@controllers
def test_disk_is_fit_for_etcd(host: NodeHost, node: Host, burn_in: float) -> None:
    """99 of 100 writes of etcd's kind are on the disk in the time of the inventory."""
    seconds = min(burn_in, LONGEST_WRITE)
    answer = host.run(WRITE, f"{seconds:.0f}", timeout=seconds + COMMAND_BOUND)
    _installed("fio", answer.rc)
    slowest = understood("fio", _slowest, answer.stdout)
    least = node.hardware.limits.fsync_ms
    expect(
        slowest / 1e6 <= least,
        expected=f"99 of 100 within {least} ms",
        found=f"{slowest / 1e6:.1f} ms",
        fix="a disk with protection against loss of power, of its own for /var/lib/k0s/etcd; who else writes to it?",
        command=WRITE % f"{seconds:.0f}",
    )


def _slowest(text: str) -> float:
    """Nanoseconds of the slowest of 99 writes."""
    return float(json.loads(text)["jobs"][0]["sync"]["lat_ns"]["percentile"]["99.000000"])


def test_memory_keeps_what_it_is_told(host: NodeHost, burn_in: float) -> None:
    """Patterns that are written to memory come back as they were."""
    answer = host.run(STRESS, str(MEMORY), f"{burn_in:.0f}", timeout=burn_in + COMMAND_BOUND)
    _installed("stress-ng", answer.rc)
    # 2: a stressor found something wrong, 3: it could not run (stress-ng(1), exit status).
    if answer.rc not in (0, 2):
        raise CannotRun(f"stress-ng ended with {answer.rc}: {answer.stderr.strip().splitlines()[-1:] or 'no word'}")
    expect(
        answer.rc == 0,
        expected=f"every bit of {MEMORY} % of the free memory, for {burn_in:.0f} s",
        found=answer.stderr.strip() or answer.stdout.strip(),
        fix="memtest86+ at the next boot names the module; exchange it",
        command=STRESS % (MEMORY, f"{burn_in:.0f}"),
    )


def _installed(program: str, code: int) -> None:
    if code in (126, 127):
        raise CannotRun(f"{program} is not installed: slipway.hardware.tools")
