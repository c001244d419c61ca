"""`make bench-handoff`: from an open gate to healthy stages in the lab, and from a push to its object in the cluster.

A lab is made, taken to its hand-off by the commands of `make demo-full`, and taken away again. The time of the hand-off
is what its own record says; pushes are those of its last step, made again. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from slipway.cluster import kubeconfig
from slipway.events import Events
from slipway.inventory import load
from slipway.paths import state_dir
from slipway.ssh.pool import Pool
from slipway.stages import proof
from slipway.stages.handoff import site_of
from slipway.stages.model import Stage
from slipway.tools.run import call

READY_BAR, PUSH_BAR = 240.0, 6.0
"""Seconds."""
PUSHES = 7
COMMAND_TIMEOUT = 3600.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "demo"
        _slipway("lab", "down")
        try:
            _slipway("lab", "demo", str(root), "--until", Stage.CLUSTER_APPS)
            print(json.dumps(_measured(root)))
        finally:
            _slipway("lab", "down")


def _slipway(*words: str) -> None:
    code = call([sys.executable, "-m", "slipway.cli", *words], timeout=COMMAND_TIMEOUT)
    if code:
        sys.exit(f"slipway {' '.join(words)} ended with {code}")


def _measured(root: Path) -> dict[str, object]:
    ready, pushes = handed_over(root), _pushes(root)
    for name, seconds, bar in (
        ("stages ready", ready, READY_BAR),
        ("push to applied", statistics.median(pushes), PUSH_BAR),
    ):
        print(f"{name}: {seconds:.1f} s, {'within' if seconds <= bar else 'ABOVE'} {bar:g} s")
    figures = {
        "stages_ready_s": round(ready, 1),
        "push_to_applied_s": round(statistics.median(pushes), 2),
        "push_to_applied_worst_s": round(max(pushes), 2),
    }
    return {"bench": "handoff", "cores": os.cpu_count(), "figures": figures, "ratios": {}}


def handed_over(root: Path) -> float:
    """Seconds of the first hand-off, gate included."""
    results = [json.loads(path.read_text()) for path in sorted((state_dir(root) / "runs").glob("*/result.json"))]
    return next(float(each["duration"]) for each in results if each["command"] == "handoff" and not each["error"])


def _pushes(root: Path) -> list[float]:
    inventory = load(root / "inventory.yaml")
    with Pool.of(inventory) as pool:
        site = site_of(inventory, kubeconfig.of(inventory, pool), pool, Events())
        return [proof.measure(site).applied for _ in range(PUSHES)]


if __name__ == "__main__":
    main()
