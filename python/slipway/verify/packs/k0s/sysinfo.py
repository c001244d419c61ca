"""What k0s itself finds lacking on the machine.

k0s sysinfo -o json
"""

from __future__ import annotations

import json
from typing import Any

from slipway.inventory import Host
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

BAD = ("rejected", "error")


def test_rejects_nothing(host: NodeHost, node: Host) -> None:
    """k0s finds all that it needs."""
    controller, worker = (str(each).lower() for each in (node.is_controller, node.runs_workloads))
    # 1: something is rejected; the list is printed all the same.
    answer = host.run_expect([0, 1], f"k0s sysinfo --controller={controller} --worker={worker} -o json")
    probes = json.loads(answer.stdout or "[]")
    if not probes:
        raise CannotRun(f"k0s sysinfo says nothing: {answer.stderr.strip()}")
    bad = [probe for probe in probes if probe["category"] in BAD]
    expect(
        not bad,
        expected="nothing rejected",
        found=listed(f"{probe['displayName']}: {probe.get('prop', '')} ({_why(probe)})" for probe in bad),
        fix="k0s sysinfo names the kernel option, the controller or the space that it needs",
    )


def _why(probe: dict[str, Any]) -> str:
    return str(probe.get("message") or probe.get("error") or probe["category"])
