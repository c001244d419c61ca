"""A cluster of three controllers and a worker, for the tests that need a quorum."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise

from tests.lab.controls import red
from tests.lab.harness import Repository, eventually, on_machine

from slipway.lab.settings import Lab, Machine
from slipway.lab.state import recorded
from slipway.ssh.pool import Pool

BEFORE, NOW = "1.35.7+k0s.0", "1.36.3+k0s.2"
LONGEST_GAP = 10.0
"""Seconds without an answer of the API: keepalived takes 4 s, a lease of etcd or a connection's timeout some more."""
ANSWERS = 180.0
CONTROLLERS = ("cp1", "cp2", "cp3")
# 401 is an answer, too.
PROBE = """\
for each in vip=https://{vip}:6443 local=https://localhost:7443; do
  while :; do
    curl -sko /dev/null --max-time 1 "${{each#*=}}/livez" && echo "${{each%%=*}} $(date +%s.%N)"
    sleep 0.2
  done >>/run/probe &
done
wait
"""
RUNS = "readlink -f /run/current-system"


class Ha:
    """The cluster's repository and its machines."""

    def __init__(self, repository: Repository, lab: Lab) -> None:
        self.repository = repository
        self.machines = {machine.name: machine for machine in recorded(lab)}
        self.vip = str(lab.virtual_address)

    def sh(self, node: str, script: str, timeout: float = 60.0) -> str:
        return on_machine(self.machines[node], script, timeout)

    def kubectl(self, node: str, *words: str) -> str:
        return self.sh(node, f"k0s kubectl {' '.join(words)}")

    def holder(self) -> Machine:
        """Who has the virtual address."""
        eventually(lambda: len(self._holders()) == 1, "one controller with the virtual address")
        (found,) = self._holders()
        return self.machines[found]

    def _holders(self) -> list[str]:
        return [name for name in CONTROLLERS if f" {self.vip}/" in self.sh(name, "ip -4 -br address")]

    def heard(self, node: str) -> datetime:
        """When the API server last heard of w1's kubelet, whose first lease comes some seconds after it is Ready."""
        lease = self.kubectl(node, "get lease w1 --namespace=kube-node-lease --output=json --ignore-not-found")
        return datetime.fromisoformat(json.loads(lease)["spec"]["renewTime"] if lease else "1970-01-01T00:00:00Z")

    def systems(self) -> dict[str, str]:
        return {name: self.sh(name, RUNS) for name in CONTROLLERS}

    def ready(self, name: str) -> None:
        """Wait until this controller's API server is, with its etcd."""
        eventually(
            lambda: self.sh(name, "k0s kubectl get --raw=/readyz || true").endswith("ok"),
            f"{name} ready",
            deadline=ANSWERS,
        )

    def red(self, *names: str, packs: tuple[str, ...]) -> set[str]:
        inventory = self.repository.inventory()
        with Pool.of(inventory) as pool:
            return red(inventory, pool, names, packs)

    def set_release(self, release: str) -> None:
        inventory = self.repository.root / "inventory.yaml"
        before = BEFORE if BEFORE in inventory.read_text() else NOW
        inventory.write_text(inventory.read_text().replace(before, release))
        self.repository.slipway("generate").ended(0)

    @contextmanager
    def probed(self) -> Iterator[None]:
        """Ask the API five times a second, from the worker, by the virtual address and by its own balancer; both
        answered all the time."""
        script = PROBE.format(vip=self.vip)
        self.sh(
            "w1",
            f"rm -f /run/probe; cat >/run/probe.sh <<'EOF'\n{script}EOF\nsystemd-run --unit=probe sh /run/probe.sh",
        )
        began = float(self.sh("w1", "date +%s.%N"))
        try:
            yield
            ended = float(self.sh("w1", "date +%s.%N"))
            said = [line.split() for line in self.sh("w1", "cat /run/probe").splitlines()]
        finally:
            self.sh("w1", "systemctl stop probe; systemctl reset-failed probe 2>/dev/null || true")
        for way in ("vip", "local"):
            times = [began, *(float(at) for which, at in said if which == way), ended]
            gaps = [(after - before, before - began) for before, after in pairwise(times)]
            assert max(gaps)[0] < LONGEST_GAP, f"{way}: no answer for {max(gaps)[0]:.1f} s, {max(gaps)[1]:.1f} s in"
